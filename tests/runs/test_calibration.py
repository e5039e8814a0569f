"""calibration.json: what is read is what was written, damage is one line, a later one goes."""

import dataclasses
import json
import pathlib

import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.runs.calibration import (
    NAME,
    Calibration,
    Stored,
    drop_later_calibration,
    read_calibration,
    write_calibration,
)

STORED = Stored(6, 0, 12, 14, Calibration(0.5, -1.0), "", [{"target_false_alarm_rate": 0.01}])


def test_what_is_read_is_what_was_written(tmp_path: pathlib.Path) -> None:
    assert read_calibration(tmp_path) is None
    without = dataclasses.replace(STORED, calibration=None, reason="too few")
    for stored in (STORED, without):
        write_calibration(tmp_path, stored)
        assert read_calibration(tmp_path) == stored


@pytest.mark.parametrize(
    "change",
    [
        {"calibration": {"slope": -1, "offset": 0}},
        {"calibration": {"slope": "x", "offset": 0}},
        {"calibration": [1, 2]},
        {"step": None},
        {"more": 1},
        {"operating_points": [{}]},
    ],
)
def test_damage_is_named_and_training_writes_it_again(tmp_path: pathlib.Path, change: dict) -> None:
    write_calibration(tmp_path, STORED)
    content = json.loads((tmp_path / NAME).read_text()) | change
    for text in (json.dumps(content), "{", "[1]"):
        (tmp_path / NAME).write_text(text)
        with pytest.raises(UserError, match=r"calibration\.json: damaged; remove it and run"):
            read_calibration(tmp_path)
        drop_later_calibration(tmp_path, 0)


def test_that_of_a_later_step_goes(tmp_path: pathlib.Path) -> None:
    drop_later_calibration(tmp_path, 3)
    write_calibration(tmp_path, STORED)
    drop_later_calibration(tmp_path, 6)
    assert read_calibration(tmp_path) == STORED
    drop_later_calibration(tmp_path, 5)
    assert read_calibration(tmp_path) is None
