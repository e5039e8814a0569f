"""The end of training stores a calibration and thresholds, of the best checkpoint and no other."""

import pathlib
import shutil

import numpy as np
import pytest
from ml_collections import ConfigDict

from refinevad_jax.evaluation.run import Settings, evaluate
from refinevad_jax.runs.calibration import Calibration, read_calibration
from refinevad_jax.runs.checkpoints import Checkpoints
from refinevad_jax.training import calibration, loop


def best(workdir: pathlib.Path) -> int:
    checkpoints = Checkpoints(workdir, metric="video_auc")
    found = checkpoints.resolve("best")
    checkpoints.close()
    return found


def test_thresholds_are_those_of_an_evaluation_of_the_same_videos(
    trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("eval"))
    stored = read_calibration(copy)
    assert stored is not None
    assert stored.step == best(copy) and stored.calibration is None
    assert (stored.num_normal, stored.num_anomalous, stored.num_segments) == (6, 6, 0)
    quiet = Settings(num_curves=0, report=False, verbose=False)
    content = evaluate(copy, split="val", step="best", settings=quiet)
    for own, measured in zip(stored.operating_points, content["operating_points"], strict=True):
        assert own["detection_rate"] is None  # training reads no frame truth
        assert own | {"detection_rate": measured["detection_rate"]} == measured


def test_enough_videos_give_a_calibration_that_follows_the_best_checkpoint(
    trained: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(calibration, "FEWEST_VIDEOS", 6)
    copy = tmp_path / "run"
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("eval"))
    (copy / "calibration.json").write_text("{")  # damaged: made again
    loop.train(tiny_config, copy)
    said = capsys.readouterr().out
    assert "scores calibrated on 6 normal and 6 anomalous videos (slope" in said
    first = read_calibration(copy)
    assert first is not None and first.calibration is not None and first.step == best(copy)
    tiny_config.train.num_epochs = 4
    loop.train(tiny_config, copy)
    grown = read_calibration(copy)
    assert grown is not None and grown.step == best(copy)


def test_a_calibration_that_would_turn_the_order_is_not_fitted() -> None:
    anomalous = np.arange(20) < 10
    logits = np.arange(20.0)
    fitted, reason = calibration._fitted(logits, anomalous)
    assert fitted is None and "do not score higher than normal ones" in reason
    assert calibration._fitted(np.ones(20), anomalous)[1].endswith("the same score")
    fitted, reason = calibration._fitted(-logits, anomalous)
    assert isinstance(fitted, Calibration) and fitted.slope > 0 and not reason
