"""The record beside a feature file: what it must hold, and which frame a time is."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

from refinevad_jax.encoders.record import read_record, time_facts
from refinevad_jax.errors import UserError

FACTS: dict[str, Any] = {
    "encoder": "i3d",
    "num_frames": 80,
    "fps": 25.0,
    "num_segments": 5,
    "features_sha256": "0" * 64,
}


def write(folder: pathlib.Path, **changes: Any) -> pathlib.Path:
    (folder / "a.json").write_text(json.dumps(FACTS | changes))
    return folder / "a.npy"


def test_a_record_is_read(tmp_path: pathlib.Path) -> None:
    record = read_record(write(tmp_path))
    assert record is not None and record.path == tmp_path / "a.json"
    assert (record.encoder, record.num_frames, record.rate) == ("i3d", 80, 25)
    assert record.frame_at(2) == 50


def test_times_of_segments_decide_the_frame(tmp_path: pathlib.Path) -> None:
    edges = [0, 1, 4, 6, 8.9, 9.4]
    record = read_record(write(tmp_path, segment_seconds=edges))
    assert record is not None and record.rate == pytest.approx(80 / 9.4)
    assert [record.frame_at(second) for second in edges] == [0, 16, 32, 48, 64, 80]
    assert record.frame_at(5) == 40
    assert record.frame_at(10.4) == pytest.approx(80 + 80 / 9.4)  # behind the last segment


def test_no_record(tmp_path: pathlib.Path) -> None:
    assert read_record(tmp_path / "a.npy") is None
    assert read_record(tmp_path / f"{'a' * 251}.npy") is None
    (tmp_path / "a.json").write_text('{"encoder": "of another program"}')
    assert read_record(tmp_path / "a.npy") is None
    (tmp_path / "a.json").write_text("[1]")
    assert read_record(tmp_path / "a.npy") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": ""},
        {"encoder": None},
        {"encoder": "i3d\n"},
        {"num_frames": 0},
        {"num_frames": 1.5},
        {"num_frames": 960},
        {"num_frames": 2**31},
        {"fps": -1},
        {"fps": "25"},
        {"fps": float("nan")},
        {"fps": 10**400},
        {"num_segments": True},
        {"features_sha256": 1},
        {"segment_seconds": [0, 1]},
        {"segment_seconds": [0, 1, 3, 2, 4, 5]},
        {"segment_seconds": [0] * 6},
        {"segment_seconds": [0, 1, 2, 3, 4, None]},
        {"segment_seconds": [0, 1, 2, 3, 4, 10**400]},
        {"segment_seconds": "0 1 2 3 4 5"},
    ],
)
def test_a_damaged_record_is_refused(tmp_path: pathlib.Path, changes: dict[str, Any]) -> None:
    features = write(tmp_path, **changes)
    with pytest.raises(UserError, match=rf"a\.json: not a record .* \({next(iter(changes))} is"):
        read_record(features)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"a\.json: not a record .*, or move the \.json away"):
        read_record(features)


def test_times_are_recorded_if_the_rate_varies() -> None:
    even = (np.arange(40) / 25).tolist()
    assert time_facts(even, 25.0) == {"num_frames": 40, "fps": 25.0, "num_segments": 2}
    assert time_facts(even, 0.0)["segment_seconds"] == [0, 0.64, 1.28]
    assert time_facts(even[:32], 50.0)["segment_seconds"] == [0, 0.64, 1.26]  # the last: 1 / fps
    uneven = [second + (second > 0.5) for second in even]
    assert time_facts(uneven, 25.0)["segment_seconds"] == [0, 1.64, 2.28]
