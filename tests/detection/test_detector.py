"""Scores, thresholds, and what is refused with which reason."""

import pathlib
import shutil

import numpy as np
import pytest

from refinevad_jax.detection import detector as detector_lib
from refinevad_jax.detection import run_detection
from refinevad_jax.detection.detector import Detector
from refinevad_jax.errors import UserError
from refinevad_jax.runs.scoring_rule import Threshold
from tests.detection.conftest import WIDTH


def features(seed: int, length: int = 20, crops: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(crops, length, WIDTH)).astype(np.float32)


def test_crops_are_averaged(detector: Detector) -> None:
    both = features(1, crops=2)
    apart = [detector.score(both[[i]]).scores for i in range(2)]
    np.testing.assert_allclose(detector.score(both).scores, np.mean(apart, axis=0), atol=2e-3)


def test_what_does_not_fit_is_refused(detector: Detector, trained: pathlib.Path) -> None:
    detector.check("a.npy", WIDTH, "", 1)
    detector.check("a.npy", WIDTH, "random", 1)
    with pytest.raises(UserError, match=r"a\.npy.* visual \(1024\), the run was trained on"):
        detector.check("a.npy", 1024, "", 1)
    with pytest.raises(UserError, match="encoded by 'i3d', the run was trained on 'random'"):
        detector.check("a.npy", WIDTH, "i3d", 1)
    with pytest.raises(UserError, match=r"a\.npy: 10 crops per segment, the run was trained on 1"):
        detector.check("a.npy", WIDTH, "random", 10)
    unit = np.eye(WIDTH, dtype=np.float32)[None, :4]
    with pytest.raises(UserError, match="rows normalised as 'l2', the run was trained on 'none'"):
        detector.check("a.npy", WIDTH, "", 1, unit)
    detector.check("a.npy", WIDTH, "", 1, 0 * unit)
    Detector(trained, "best", allow_mismatch=True).check("a.npy", WIDTH, "i3d", 10, unit)


def test_videos_are_cut_as_in_training(trained: pathlib.Path) -> None:
    two = Detector(trained, "best")
    with pytest.raises(UserError, match="trained on 2 crops per segment, but 1 or 10"):
        run_detection.choose_crops(two, run_detection.DetectionSettings())
    assert run_detection.choose_crops(two, run_detection.DetectionSettings(num_crops=10)) == 10


def test_thresholds(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir, ignore=shutil.ignore_patterns("eval"))
    detector = Detector(workdir, "best")
    assert detector.threshold(0.3, None) == Threshold(0.3, "given")
    own = detector.threshold(None, None)
    assert own == detector.threshold(None, 0.01)
    assert own.source.startswith("1 % false alarms on the selection videos ('val')")
    assert 0 <= own.found <= 1
    command = r"--false_alarm_rate=0\.02 --split=val$"
    with pytest.raises(
        UserError, match=rf"0\.02 and step {detector.step} at full length.*{command}"
    ):
        detector.threshold(None, 0.02)
    other = Detector(workdir, "best", num_segments=8)
    assert other.threshold(None, None) == Threshold(
        0.5, f"default, as none is stored for step {other.step} in 8 bins per video"
    )
    with pytest.raises(UserError, match=r"in 8 bins per video; .*--num_segments=8$"):
        other.threshold(None, 0.02)
    assert other.notes()[0].startswith("--num_segments=8: scored in 8 bins per video; the run")
    assert not [note for note in detector.notes() if "--num_segments" in note]


def test_events_name_a_category(detector: Detector) -> None:
    found = detector.score(features(4, 64))
    threshold = detector.threshold(float(np.quantile(found.scores, 0.8)), None)
    events = detector.events(found, 64, 64 * 16 + 3, threshold)
    assert events
    for event in events:
        assert 0 <= event.start < event.end <= 64 * 16
        assert 0 <= event.category < len(detector.categories)
    assert detector.events(found, 64, 64 * 16, detector.threshold(1.0, None)) == []


def test_no_workdir(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="is not a workdir"):
        Detector(tmp_path, "best")


def test_names_change_the_categories_and_no_score(
    named: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector_lib, "embedded_names", lambda names: np.eye(len(names), 384)[::-1])
    own, asked = Detector(named, "best"), Detector(named, "best", categories=["fire", "A"])
    assert asked.categories == ("fire", "A") and own.categories == ("A", "B", "C")
    bag = features(1, crops=2)
    before, after = own.score(bag), asked.score(bag)
    np.testing.assert_array_equal(after.scores, before.scores)
    np.testing.assert_allclose(after.category_probs, before.category_probs[1::-1], rtol=1e-5)
    assert before.category_probs.std() > 1e-4
    (event, *_) = asked.events(after, 20, 320, Threshold(0.0, "given"))
    assert asked.categories[event.category] == ("fire", "A")[after.category_probs.argmax()]


def test_names_that_cannot_be_asked_for_are_refused(
    named: pathlib.Path, trained: pathlib.Path
) -> None:
    with pytest.raises(UserError, match=r"--categories: .*category_names=sentences"):
        Detector(trained, "best", categories=["fire"])
    for names, reason in {
        ("fire", ""): "'' does not name an anomaly",
        ("normal",): "'normal' does not name an anomaly",
        ("fire", "fire"): "of --categories: 'fire' appears twice",
        ("a\nb",): "control characters",
    }.items():
        with pytest.raises(UserError, match=reason):
            Detector(named, "best", categories=names)
