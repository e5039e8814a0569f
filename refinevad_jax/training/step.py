"""One training step: the loss of a batch, its gradient, the update.

Everything random follows from (seed, step): the state holds no key. Axis letters: B videos,
T segments, D feature channels, C categories.
"""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from ml_collections import ConfigDict

from refinevad_jax.model import random_words
from refinevad_jax.model.precision import in_bfloat16
from refinevad_jax.model.refinevad import Outputs
from refinevad_jax.runs.checkpoints import TrainState
from refinevad_jax.training import losses
from refinevad_jax.training.losses import LossConfig
from refinevad_jax.training.optimizer import OptimizerConfig, with_schedule

Metrics = dict[str, jax.Array]


class Stream(enum.IntEnum):
    """What is drawn in a run: each has a key of its own, folded into that of the seed or step."""

    PARAMETERS = 0
    BATCHES = 1
    STEPS = 2
    DROPOUT = 3  # inside a step


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """The part of a configuration that decides a step: loss, e_y, precision."""

    loss: LossConfig
    label_injection: bool
    precision: str

    @classmethod
    def of(cls, config: ConfigDict) -> "StepConfig":
        """Reads a run's configuration."""
        return cls(
            loss=LossConfig.of(config.loss.to_dict()),
            label_injection=config.train.label_injection,
            precision=config.train.precision,
        )


def train_step(
    state: TrainState,
    features: jax.Array,
    labels: jax.Array,
    *,
    key: jax.Array,
    rate: jax.Array,
    graphdef: nnx.GraphDef[Any],
    optimizer: OptimizerConfig,
    config: StepConfig,
) -> tuple[TrainState, Metrics]:
    """One update. features: [B, T, D]; labels: [B, C] bool; key: see step_key.

    rate: the learning rate, scalar. As an argument it leaves the program the same for any number
    of steps.
    """
    metrics, gradient = losses_and_gradient(
        state.params,
        features,
        labels,
        step=state.step,
        key=key,
        graphdef=graphdef,
        config=config,
    )
    update = with_schedule(optimizer, lambda _: rate).update
    updates, opt_state = update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = metrics | {"gradient_norm": optax.tree.norm(gradient)}
    return TrainState(state.step + 1, params, opt_state), metrics


def losses_and_gradient(
    params: Any,
    features: jax.Array,
    labels: jax.Array,
    *,
    step: jax.Array,
    key: jax.Array,
    graphdef: nnx.GraphDef[Any],
    config: StepConfig,
) -> tuple[Metrics, Any]:
    """The loss with its terms and statistics, and the gradient of the loss, a tree as params."""
    loss_config = config.loss.at(step)
    valid = jnp.ones(features.shape[:2], bool)  # training bags are resampled, none is padded
    injected = labels if config.label_injection else None

    def loss_function(params: Any) -> tuple[jax.Array, Metrics]:
        model = nnx.merge(graphdef, params)
        if config.precision == "bfloat16":
            model = in_bfloat16(model)
        rngs = nnx.Rngs(dropout=jax.random.fold_in(key, Stream.DROPOUT))
        outputs = model(features, valid, injected_labels=injected, rngs=rngs)
        terms = losses.loss_terms(outputs, labels, valid, loss_config)
        statistics = model_statistics(outputs, labels, loss_config)
        return losses.total_loss(terms, loss_config), terms | statistics

    (loss, metrics), gradient = jax.value_and_grad(loss_function, has_aux=True)(params)
    return {"loss": loss} | metrics, gradient


def model_statistics(outputs: Outputs, labels: jax.Array, config: LossConfig) -> Metrics:
    """What shows whether the parts live: gate, scores, category weights, mixture. Scalars."""
    count = outputs.shift_count.astype(jnp.float32)
    valid, anomalous = jnp.ones(count.shape, bool), labels.any(axis=-1)
    video_scores = losses.video_scores(outputs, valid, config)
    found = {
        "shift_mean": count.mean(),
        "shift_spread": count.std(),
        "shift_span": jnp.ptp(count, axis=-1).mean(),
        "score_anomalous": losses.masked_mean(video_scores, anomalous),
        "score_normal": losses.masked_mean(video_scores, ~anomalous),
    }
    if outputs.core is not None:
        weights = outputs.core.category_weights
        entropy = -jnp.sum(weights * jnp.log(jnp.maximum(weights, 1e-12)), axis=-1)
        target = outputs.core.mixture_target(valid).mean(axis=-1)
        found |= {
            "weight_entropy": entropy.mean(),
            "mixture_target_normal": losses.masked_mean(target, ~anomalous),
            "mixture_target_anomalous": losses.masked_mean(target, anomalous),
            "mixture_sigma": outputs.core.mixture_sigma.mean(),
            "mixture_mean_spread": outputs.core.mixture_mean.std(),
        }
    return found


def step_key(seed: Any, step: Any) -> jax.Array:
    """The key of what is random inside a step, counted from 0."""
    return jax.random.fold_in(_stream_key(seed, Stream.STEPS), step)


def parameters_key(seed: int) -> jax.Array:
    """The key of a network's first parameters."""
    return _stream_key(seed, Stream.PARAMETERS)


def parameters_keys(seeds: Sequence[int]) -> np.ndarray:
    """key_data of the same for several seeds, without a program: [S, 2] uint32."""
    return random_words.fold_in(random_words.key_of_seed(seeds), Stream.PARAMETERS)


def batch_keys(seeds: Sequence[int]) -> np.ndarray:
    """key_data of what draws the batches of several seeds: [S, 2] uint32."""
    return random_words.fold_in(random_words.key_of_seed(seeds), Stream.BATCHES)


def _stream_key(seed: Any, stream: Stream) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), stream)
