"""Extreme but finite bags: losses and gradients stay finite, so training goes on."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from refinevad_jax import config as config_lib
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import create
from refinevad_jax.training import losses
from refinevad_jax.training.step import model_statistics

MODEL = ModelConfig(
    modality_widths=(8, 4),
    num_categories=2,
    width=8,
    num_layers=1,
    num_heads=2,
    mlp_width=8,
    scorer_width=4,
    category_input="features",
    score_smoothing=0.05,
    score_centering=0.5,
)
LOSS = losses.LossConfig.of(config_lib.default().loss.to_dict())
SHAPE = (4, 20, 12)
RANDOM = np.random.default_rng(0).normal(size=SHAPE)
LABELS = np.array([[False, False], [False, False], [True, False], [False, True]])


@functools.cache
def compiled() -> Callable[..., Any]:
    """Loss, terms, statistics and the gradient of the loss, with e_y and dropout as in training."""
    graphdef, params = create(MODEL, jax.random.key(0))

    def loss(params: Any, features: Any, valid: Any, labels: Any) -> Any:
        rngs = nnx.Rngs(dropout=jax.random.key(0))
        model = nnx.merge(graphdef, params)
        outputs = model(features, valid, injected_labels=labels, rngs=rngs)
        terms = losses.loss_terms(outputs, labels, valid, LOSS)
        statistics = model_statistics(outputs, labels, LOSS)
        return losses.total_loss(terms, LOSS), (terms, statistics)

    return functools.partial(jax.jit(jax.value_and_grad(loss, has_aux=True)), params)


@pytest.mark.parametrize(
    ("features", "labels", "lengths"),
    [
        (1e4 * RANDOM, LABELS, [20, 20, 20, 20]),
        (1e-4 * RANDOM, LABELS, [20, 20, 20, 20]),
        (np.zeros(SHAPE), LABELS, [20, 20, 20, 20]),
        (np.ones(SHAPE), LABELS, [20, 20, 20, 20]),
        (RANDOM, LABELS, [1, 1, 1, 1]),
        (RANDOM, LABELS, [20, 1, 0, 2]),
        (RANDOM, np.zeros((4, 2), bool), [20, 20, 20, 20]),
        (RANDOM, np.ones((4, 2), bool), [20, 20, 20, 20]),
    ],
    ids=[
        "of size 1e4",
        "of size 1e-4",
        "all zeros",
        "constant",
        "one segment",
        "an empty video, others shorter than k",
        "all normal",
        "all anomalous, every category",
    ],
)
def test_losses_and_gradients_are_finite(
    features: np.ndarray, labels: np.ndarray, lengths: list[int]
) -> None:
    valid = np.arange(SHAPE[1])[None] < np.array(lengths)[:, None]
    (loss, (terms, statistics)), gradient = compiled()(
        jnp.asarray(features, jnp.float32), jnp.asarray(valid), jnp.asarray(labels)
    )
    assert sorted(terms) == ["category", "mil", "smoothing"]
    metrics = terms | statistics | {"loss": loss}
    assert all(np.isfinite(value) for value in metrics.values()), metrics
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
