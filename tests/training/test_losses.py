"""Losses by hand, on empty masks, and under padding."""

import json
import pathlib
import re
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict

from refinevad_jax import config as config_lib
from refinevad_jax.model.core import CoreOutputs, mixture_target
from refinevad_jax.model.refinevad import Outputs
from refinevad_jax.training import losses
from tests.conftest import call

NOTHING = np.zeros((2, 4), bool)


def test_top_k_count_is_the_fields_rule_and_never_more_than_the_video_has() -> None:
    counts = losses.top_k_count(np.array([0, 1, 15, 16, 200]), 16)
    np.testing.assert_array_equal(counts, [0, 1, 1, 2, 13])


def test_top_k_mean_by_hand() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.7], [0.2, 0.4, 9.0, 9.0]])
    valid = np.array([[True] * 4, [True, True, False, False]])
    result = losses.top_k_mean(scores, valid, k=np.array([2, 3]))
    # The second video has two valid segments only, so its three become two.
    np.testing.assert_allclose(result, [0.8, 0.3], rtol=1e-6)


def test_top_k_mean_handles_ties_and_negative_scores() -> None:
    result = losses.top_k_mean(-np.ones((1, 3)), np.ones((1, 3), bool), k=np.array([2]))
    np.testing.assert_allclose(result, [-1.0])


def test_ranking_loss_by_hand() -> None:
    scores = np.array([0.2, 0.5, 0.9, 0.4])
    anomalous = np.array([False, False, True, True])
    # Pairs (0.9, 0.2) .3  (0.9, 0.5) .6  (0.4, 0.2) .8  (0.4, 0.5) 1.1
    everything = np.ones(4, bool)
    loss = losses.ranking_loss(scores, anomalous, everything)
    np.testing.assert_allclose(loss, 2.8 / 4, rtol=1e-6)
    two = np.array([True, False])
    assert losses.ranking_loss(np.array([5.0, 1.0]), two, np.ones(2, bool)) == 0
    # A video without any segment is neither normal nor anomalous.
    present = np.array([True, True, True, False])
    loss = losses.ranking_loss(scores, anomalous, present)
    np.testing.assert_allclose(loss, (0.3 + 0.6) / 2, rtol=1e-6)


def test_bce_mil_loss_by_hand() -> None:
    logits = np.array([0.0, 2.0, 50.0], np.float32)
    anomalous, present = np.array([False, True, False]), np.array([True, True, False])
    expected = (np.log(2) + np.log1p(np.exp(-2.0))) / 2
    np.testing.assert_allclose(losses.bce_mil_loss(logits, anomalous, present), expected, rtol=1e-5)


def test_segment_loss_by_hand() -> None:
    logits = np.array([[0.0, 2.0, 9.0], [3.0, -1.0, 1.0], [5.0, 5.0, 5.0]])
    valid = np.array([[True, True, False], [True, True, True], [False, False, False]])
    k = np.array([1, 2, 1])
    # A normal video by both of its valid segments, an anomalous one by its two highest.
    normal = np.mean(np.log1p(np.exp([0.0, 2.0])))
    anomalous = np.mean(np.log1p(np.exp([-3.0, -1.0])))
    found = losses.segment_loss(logits, np.array([False, True, True]), valid, k=k)
    np.testing.assert_allclose(found, (normal + anomalous) / 2, rtol=1e-6)


def test_category_loss_is_bce_of_the_anomalous_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    labels = np.array([[True, False, True, False], [False] * 4, [True] * 4])
    probs = np.asarray(jax.nn.softmax(logits, axis=-1)[..., 1])
    expected = -np.where(labels, np.log(probs), np.log1p(-probs)).mean()
    present = np.ones(3, bool)
    np.testing.assert_allclose(losses.category_loss(logits, labels, present), expected, rtol=1e-5)


def test_mixture_target_by_hand() -> None:
    probs, weights = np.array([[0.8, 0.2]]), np.array([[0.6, 0.4]])
    mean, sigma = np.array([[0.125, 0.875]]), np.array([[0.1, 0.1]])
    target = mixture_target(probs, weights, mean, sigma, np.ones((1, 4), bool))
    # alpha = (.48, .08), rescaled so that their sum is max p = .8; the segments' centres are
    # .125 .375 .625 .875, and exp(-.5 (.25 / .1)^2) = .04394.
    large, small = 0.8 * 0.48 / 0.56, 0.8 * 0.08 / 0.56
    expected = [large, large * 0.04394, small * 0.04394, small]
    np.testing.assert_allclose(target[0], expected, atol=1e-4)


def test_mixture_target_of_a_normal_video_is_near_zero_and_weights_get_no_gradient() -> None:
    args = (np.full((1, 3), 1e-3), np.full((1, 3), 1 / 3), np.full((1, 3), 0.5))
    sigma, valid = np.full((1, 3), 0.5), np.ones((1, 8), bool)
    assert float(mixture_target(*args, sigma, valid).max()) <= 1e-3

    def total(probs: jax.Array) -> jax.Array:
        return mixture_target(probs, *args[1:], sigma, valid).sum()

    assert not np.asarray(jax.grad(total)(args[0])).any()


def test_difference_loss_by_hand() -> None:
    scores = np.array([[0.0, 0.5, 0.5, 9.0]])
    valid = np.array([[True, True, True, False]])
    np.testing.assert_allclose(losses.difference_loss(scores, valid), 0.125)


@jax.jit
def empty_losses() -> dict[str, jax.Array]:
    scores, none = np.full((2, 4), 0.7), np.zeros(2, bool)
    top = losses.top_k_mean(scores, NOTHING, k=losses.top_k_count(NOTHING.sum(-1), 16))
    categories = np.full((2, 3), 0.5)
    target = mixture_target(categories, categories, categories, categories, NOTHING)
    return {
        "ranking": losses.ranking_loss(top, none, none),
        "bce": losses.bce_mil_loss(top, none, none),
        "category": losses.category_loss(
            np.ones((2, 3, 2), np.float32), np.zeros((2, 3), bool), none
        ),
        "mixture": losses.mixture_loss(scores, target, NOTHING),
        "difference": losses.difference_loss(scores, NOTHING),
        "top k": top.sum(),
    }


@pytest.mark.parametrize("name", ["ranking", "bce", "category", "mixture", "difference", "top k"])
def test_an_empty_mask_gives_zero(name: str) -> None:
    assert float(empty_losses()[name]) == 0.0


def test_padding_changes_no_loss() -> None:
    scores = np.random.default_rng(0).uniform(size=(3, 6)).astype(np.float32)
    valid = np.arange(6)[None] < np.array([[6], [2], [4]])
    categories = np.random.default_rng(1).uniform(0.1, 0.5, size=(3, 5)).astype(np.float32)
    padded_scores = np.pad(scores, ((0, 0), (0, 5)), constant_values=7.0)
    padded_valid = np.pad(valid, ((0, 0), (0, 5)))

    @jax.jit
    def all_losses(scores: jax.Array, valid: jax.Array) -> list[jax.Array]:
        k = losses.top_k_count(valid.sum(-1), 2)
        target = mixture_target(categories, categories, categories, categories, valid)
        return [
            losses.top_k_mean(scores, valid, k=k),
            losses.mixture_loss(scores, target, valid),
            losses.difference_loss(scores, valid),
        ]

    plain, padded = all_losses(scores, valid), all_losses(padded_scores, padded_valid)
    for a, b in zip(plain, padded, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_gradients_of_an_empty_mask_are_finite() -> None:
    def total(scores: jax.Array) -> jax.Array:
        k = losses.top_k_count(NOTHING.sum(-1), 16)
        return losses.top_k_mean(scores, NOTHING, k=k).sum()

    assert np.isfinite(jax.grad(total)(np.ones((2, 4)))).all()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_top_k_mean_is_that_of_the_sorted_valid_scores(data: st.DataObject) -> None:
    length = 6  # one shape: compiled once
    finite = st.floats(-1e4, 1e4, width=32)
    scores = np.array(data.draw(st.lists(finite, min_size=length, max_size=length)), np.float32)
    valid = np.array(data.draw(st.lists(st.booleans(), min_size=length, max_size=length)))
    k = data.draw(st.integers(0, length + 2))
    result = losses.top_k_mean(scores[None], valid[None], k=np.array([k]))[0]
    chosen = np.sort(scores[valid])[::-1][:k]
    expected = chosen.mean(dtype=np.float64) if len(chosen) else 0.0
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=2e-3)
    # Values on padding change nothing.
    other = np.where(valid, scores, np.float32(9e9))
    np.testing.assert_array_equal(
        result, losses.top_k_mean(other[None], valid[None], k=np.array([k]))[0]
    )


def outputs_of(core: CoreOutputs | None) -> Outputs:
    logits = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    return Outputs(logits, 1 / (1 + np.exp(-logits)), logits, logits, logits, core, logits)


def config_with(**changes: Any) -> losses.LossConfig:
    fields = config_lib.default().loss.to_dict() | changes
    return losses.LossConfig.of(fields)


LABELS, VALID = np.array([[True, False], [False, False]]), np.ones((2, 4), bool)


def test_the_loss_is_the_weighted_sum_of_the_terms() -> None:
    config = config_with(smoothing="difference", smoothing_weight=0.5)
    terms = losses.loss_terms(outputs_of(None), LABELS, VALID, config)
    assert list(terms) == losses.term_names(terms) == ["mil", "smoothing"]
    expected = terms["mil"] + 0.5 * terms["smoothing"]
    np.testing.assert_allclose(losses.total_loss(terms, config), expected, rtol=1e-6)


def test_a_term_of_weight_0_or_without_core_is_not_computed() -> None:
    assert list(losses.loss_terms(outputs_of(None), LABELS, VALID, config_with())) == ["mil"]

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("computed all the same")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "TERMS", (losses.Term("off", refuse, "smoothing_weight"),))
        config = config_with(smoothing_weight=0.0)
        assert losses.loss_terms(outputs_of(None), LABELS, VALID, config) == {}


def test_the_first_steps_take_all_segments_of_anomalous_videos() -> None:
    config = config_with(mil="segments", whole_steps=2, top_k_divisor=4)
    found = [
        float(losses.loss_terms(outputs_of(None), LABELS, VALID, config.at(np.int32(step)))["mil"])
        for step in (0, 1, 2)
    ]
    every = config_with(mil="segments", top_k_divisor=1)
    later = config_with(mil="segments", top_k_divisor=4)
    expected = [
        float(losses.loss_terms(outputs_of(None), LABELS, VALID, one.at(np.int32(0)))["mil"])
        for one in (every, every, later)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[1] > found[2]


def test_every_weight_of_the_configuration_is_one_of_a_term() -> None:
    keys = {key for key in config_lib.default().loss if key.endswith("_weight")}
    assert keys == {term.weight for term in losses.TERMS if isinstance(term.weight, str)}


NEW_TERM = """
import pathlib, sys
from ml_collections import ConfigDict
from refinevad_jax.training import failures, loop, losses

def mean_score(outputs, labels, valid, config):
    return outputs.scores.mean()

losses.TERMS = (*losses.TERMS, losses.Term("mean_score", mean_score, 0.25))
config = ConfigDict(eval(sys.argv[1]))
loop.train(config, pathlib.Path(sys.argv[2]))
one = losses.Term("mean_score", lambda *_: mean_score(*_) * float("nan"), 0.25)
losses.TERMS = (*losses.TERMS[:-1], one)
try:
    loop.train(config, pathlib.Path(sys.argv[2]) / "bad")
except loop.NumericalError as error:
    print(error)
(path,) = pathlib.Path(sys.argv[2], "bad").glob("failure-*.npz")
print("replayed", *failures.replay(failures.read(path)))
"""


def test_a_new_term_is_one_entry(tiny_config: ConfigDict, tmp_path: pathlib.Path) -> None:
    """It is found in the loss, the printed line, metrics.jsonl, the error, and the replay."""
    tiny_config.train.num_epochs = 1
    done = call("-c", NEW_TERM, repr(tiny_config.to_dict()), str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert re.search(r"loss .*\(mil .*, mean_score 0\.\d+\)", done.stdout)
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    weights = {"mil": 1.0, "smoothing": 0.1, "category": 0.2, "mean_score": 0.25}
    total = sum(weight * row[name] for name, weight in weights.items())
    assert row["loss"] == pytest.approx(total, rel=1e-5)
    assert "step 1: mean_score is nan with seed 0" in done.stdout
    assert re.search(r"replayed \{.*'mean_score': nan.*'mean_score'", done.stdout)
