"""Which threshold counts: that of scores made in the same way, and never silently one of test."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from refinevad_jax.runs.calibration import Calibration, read_calibration, write_calibration
from refinevad_jax.runs.run import Run, read_run
from refinevad_jax.runs.scoring_rule import (
    ScoringRule,
    override_note,
    scoring_rule,
    stored_threshold,
)

Store = Callable[..., None]


@pytest.fixture
def workdir(trained: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    copy = tmp_path / "run"
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("eval", "checkpoints"))
    return copy


@pytest.fixture
def rule(workdir: pathlib.Path) -> ScoringRule:
    stored = read_calibration(workdir)
    assert stored is not None
    found = scoring_rule(read_run(workdir), workdir, stored.step)
    assert found.note.startswith("6 normal and 6 anomalous videos to select by, 10 of each")
    assert found == ScoringRule(stored.step, 0, None, found.note)
    return found


@pytest.fixture
def store(workdir: pathlib.Path, rule: ScoringRule) -> Store:
    def write(split: str, value: float | None, rate: float = 0.02, **other: Any) -> None:
        point = {
            "threshold": value,
            "target_false_alarm_rate": rate,
            "false_alarm_rate": rate,
            "anomalous_videos_found": 0.75,
            "num_normal_segments": 500,
        }
        content = {
            "step": rule.step,
            "dataset": "tiny",
            "split": split,
            "num_segments": 0,
            "calibration": {"slope": None, "offset": None},
            "operating_points": [point],
        }
        folder = workdir / "eval" / f"{split}-{value}-{rate}"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps(content | other))

    return write


def words(workdir: pathlib.Path, rule: ScoringRule, rate: float = 0.02) -> str:
    found = stored_threshold(workdir, read_run(workdir), rule, rate)
    return f"{found.value}: {found.words}" if found else ""


def test_validation_comes_before_training_and_training_before_test(
    workdir: pathlib.Path, rule: ScoringRule, store: Store
) -> None:
    assert words(workdir, rule) == ""
    store("train", 0.1)  # the network was trained on its normal videos
    assert words(workdir, rule) == ""
    store("test", 0.7)
    reach = ", where 75 % of the anomalous videos reach it"
    chosen = "2 % false alarms on test (chosen on test: too good to be expected)"
    assert words(workdir, rule) == f"0.7: {chosen}{reach}"
    store("val", 0.6)
    assert words(workdir, rule) == f"0.6: 2 % false alarms on val{reach}"
    own = words(workdir, rule, 0.01)
    assert ": 1 % false alarms on the selection videos ('val')" in own
    assert "few" not in own
    assert "; above the highest of " in words(workdir, rule, 0.001)
    store("test", 0.8, rate=0.01)
    assert words(workdir, rule, 0.01) == own
    store("val", 0.5, rate=0.01)
    assert words(workdir, rule, 0.01) == f"0.5: 1 % false alarms on val{reach}"


def test_only_scores_of_the_same_rule_count(
    workdir: pathlib.Path, rule: ScoringRule, store: Store
) -> None:
    store("val", 0.1, step=rule.step + 1)
    store("val", 0.2, num_segments=32)
    store("val", 0.3, dataset="another")
    store("val", 0.4, calibration={"slope": 0.5, "offset": 0.0})
    store("val", None)
    store("val", 0.6, operating_points=[{}])
    store("val", 0.7, operating_point={"threshold": 0.5}, operating_points=None)
    (workdir / "eval" / "val-0.1-0.02" / "metrics.json").write_text("{")
    assert words(workdir, rule) == ""
    assert words(workdir, dataclasses.replace(rule, num_segments=32)).startswith("0.2: ")
    fitted = dataclasses.replace(rule, calibration=Calibration(0.5, 0.0))
    assert words(workdir, fitted).startswith("0.4: ")
    assert words(workdir, dataclasses.replace(rule, num_segments=32), 0.01) == ""


def test_without_a_calibration_a_run_says_so(workdir: pathlib.Path) -> None:
    run, stored = read_run(workdir), read_calibration(workdir)
    assert stored is not None
    fitted = dataclasses.replace(stored, calibration=Calibration(2.0, 1.0), reason="")
    write_calibration(workdir, fitted)
    assert scoring_rule(run, workdir, stored.step) == ScoringRule(
        stored.step, 0, Calibration(2.0, 1.0)
    )
    other = scoring_rule(run, workdir, 99, 8)
    assert other.calibration is None and other.num_segments == 8
    assert other.note == f"calibration.json belongs to step {stored.step}, not to step 99"
    (workdir / "calibration.json").unlink()
    assert "has no calibration.json" in scoring_rule(run, workdir, stored.step).note


def test_another_resolution_is_said(workdir: pathlib.Path) -> None:
    run: Run = read_run(workdir)
    assert override_note(run, None) == override_note(run, 0) == ""
    note = override_note(run, 8)
    assert note.startswith("--num_segments=8: scored in 8 bins per video; the run itself scores at")
