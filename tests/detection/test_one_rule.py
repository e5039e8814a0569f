"""Evaluation, detection and the exported file say the same of the same features."""

import dataclasses
import itertools
import json
import pathlib
import shutil

import numpy as np
import pytest

from refinevad_jax.data.bags import read_split
from refinevad_jax.detection.detector import Detector
from refinevad_jax.evaluation.run import Settings, evaluate
from refinevad_jax.metrics.calibration import log_odds_of_mean, sigmoid
from refinevad_jax.runs import exported
from refinevad_jax.runs.calibration import Calibration, read_calibration, write_calibration
from refinevad_jax.runs.run import read_run, write_run
from tests.conftest import NUM_CHANNELS

QUIET = Settings(num_curves=0, report=False, verbose=False)


@pytest.fixture(scope="module", params=[0, 12])
def workdir(
    request: pytest.FixtureRequest,
    trained: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> pathlib.Path:
    """The tiny run, calibrated, at full length or in 12 bins; videos have 5 to 39 segments."""
    folder = tmp_path_factory.mktemp("rule") / "run"
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("eval", "config.json"))
    run = read_run(trained)
    run.config.eval.num_segments = request.param
    write_run(folder, run)
    stored = read_calibration(folder)
    assert stored is not None
    fitted = dataclasses.replace(stored, calibration=Calibration(0.6, -0.2), reason="")
    write_calibration(folder, fitted)
    evaluate(folder, split="val", step="best", settings=QUIET)
    evaluate(folder, split="test", step="best", settings=QUIET)
    return folder


def by_description(function, scoring: dict, features: np.ndarray) -> np.ndarray:
    """Scores of frames [F], by the steps that the exported file's description states."""
    count, length = scoring["num_segments"], features.shape[1]
    rows = features.astype(np.float32)
    if count:
        edges = np.linspace(0, length, count + 1).astype(int)
        bins = [
            rows[:, low:high].mean(axis=1) if high > low else rows[:, min(low, length - 1)]
            for low, high in itertools.pairwise(edges)
        ]
        rows = np.stack(bins, axis=1).astype(np.float16).astype(np.float32)
    logits = np.asarray(function(rows, np.ones(rows.shape[:2], bool))["logits"])
    logit = log_odds_of_mean(logits)
    fitted = scoring["calibration"]
    scores = sigmoid(fitted["slope"] * logit + fitted["offset"])
    frames = np.arange(16 * length)
    return scores[frames * (count or length) // len(frames)]


def test_all_call_the_same_frames_anomalous(workdir: pathlib.Path, tiny_data: pathlib.Path) -> None:
    folder = workdir / "eval" / "tiny-test-best"
    content = json.loads((folder / "metrics.json").read_text())
    events = json.loads((folder / "events.json").read_text())
    arrays = np.load(folder / "scores.npz")
    output = workdir / "model.bin"
    scoring = exported.export(workdir, output, step="best")["scoring"]
    function = exported.load(output)
    detector = Detector(workdir, "best")
    threshold = detector.threshold(None, None)
    assert threshold.source.startswith("1 % false alarms on val")
    assert threshold.value == events["threshold"] == scoring["thresholds"]["0.01"]["value"]
    assert scoring["num_segments"] == content["num_segments"] == detector.rule.num_segments
    flagged = 0
    low = dataclasses.replace(threshold, value=float(np.quantile(arrays["scores"], 0.8)) + 1e-9)
    for index, bag in enumerate(read_split(str(tiny_data), "tiny", "test")):
        length = bag.num_segments
        own = arrays["scores"][arrays["offsets"][index] : arrays["offsets"][index + 1]]
        found = detector.score(np.asarray(bag.features))
        np.testing.assert_allclose(found.scores, own, atol=1e-5)
        assert found.video_score == pytest.approx(arrays["video_scores"][index], abs=1e-5)
        frames = own[np.arange(16 * length) * len(own) // (16 * length)]
        named = by_description(function, scoring, np.asarray(bag.features)[..., :NUM_CHANNELS])
        np.testing.assert_allclose(named, frames, atol=1e-5)
        on_segments = detector.on_segments(found, length).scores
        assert on_segments.shape == (length,)
        highest = frames.reshape(length, 16).max(axis=1)
        np.testing.assert_allclose(on_segments, highest, atol=1e-5)
        np.testing.assert_array_equal(named >= low.value, frames >= low.value)
        flagged += (frames >= low.value).sum()
        detected = detector.events(found, length, 16 * length, threshold)
        assert [(e.start, e.end) for e in detected] == [
            (e["start_frame"], e["end_frame"]) for e in events["videos"][bag.video_id]
        ]
        inside = np.zeros(16 * length, bool)
        for event in detector.events(found, length, 16 * length, low):
            inside[event.start : event.end] = True
        assert inside[frames >= low.value].all()
    assert flagged
