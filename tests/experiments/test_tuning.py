"""Tuning: its measure by hand, its rule on made-up gains, the whole command on tiny bags."""

import dataclasses
import pathlib
import runpy

import numpy as np
import pytest
from ml_collections import ConfigDict

from refinevad_jax import config as config_lib
from refinevad_jax.data.bags import Bag, read_info, read_split
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.experiments import tune_table, tuning
from refinevad_jax.experiments.cross_validation import OutOfFold, auc_within, has_both_kinds
from refinevad_jax.experiments.tuning import Tuning


def scores(logit: float) -> VideoScores:
    nothing = np.zeros(0)
    return VideoScores(nothing, 0.0, nothing, nothing, nothing, video_logit=logit)


def test_pairs_of_one_fold_are_compared() -> None:
    labels = np.array([[False], [True], [False], [True], [False]])
    # Fold 0: 0 < 1. Fold 1: video 3 is above 2 and below 4. The folds' levels do not matter.
    found = OutOfFold(np.array([[0, 0, 1, 1, 1]]), [[scores(x) for x in (50, 60, 1, 2, 3)]])
    measured = found.measured(labels, np.array([""] * 5))
    np.testing.assert_allclose(measured["video_auc"], [1.0, 0.5])
    assert set(measured) == {"video_auc"}
    # Within recordings: 0 < 1 in x, 2 < 3 in y; z has no pair.
    both = found.measured(labels, np.array(["x", "x", "y", "y", "z"]))
    np.testing.assert_allclose(both["video_auc"], [1.0, 0.5])
    np.testing.assert_allclose(both["within_auc"], [1.0, 1.0])


def test_pairs_of_one_recording_are_compared_too_if_recordings_have_both_kinds() -> None:
    anomalous = np.array([False, True, False, True, True])
    recordings = np.array(["x", "x", "y", "y", "z"])
    assert has_both_kinds(anomalous, recordings)
    assert not has_both_kinds(anomalous, np.array(["", "", "", "y", "z"]))
    assert not has_both_kinds(anomalous, np.array(["x", "y", "x", "y", "y"]))
    # z has one kind; y is wrong whatever x is above it.
    assert auc_within(anomalous, np.array([5.0, 6.0, 2.0, 1.0, 0.0]), recordings) == 0.5
    assert np.isnan(auc_within(anomalous, np.zeros(5), np.array(list("abcde"))))


@pytest.fixture
def small(tiny_config: ConfigDict) -> ConfigDict:
    tiny_config.data.selection_split = "train"
    tiny_config.train.update(num_epochs=1)
    return tiny_config


def tuned(
    config: ConfigDict, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, **gains: float
) -> tuple[ConfigDict, list[tuning.Tried]]:
    """The rule, where "segments alone" etc. give a video AUC of 0.8 plus their gain."""
    noise = np.array([-0.01, 0.0, 0.01])

    def metrics(self: Tuning, name: str, config: ConfigDict) -> dict[str, np.ndarray]:
        gain = gains.get(name.replace(" ", "_").replace(",", ""), 0.0)
        order = noise if name == "as given" else noise[::-1]
        return {"video_auc": 0.8 + gain + order}

    monkeypatch.setattr(Tuning, "_metrics", metrics)
    data = config.data
    bags = read_split(data.data_dir, data.dataset, "train")
    info = read_info(data.data_dir, data.dataset)
    return Tuning(config, info, bags, folder, num_folds=3, num_repeats=1).run()


def test_a_candidate_is_taken_if_its_gain_is_above_its_error(
    small: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, tried = tuned(small, tmp_path, monkeypatch)
    assert [one.candidate.name for one in tried if one.chosen] == ["as given"]
    assert given.model == small.model
    # 100 steps at least, in ten epochs; then the last step is the one that was chosen.
    assert (given.train.min_steps, given.train.num_epochs) == (100, 10)
    assert given.train.selection_metric == "step"
    better = {"normalization_training": 0.05, "300_steps": 0.1}
    config, tried = tuned(small, tmp_path, monkeypatch, **better)
    taken = [one.candidate.name for one in tried if one.chosen]
    assert taken == ["as given", "normalization training", "300 steps"]
    assert (config.train.min_steps, config.data.normalization) == (300, "training")


def test_what_is_level_is_not_taken_for_having_fewer_parts(
    small: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("segments_alone", "segments_alone_normalization_training", "linear", "no_shift")
    config, tried = tuned(small, tmp_path, monkeypatch, **dict.fromkeys(names, 0.001))
    assert [one.candidate.name for one in tried if one.chosen] == ["as given"]
    assert config.model == small.model


def test_a_linear_scorer_is_taken_if_it_is_better(
    small: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tried = tuned(small, tmp_path, monkeypatch, linear=0.05)
    assert [one.candidate.name for one in tried if one.chosen][:2] == ["as given", "linear"]
    assert (config.model.scorer_width, config.loss.mil) == (0, "segments")
    assert (config.train.min_steps, config.loss.whole_steps) == (tuning.LINEAR_STEPS, 200)
    # A third of the steps is a third of both rounds.
    (fewer,) = tuning._steps(config)
    assert fewer.changes == {"train.min_steps": 100, "loss.whole_steps": 66}
    # Given one, nothing is tried that reaches the network alone.
    _, tried = tuned(config, tmp_path, monkeypatch)
    names = {one.candidate.name for one in tried}
    assert "smoothed scores" in names and not {"linear", "neighbours", "segments alone"} & names


def test_recordings_are_tried_if_most_videos_have_others_of_theirs(
    small: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_split

    def with_recordings(*place: str) -> list[Bag]:
        bags = read(*place)
        names = [f"cam{index % 4}" for index in range(13)] + [""] * len(bags)
        return [
            dataclasses.replace(bag, recording=own) for bag, own in zip(bags, names, strict=False)
        ]

    name = "normalization recording"
    _, tried = tuned(small, tmp_path, monkeypatch)
    assert name not in {one.candidate.name for one in tried}
    monkeypatch.setitem(globals(), "read_split", with_recordings)
    _, tried = tuned(small, tmp_path, monkeypatch)
    changes = {one.candidate.name: one.candidate.changes for one in tried}
    assert {name, "segments alone, " + name, "normalization video"} < set(changes)
    assert changes["linear"]["data.normalization"] == "recording"
    config, tried = tuned(small, tmp_path, monkeypatch, linear=0.05)
    assert config.data.normalization == "recording"
    assert [one.candidate.name for one in tried].count(name) == 1


def test_the_command_tries_writes_and_goes_on(
    small: ConfigDict,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tuning, "FEWEST_STEPS", 2)
    first = tuning._inputs_and_neighbours
    monkeypatch.setattr(tuning, "_inputs_and_neighbours", lambda *given: first(*given)[1:2])
    monkeypatch.setattr(tuning, "_steps", lambda config: [])
    monkeypatch.setattr(tuning, "_single_parts", lambda *given: [])
    data = small.data
    bags = read_split(data.data_dir, data.dataset, "train")
    info = read_info(data.data_dir, data.dataset)

    def run() -> tuple[ConfigDict, Tuning, list[tuning.Tried]]:
        own = Tuning(small, info, bags, tmp_path / "tried", num_folds=2, num_repeats=1)
        return *own.run()[:1], own, own.run()[1]

    chosen, own, tried = run()
    text = tune_table.write(tmp_path, small, chosen, tried, own)
    assert (tmp_path / "tune.md").read_text() == text
    assert text.count("\n| ") == len(tried) + 1
    written = runpy.run_path(str(tmp_path / "tuned.py"))["get_config"]()
    config_lib.validate(written)
    assert written.to_json() == chosen.to_json()
    out = capsys.readouterr().out
    assert out.count("tried before") == len(tried)
    next((tmp_path / "tried").iterdir()).write_text("{")  # damaged: tried again
    assert [one.gain for one in run()[2]] == [one.gain for one in tried]


def test_videos_that_share_segments_leave_the_configuration_as_it_is(
    small: ConfigDict, tmp_path: pathlib.Path
) -> None:
    data = small.data
    bags: list[Bag] = read_split(data.data_dir, data.dataset, "train")
    info = read_info(data.data_dir, data.dataset)
    same = [bags[0].__class__(**{**vars(bag), "features": bags[0].features}) for bag in bags]
    own = Tuning(small, info, same, tmp_path, num_folds=2, num_repeats=1)
    config, tried = own.run()
    assert not tried
    assert "of 1 recordings" in own.reason_to_keep
    assert config.to_json() == small.to_json()
    anomalous = [dataclasses.replace(bag, recording="cam" if bag.anomalous else "") for bag in bags]
    own = Tuning(small, info, anomalous, tmp_path, num_folds=2, num_repeats=1)
    assert "All anomalous training videos are of one recording" in own.reason_to_keep
    small.transfer.workdir = "runs/other"
    with pytest.raises(UserError, match="tuning trains from the start"):
        Tuning(small, info, bags, tmp_path, num_folds=2, num_repeats=1)
    small.transfer.workdir = ""
    with pytest.raises(UserError, match="--folds=13: the training list has 12 normal"):
        Tuning(small, info, bags, tmp_path, num_folds=13, num_repeats=1)


def test_a_candidate_that_is_worse_within_recordings_is_not_taken() -> None:
    candidate = tuning.Candidate("one", "a reason", {})
    gain, worse = tuning.Gain(0.1, 0.02), tuning.Gain(-0.03, 0.02)
    assert tuning.Tried(candidate, {}, gain).acceptable
    found = tuning.Tried(candidate, {}, gain, worse)
    assert not found.acceptable and found.sure == "clearly better; worse within recordings"
    level = tuning.Gain.of(np.array([0.5, np.nan, 0.7]), np.array([0.6, 0.1, 0.6]))
    assert (level.mean, level.sure) == (0.0, "level")
    assert tuning.Tried(candidate, {}, gain, level).acceptable
