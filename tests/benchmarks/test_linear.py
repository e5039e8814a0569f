"""The linear systems: standardising, multiple-instance learning, smoothing, categories."""

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import linear_mil, peers
from benchmarks.linear_numbers import run_linear
from refinevad_jax.data.bags import read_info, read_split
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.score_files import read_scores

pytest.importorskip("sklearn")


def bags_with_one_anomalous_segment(num_videos, seed=0):
    """[V, 10, 4] of noise, the third segment of every second video is 4 in the first channel."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(num_videos, 10, 4)).astype(np.float32)
    anomalous = np.arange(num_videos) % 2 == 1
    features[anomalous, 2, 0] = 4.0
    return features, anomalous


def test_standardising_by_hand():
    features = np.array([[[0.0, 1.0], [2.0, 1.0]], [[4.0, 1.0], [6.0, 1.0]]])
    standard = linear_mil.Standard.of(features)
    np.testing.assert_allclose(standard.mean, [3, 1])
    np.testing.assert_allclose(standard.deviation, [np.sqrt(5), 1])  # 1 if nothing varies
    np.testing.assert_allclose(standard(np.array([3 + np.sqrt(5), 2.0])), [1, 1], rtol=1e-6)
    np.testing.assert_allclose(standard(np.array([-1e3, 1e3])), [-10, 10])


def test_a_video_is_the_mean_of_its_highest_fifth():
    values = np.array([np.arange(10.0), np.arange(10.0)[::-1]])
    np.testing.assert_allclose(linear_mil.top_mean(values), [8.5, 8.5])
    np.testing.assert_allclose(linear_mil.top_mean(np.array([[1.0, 3.0]])), [3.0])


def test_rounds_find_the_segment_behind_a_label():
    features, anomalous = bags_with_one_anomalous_segment(60)
    model = linear_mil.fit(features, anomalous, 1.0)
    others, truth = bags_with_one_anomalous_segment(20, seed=1)
    found = linear_mil.logits(model, others)
    assert (found[truth].argmax(axis=1) == 2).mean() > 0.9
    # Two of ten segments of the last round's videos are taken for anomalous, not all ten.
    assert (found[truth] > 0).mean() < 0.3
    probabilities, videos = linear_mil.scores(found)
    assert probabilities.shape == (20, 10)
    assert np.median(videos[truth]) > videos[~truth].max()


def test_the_penalty_is_chosen_on_recordings_left_out(monkeypatch):
    features, anomalous = bags_with_one_anomalous_segment(40)
    groups = np.arange(40) // 4
    monkeypatch.setattr(linear_mil, "STRENGTHS", (1e-6, 1e-1))
    strength, aucs = linear_mil.choose_strength(features, anomalous, groups, 0.0)
    assert set(aucs) == set(linear_mil.STRENGTHS) and aucs[strength] == max(aucs.values())
    assert aucs[strength] > 0.9


def test_smoothing_is_that_of_the_network():
    flat = np.full((2, 8), -1.5)
    np.testing.assert_allclose(linear_mil.smoothed(flat, -1.5, 0.1), flat, rtol=1e-5)
    peak = np.zeros((1, 9))
    peak[0, 4] = 1.0
    found = linear_mil.smoothed(peak, 0.0, 0.1)[0]
    decay = np.exp(-1 / (0.1 * 9))
    np.testing.assert_allclose(found[4] * decay, found[5], rtol=1e-5)
    np.testing.assert_allclose(found[4], (1 - decay) / (1 + decay), rtol=1e-5)
    assert linear_mil.smoothed(peak, 0.0, 0.0) is peak


def test_categories_of_several_labels_and_of_one():
    rng = np.random.default_rng(0)
    labels = np.eye(3, dtype=bool)[np.arange(30) % 3]
    labels[:, 2] = False  # every third video is normal, no video has the third category
    labels[0, 1] = True
    features = rng.normal(scale=0.1, size=(30, 6, 3)).astype(np.float32)
    features[:, 3] += labels
    found = linear_mil.category_probs(features, labels, features[:5])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    np.testing.assert_array_equal(found[:, 2], 0.0)
    assert found[3].argmax() == 0 and found[4].argmax() == 1 and abs(found[0, 0] - 0.5) < 0.2
    only = linear_mil.category_probs(features, labels & [True, False, False], features[:2])
    np.testing.assert_array_equal(only, [[1, 0, 0], [1, 0, 0]])


def test_groups_are_recordings_or_videos(tiny_data):
    task = peers.Task(str(tiny_data), "tiny", ["val"], 8)
    _, train, _ = peers.read_reported(task)
    assert len(set(linear_mil.groups_of(train.bags))) == 24


def test_the_command_reports_every_split_and_saves_scores(tiny_data, tmp_path, capsys):
    task = peers.Task(str(tiny_data), "tiny", ["val", "test"], 8, save_scores=str(tmp_path / "s"))
    text = run_linear(task, strength=0.1, smoothing=0.05)
    found = json.loads(text.splitlines()[-1])
    assert list(found["rows"]) == ["val", "test"] and found["strength"] == 0.1
    assert found["rows"]["val"][0]["video_auc"] > 0.8
    assert str(tiny_data) not in text
    bags = read_split(str(tiny_data), "tiny", "test")
    given = read_scores(
        tmp_path / "s" / "linear-tiny-test.npz", read_info(str(tiny_data), "tiny"), bags
    )
    auc = given.split.arrays.ranking.roc_auc()
    assert auc == pytest.approx(found["rows"]["test"][0]["frame_auc"])
    capsys.readouterr()
    text = run_linear(dataclasses.replace(task, split=["val"]), "recording", strength=0.1)
    other = json.loads(text.splitlines()[-1])
    assert other["normalization"] == "recording"
    assert "no recording has two training videos" in capsys.readouterr().out
    assert 0.5 < other["rows"]["val"][0]["video_auc"] != found["rows"]["val"][0]["video_auc"]


def test_training_videos_of_one_kind_are_one_line(tiny_data, monkeypatch):
    task = peers.Task(str(tiny_data), "tiny", ["val"], 8)
    read = peers.read_split
    monkeypatch.setattr(
        peers, "read_split", lambda *a: [bag for bag in read(*a) if not bag.anomalous]
    )
    with pytest.raises(UserError, match="all 12 training videos are normal"):
        peers.read_reported(task)
