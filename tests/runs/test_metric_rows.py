"""metrics.jsonl and, where tensorboardX is installed, event files of the same numbers."""

import math
import pathlib

import pytest

from refinevad_jax.runs.metric_rows import MetricWriter, read_rows

ROWS = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": math.nan}]
EPOCH = {"step": 2, "epoch": 1, "video_auc": 0.75}


def test_rows_come_back_and_a_resumed_run_drops_what_lies_past_it(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "metrics.jsonl"
    MetricWriter(path, resumed_step=0).write([*ROWS, EPOCH])
    assert read_rows(path) == [ROWS[0], {"step": 2, "loss": None}, EPOCH]
    MetricWriter(path, resumed_step=1).write([{"step": 2, "loss": 0.25}])
    assert read_rows(path) == [ROWS[0], {"step": 2, "loss": 0.25}]


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "lo')
    assert read_rows(path) == [ROWS[0]]


def test_event_files_hold_the_same_numbers(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    from tensorboardX.proto.event_pb2 import Event

    writer = MetricWriter(tmp_path / "metrics.jsonl", resumed_step=0)
    writer.write([ROWS[0], EPOCH])
    del writer  # closes the file
    (file,) = (tmp_path / "tensorboard").iterdir()
    content, found, place = file.read_bytes(), {}, 0
    while place < len(content):  # TFRecord: length, its checksum, data, its checksum
        length = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + length])
        found |= {v.tag: (event.step, v.simple_value) for v in event.summary.value}
        place += 16 + length
    assert found == {"step/loss": (1, 0.5), "epoch/video_auc": (2, 0.75)}


def test_event_files_that_are_closed_already_are_left_alone(tmp_path: pathlib.Path) -> None:
    """At the end of a process, tensorboardX closes them before this project does."""
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    writer = MetricWriter(tmp_path / "metrics.jsonl", resumed_step=0)
    writer._events.file_writer.close()
    del writer  # an error here would be a warning, and so fail the test


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_event_files_that_cannot_be_written_hold_nothing_up(tmp_path: pathlib.Path) -> None:
    """Their thread ends; rows still reach metrics.jsonl, and nothing waits for it."""
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    writer = MetricWriter(tmp_path / "metrics.jsonl", resumed_step=0)
    assert writer._events is not None
    inside = writer._events.file_writer.event_writer

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    inside._worker._record_writer.write_event = refuse
    rows = [{"step": step, "loss": 1.0, "mil": 2.0} for step in range(1, 30)]
    writer.write(rows[:1])
    inside._worker.join(timeout=20)
    assert not inside._worker.is_alive()
    writer.write(rows[1:])
    assert read_rows(tmp_path / "metrics.jsonl") == rows
    del writer  # closes nothing that would wait
