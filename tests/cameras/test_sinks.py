"""The file that rotates, and the folder that one process holds."""

import contextlib
import io
import json
import os
import pathlib
import time

import pytest

from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.sinks import EventFile, Sinks, SinkSettings, opened
from refinevad_jax.detection.live_source import say
from refinevad_jax.errors import UserError
from tests.cameras.stand_ins import SlowFile


def event(number: int, end: float | None = None) -> LiveEvent:
    ended = "score" if end else ""
    return LiveEvent(f"e{number}", "gate", 1.5e9, end, "", 0.5, b"\xff" * 60, ended)


def test_what_a_sink_gets(tmp_path: pathlib.Path) -> None:
    lines = io.StringIO()
    (tmp_path / "events.jsonl").write_text('{"half')  # of a process that was killed
    with opened(SinkSettings(tmp_path, 600, 3), lines, {}) as sinks:
        for number in range(9):
            sinks.send(event(number))
            sinks.send(event(number, 1.5e9 + 2.25))
        with (
            pytest.raises(UserError, match="is in use by process"),
            opened(SinkSettings(tmp_path), lines, {}),
        ):
            pass
    printed = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert len(printed) == 18 and "thumbnail_jpeg" not in printed[0]
    assert printed[1] == {
        "message": "end",
        "id": "e0",
        "camera": "gate",
        "start": "2017-07-14T02:40:00.000Z",
        "start_unix": 1.5e9,
        "end": "2017-07-14T02:40:02.250Z",
        "end_unix": 1500000002.25,
        "category": "",
        "score": 0.5,
        "ended_by": "score",
    }
    files = sorted(path.name for path in tmp_path.glob("events.jsonl*"))
    assert files == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    kept = [json.loads(line) for line in (tmp_path / files[0]).read_text().splitlines()]
    assert kept[-1]["id"] == "e8" and kept[-1]["thumbnail_jpeg"]
    assert all((tmp_path / name).stat().st_size <= 600 for name in files)


def test_half_a_line_stays_one_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"half')
    file = EventFile(tmp_path, 10_000, 2)
    file.write("{}")
    file.close()
    assert (tmp_path / "events.jsonl").read_text() == '{"half\n{}\n'


def test_a_disk_that_fails_is_said_once(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(SinkSettings(tmp_path), None, {}) as sinks:
        sinks._file._open = lambda: pathlib.Path("/dev/full").open("w")  # noqa: SIM115
        sinks._file.stream.close()
        sinks._file.stream = None
        for number in range(3):
            sinks.send(event(number, 1.5e9 + 1))
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert said.count("events.jsonl: cannot be written") == 1
    assert said.endswith("\nlost: events.jsonl: 3 messages\n")


def test_an_output_that_is_full_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lines = pathlib.Path("/dev/full").open("w")  # noqa: SIM115
    sinks = Sinks(lines, None, None)
    sinks.send(event(0))
    sinks.send(event(1))
    sinks.row({})
    sinks.close()
    said = capsys.readouterr().err
    assert said.count("standard output: cannot be written (No space") == 2
    assert "missing there so far: 1 message; check the disk" in said
    assert said.endswith("\nlost: standard output: 2 messages; standard output: 1 row\n")
    with contextlib.suppress(OSError):
        lines.close()


def test_a_disk_that_takes_long_holds_nothing_up(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows are printed meanwhile; messages come in order when it goes on, the oldest first lost."""
    monkeypatch.setattr("refinevad_jax.cameras.backlog.MOST_MESSAGES", 3)
    monkeypatch.setattr("refinevad_jax.cameras.sinks._SLOW_S", 0.0)
    file, lines = SlowFile(tmp_path), io.StringIO()
    sinks = Sinks(lines, file, None)
    sinks.send(event(0))
    while sinks._backlogs["the disk"].waiting() != (0, 0):
        time.sleep(0.001)
    for number in range(1, 6):
        sinks.send(event(number))
    sinks.row({"row": 1})
    while not lines.getvalue():
        time.sleep(0.001)
    sinks.check()
    sinks.check()
    assert lines.getvalue() == '{"row": 1}\n'
    said = capsys.readouterr().err
    assert said.count("the disk: has taken nothing for 0 s; in memory wait 3 messages") == 1
    assert said.count("the disk: is too slow; left out so far, the oldest first: 2 messages") == 1
    monkeypatch.setattr("refinevad_jax.cameras.backlog.MOST_MESSAGES", 9)
    file.goes_on.set()
    sinks.close()
    file.close()
    kept = [json.loads(line)["id"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert kept == ["e0", "e3", "e4", "e5"]
    assert [json.loads(line)["id"] for line in lines.getvalue().splitlines()[1:]] == kept
    assert "lost: the disk: 2 messages\n" in capsys.readouterr().err


def test_a_disk_that_takes_nothing_keeps_nobody_from_ending(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = SlowFile(tmp_path)
    sinks = Sinks(None, file, None)
    for number in range(3):
        sinks.send(event(number))
    sinks.close(0.0)
    assert sinks.stuck == {"the disk"} and "lost: the disk: 3 messages\n" in capsys.readouterr().err
    file.goes_on.set()
    sinks._backlogs["the disk"]._thread.join()
    file.close()


def test_a_reader_that_stops_gets_the_newest_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one that ends is found."""
    monkeypatch.setattr("refinevad_jax.cameras.backlog.MOST_ROWS", 5)
    monkeypatch.setattr("refinevad_jax.cameras.sinks._LOOK_S", 0.01)
    read, write = os.pipe()
    with os.fdopen(write, "w") as lines, os.fdopen(read) as reader:
        sinks = Sinks(lines, None, None)
        for number in range(300):
            sinks.row({"row": number, "filling": "x" * 2000})
        sinks.send(event(0))
        found = [json.loads(reader.readline())]
        while "id" not in found[-1]:
            found.append(json.loads(reader.readline()))
        rows = [one["row"] for one in found[:-1]]
        assert rows[-5:] == list(range(295, 300)) and rows == sorted(rows) and len(rows) < 100
        assert sinks._backlogs["standard output"].num_rows_dropped == 300 - len(rows)
        reader.close()
        sinks.row({})
        with pytest.raises(BrokenPipeError):
            while True:
                sinks.check()
                time.sleep(0.001)
        assert "standard output: its reader has ended" in capsys.readouterr().err
        sinks.send(event(1))
        sinks.close()
        with contextlib.suppress(BrokenPipeError):
            lines.close()


def test_nobody_has_to_read_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    for gone in (os.fdopen(write, "w"), pathlib.Path("/dev/full").open("w")):  # noqa: SIM115
        with monkeypatch.context() as context:
            context.setattr("sys.stderr", gone)
            say("a camera is lost")
        with contextlib.suppress(OSError):
            gone.close()


def test_a_reader_of_warnings_that_stops_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    os.set_blocking(write, True)
    with os.fdopen(write, "w") as full, monkeypatch.context() as context:
        context.setattr("sys.stderr", full)
        say("a camera is lost")
    os.close(read)


def test_receivers_need_a_folder() -> None:
    with (
        pytest.raises(UserError, match="need --output=FOLDER"),
        opened(SinkSettings(webhook="https://a.example/b"), None, {}),
    ):
        pass
