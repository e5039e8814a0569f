"""A calibration moves thresholds and changes no ranking."""

import dataclasses
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest

from refinevad_jax.evaluation.run import Settings, evaluate
from refinevad_jax.metrics.calibration import brier_score, sigmoid
from refinevad_jax.runs.calibration import Calibration, read_calibration, write_calibration

QUIET = Settings(num_curves=0, report=False)
# What a threshold on scores decides, and how well they are meant as probabilities.
OF_SCORES = {"false_alarm_rate", "operating_points", "calibration", "alarm_threshold"}


@pytest.fixture(scope="module")
def pair(
    trained: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """metrics.json and arrays of one network, without and with a calibration."""
    folder = tmp_path_factory.mktemp("calibrated")
    found = []
    for name in ("plain", "calibrated"):
        workdir = folder / name
        shutil.copytree(trained, workdir, ignore=shutil.ignore_patterns("eval"))
        stored = read_calibration(workdir)
        assert stored is not None
        if name == "calibrated":
            fitted = dataclasses.replace(stored, calibration=Calibration(0.37, -1.3), reason="")
            write_calibration(workdir, fitted)
        content = evaluate(workdir, split="test", step="best", settings=QUIET)
        with np.load(workdir / "eval" / "tiny-test-best" / "scores.npz") as arrays:
            found.append((content, dict(arrays)))
    return found


def test_no_ranking_metric_changes(pair: list[Any]) -> None:
    (before, _), (after, _) = pair
    assert before.keys() == after.keys() and before["localization"]["proposals"]
    for key in before.keys() - OF_SCORES:
        assert before[key] == after[key], key
    for one, other in zip(before["operating_points"], after["operating_points"], strict=True):
        threshold = one.pop("threshold"), other.pop("threshold")
        assert one == other
        expected = sigmoid(0.37 * np.log(threshold[0] / (1 - threshold[0])) - 1.3)
        assert threshold[1] == pytest.approx(expected, abs=1e-9)


def test_scores_follow_the_calibration(pair: list[Any]) -> None:
    (before, plain), (after, arrays) = pair
    np.testing.assert_array_equal(plain["logits"], arrays["logits"])
    np.testing.assert_array_equal(plain["scores"], sigmoid(plain["logits"]))
    np.testing.assert_array_equal(arrays["scores"], sigmoid(0.37 * arrays["logits"] - 1.3))
    logit = np.log(plain["video_scores"] / (1 - plain["video_scores"]))
    np.testing.assert_allclose(arrays["video_scores"], sigmoid(0.37 * logit - 1.3), rtol=1e-9)
    anomalous = plain["labels"].any(axis=1)
    of_plain, of_calibrated = before["calibration"], after["calibration"]
    assert of_plain["after"] is None and "10 of each are needed" in of_plain["note"]
    assert of_plain["before"] == of_calibrated["before"]
    assert (of_calibrated["slope"], of_calibrated["offset"], of_calibrated["note"]) == (
        0.37,
        -1.3,
        "'val'",
    )
    assert of_calibrated["after"]["brier"] == brier_score(arrays["video_scores"], anomalous)
    counts = [row["num_videos"] for row in of_calibrated["after"]["reliability"]]
    assert len(counts) == 10 and sum(counts) == len(anomalous)
