"""Several cameras give the scores of each alone, and their troubles stay their own."""

import io
import json
import os
import pathlib
import threading
import time
from typing import Any

import numpy as np
import pytest

from refinevad_jax.cameras import camera, watcher
from refinevad_jax.cameras.settings_file import SettingsFile
from refinevad_jax.cameras.sinks import Sinks
from refinevad_jax.cameras.watcher import Watcher
from refinevad_jax.detection import stream
from refinevad_jax.detection.detector import Detector
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from tests.cameras.stand_ins import Board, Printed, SlowFile, Source
from tests.detection.conftest import coloured

WINDOW = 6
SETTINGS = {"threshold": 0.5, "window": WINDOW, "num_crops": 1, "batch_size": 4, "end_after": 0.0}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "PACE", 0.0)
    monkeypatch.setattr(camera, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(watcher, "_TICK_S", 0.0)


def play(monkeypatch: pytest.MonkeyPatch, sources: dict[str, list[Any]]) -> None:
    """What each source gives when it is opened, one after the other; then it is gone."""

    def open_live(source: str) -> Source:
        if not sources[source]:
            raise UserError(f"{source}: no video comes from there")
        return sources[source].pop(0)

    monkeypatch.setattr(camera, "open_live", open_live)


def test_scores_are_those_of_each_stream_alone(
    detector: Detector, encoder: VisualEncoder, tmp_path: pathlib.Path
) -> None:
    pytest.importorskip("av", reason="pip install av")
    clips = {f"cam {seed}": str(tmp_path / f"{seed}.mp4") for seed in range(3)}
    for seed, path in enumerate(clips.values()):
        write_video(pathlib.Path(path), coloured(16 * (4 + 2 * seed), seed), fps=25)
    printed, board = Printed(), Board()
    found = Watcher(clips, detector, encoder, printed.sinks, rows=True, board=board, **SETTINGS)
    found.run(lambda: False)
    threshold = detector.threshold(0.5, None)
    rows = [line for line in printed.lines if "camera" in line and "segment" in line]
    for name, path in clips.items():
        alone = stream.watch(path, detector, encoder, threshold, window=WINDOW, num_crops=1)
        expected = [json.loads(line) for line in alone]
        mine = [row for row in rows if row["camera"] == name]
        assert [row["segment"] for row in mine] == list(range(len(expected)))
        for key in ("score", "start_seconds"):
            values = [[row[key] for row in some] for some in (mine, expected)]
            np.testing.assert_allclose(values[0], values[1], atol=1e-5)
        assert [row["alarm"] for row in mine] == [row["alarm"] for row in expected]
    assert found.num_segments == 4 + 6 + 8 == len(board.scores)
    assert len({round(score, 4) for _, _, score in board.scores}) > 6
    ended = {event.event_id for event in board.events.values() if event.end is not None}
    assert ended == set(board.events) == {m["id"] for m in printed.lines if "message" in m}


def test_what_happens_to_a_camera_that_breaks_off(
    detector: Detector,
    encoder: VisualEncoder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An event that was open is ended, the other camera goes on, and a third never comes."""
    frames = coloured(16 * 6 + 5)
    small = [frame[:24, :32] for frame in frames]
    opened = {
        "rtsp://a": [Source(frames, "gone"), Source(small, "gone")],
        "rtsp://b": [],
        "rtsp://c": [Source(frames, recording=True)],
    }
    play(monkeypatch, opened)
    printed, board = Printed(), Board()
    sources = {name: f"rtsp://{name}" for name in "abc"}
    found = Watcher(
        sources, detector, encoder, printed.sinks, board=board, **(SETTINGS | {"threshold": 0.0})
    )
    until = time.monotonic() + 20

    def stopped() -> bool:
        messages = [(m["camera"], m["message"]) for m in printed.lines]
        return messages.count(("a", "end")) == 2 or time.monotonic() > until

    found.run(stopped)
    ended = {(m["camera"], m["ended_by"]) for m in printed.lines if m["message"] == "end"}
    assert ended == {("a", "lost"), ("c", "stop")}
    said = capsys.readouterr().err
    assert said.count("lost: a: gone; trying again until it comes back") == 2
    assert said.count("back: a after 0.") == 1
    assert said.count("lost: b: rtsp://b: no video comes from there") == 1  # not at every attempt
    assert {"live", "lost", "ended"} <= set(board.states)
    assert not [t for t in threading.enumerate() if t.name.startswith("camera ")]


def test_a_slow_encoder_drops_the_oldest(
    detector: Detector,
    encoder: VisualEncoder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    play(monkeypatch, {"rtsp://a": [Source(coloured(16 * 40), "over")]})
    monkeypatch.setattr(camera, "LATE_S", 0.0)
    printed = Printed()
    found = Watcher({"a": "rtsp://a"}, detector, encoder, printed.sinks, rows=True, **SETTINGS)
    (one,) = found.cameras
    one.start()
    while one.state != "lost":
        time.sleep(0.01)
    assert len(one._waiting) == 4 and one.num_dropped == 16 * 36
    monkeypatch.setattr(one, "start", lambda: None)
    found.run(lambda: found.num_segments == 4)
    rows = [line["segment"] for line in printed.lines if "segment" in line]
    assert rows == [36, 37, 38, 39]
    said = capsys.readouterr().err
    assert "dropped so far, the oldest first: a 576; encoding is slower" in said
    assert said.count("a: its pictures come 0.0 s later than its time stamps say") == 1


def test_a_disk_that_takes_nothing_holds_up_no_score(
    detector: Detector,
    encoder: VisualEncoder,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows come meanwhile; the messages come when it takes them again."""
    sources = {f"rtsp://{name}": [Source(coloured(16 * 3), recording=True)] for name in "ab"}
    play(monkeypatch, sources)
    lines, file = io.StringIO(), SlowFile(tmp_path)
    sinks = Sinks(lines, file, None)
    options = SETTINGS | {"threshold": 0.0}
    found = Watcher(
        {name[-1]: name for name in sources}, detector, encoder, sinks, rows=True, **options
    )
    found.run(lambda: False)
    while lines.getvalue().count("\n") < 6:
        time.sleep(0.01)
    assert found.num_segments == 6 and "message" not in lines.getvalue()
    file.goes_on.set()
    sinks.close()
    file.close()
    assert lines.getvalue().count('"message": "end"') == 2


def test_a_file_that_cannot_be_read_ends_in_an_error(
    detector: Detector,
    encoder: VisualEncoder,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does one that is too short pass in silence."""
    pytest.importorskip("av", reason="pip install av")
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video at all")
    found = Watcher({"a": str(path)}, detector, encoder, Printed().sinks, **SETTINGS)
    with pytest.raises(UserError, match=r"a\.mp4: no readable video"):
        found.run(lambda: False)
    play(monkeypatch, {"short": [Source(coloured(15), recording=True)]})
    found = Watcher({"b": "short"}, detector, encoder, Printed().sinks, **SETTINGS)
    with pytest.raises(UserError, match="b: ended before the 16 frames of one segment"):
        found.run(lambda: False)


def test_the_threshold_changes_while_cameras_are_watched(
    detector: Detector,
    encoder: VisualEncoder,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"threshold": 1.0}')
    play(monkeypatch, {"rtsp://a": [Source(coloured(16 * 24), recording=True)]})
    printed, board = Printed(), Board()
    settings = SettingsFile(path, 0.5)
    found = Watcher(
        {"a": "rtsp://a"},
        detector,
        encoder,
        printed.sinks,
        settings=settings,
        board=board,
        **SETTINGS,
    )
    asked = []

    def stopped() -> bool:
        asked.append(found.num_segments)
        if len(asked) == 2:
            path.write_text('{"threshold": 0}')
        return False

    found.run(stopped)
    assert board.thresholds == [0.0] and found.threshold == 0.0
    assert [m["message"] for m in printed.lines] == ["start", "end"]


def test_a_pipe_that_is_taken_away_is_no_file(tmp_path: pathlib.Path) -> None:
    """The program that writes it may remove it and make it again."""
    os.mkfifo(pipe := tmp_path / "pipe")
    one = camera.Camera("a", str(pipe), 1, threading.Condition())
    pipe.unlink()
    one.start()
    until = time.monotonic() + 20
    while one.state == "connecting" and time.monotonic() < until:
        time.sleep(0.01)
    assert one.state == "lost" and one.close(20)
