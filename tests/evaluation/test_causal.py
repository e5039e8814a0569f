"""Causal scores: the future changes none, replaying is pushing, bins are counted from the end."""

import copy
import dataclasses
import pathlib

import numpy as np
import pytest

from refinevad_jax.data.bags import Bag, read_split
from refinevad_jax.evaluation.causal import (
    CausalNetwork,
    CausalRule,
    CausalScorer,
    binned,
    replay,
)
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import read_run

WINDOW = 12


@pytest.fixture(scope="module")
def network(trained: pathlib.Path) -> CausalNetwork:
    """The tiny run as if it had been trained in bins, with smoothing and centring."""
    run = read_run(trained)
    graphdef, params, _ = restore(run, trained, "best")
    config = copy.deepcopy(run.config)
    config.eval.num_segments = run.median_segments // 2
    config.model.update(score_smoothing=0.1, score_centering=0.5)
    return CausalNetwork(
        graphdef, params, dataclasses.replace(run, config=config), None, window=WINDOW
    )


@pytest.fixture(scope="module")
def bags(tiny_data: pathlib.Path) -> list[Bag]:
    return sorted(read_split(str(tiny_data), "tiny", "val"), key=lambda bag: bag.num_segments)


def pushed(network: CausalNetwork, features: np.ndarray) -> tuple[list[float], np.ndarray]:
    """Scores of features [N, T, D] one by one, and the categories at each [T, C]."""
    scorer = CausalScorer(network)
    pairs = [scorer.push(features[:, t]) for t in range(features.shape[1])]
    return [score for score, _ in pairs], np.stack([probs for _, probs in pairs])


def test_the_rule_says_in_segments_what_a_run_says_in_shares(trained: pathlib.Path) -> None:
    run = read_run(trained)
    plain = CausalRule.of(run)
    assert (plain.window, plain.bin, plain.smoothing, plain.centering) == (64, 1, 0.0, 0.0)
    config = copy.deepcopy(run.config)
    config.eval.num_segments = 32
    config.model.update(score_smoothing=0.06, score_centering=0.5)
    binning = dataclasses.replace(run, config=config, median_segments=136)
    assert CausalRule.of(binning, 128) == CausalRule(128, 4, 0.06 * 136, 0.5, 136)
    short = dataclasses.replace(binning, median_segments=20)
    assert CausalRule.of(short).bin == 1


def test_bins_are_counted_back_from_the_newest_segment() -> None:
    rows = np.arange(7.0)[:, None]
    np.testing.assert_array_equal(binned(rows, 3)[:, 0], [0, 2, 5])
    np.testing.assert_array_equal(binned(rows[:6], 3)[:, 0], [1, 4])
    np.testing.assert_array_equal(binned(rows[:2], 3)[:, 0], [0.5])
    assert binned(rows, 1) is rows


def test_replaying_a_video_equals_pushing_it(network: CausalNetwork, bags: list[Bag]) -> None:
    assert network.rule.bin == 2 and network.rule.smoothing > 1
    for bag in (bags[0], bags[-1]):  # the longest takes several windows
        found = replay(network, bag)
        scores, probs = pushed(network, bag.features)
        np.testing.assert_allclose(found.scores, scores, atol=1e-5)
        np.testing.assert_allclose(found.category_probs, probs[found.scores.argmax()], atol=1e-5)
    assert bags[-1].num_segments > 2 * WINDOW and np.ptp(scores) > 1e-3


def test_a_stream_is_taken_less_its_own_median_so_far(
    network: CausalNetwork, bags: list[Bag], monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = bags[-1]
    before = replay(network, bag).scores
    monkeypatch.setattr(network, "takes_differences", True)
    found = replay(network, bag).scores
    scores, _ = pushed(network, bag.features)
    np.testing.assert_allclose(found, scores, atol=1e-5)
    assert np.abs(found - before).max() > 1e-3
    scorer = CausalScorer(network)
    for segment in range(9):
        windows = scorer._windows(bag.features[:, segment])
    start = bag.features[:, :9].astype(np.float32)
    own = (start - np.median(start, axis=1, keepdims=True)).astype(np.float16)
    np.testing.assert_array_equal(np.stack(windows), own)


def test_nothing_that_comes_later_changes_a_score(network: CausalNetwork, bags: list[Bag]) -> None:
    bag = bags[-1]
    whole = replay(network, bag).scores
    for length in (1, 5, WINDOW + 3):
        start = dataclasses.replace(bag, features=bag.features[:, :length])
        np.testing.assert_allclose(replay(network, start).scores, whole[:length], atol=1e-6)
    changed = bag.features.copy()
    changed[:, 10] += 5
    other = replay(network, dataclasses.replace(bag, features=changed)).scores
    np.testing.assert_array_equal(other[:10], whole[:10])
    assert (other[10:] != whole[10:]).any()


def test_smoothing_and_centring_come_after_the_network(
    network: CausalNetwork, bags: list[Bag]
) -> None:
    """The scores by their definition, from the raw logits of every window."""
    bag, rule = bags[-1], network.rule
    windows = [
        bag.features[crop, max(0, end - WINDOW) : end]
        for end in range(1, bag.num_segments + 1)
        for crop in range(2)
    ]
    raw = network(windows, len(windows))["logits"].reshape(-1, 2).astype(np.float64)
    ages = np.subtract.outer(np.arange(len(raw)), np.arange(len(raw)))

    def mean_of_the_past(width: float, values: np.ndarray) -> np.ndarray:
        weights = np.where(ages >= 0, np.exp(-np.maximum(ages, 0) / width), 0.0)
        return weights @ values / weights.sum(axis=1, keepdims=True)

    smooth = mean_of_the_past(rule.smoothing, raw)
    logits = smooth - 0.5 * np.maximum(mean_of_the_past(rule.level, smooth), 0)
    expected = (1 / (1 + np.exp(-logits))).mean(axis=1)
    np.testing.assert_allclose(replay(network, bag).scores, expected, atol=1e-5)
