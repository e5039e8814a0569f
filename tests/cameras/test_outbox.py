"""What waits on the disk: kept by a kill, bounded, in order."""

import pathlib
import sqlite3

import pytest

from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.message import decode, encode
from refinevad_jax.cameras.outbox import NAME, Outbox
from refinevad_jax.cameras.sinks import Sinks
from refinevad_jax.errors import UserError
from tests.cameras.stand_ins import settle

BEGUN = LiveEvent("e1", "gate", 1000.25, None, "Fighting", 0.75, b"\xff\xd8picture")
ENDED = LiveEvent("e1", "gate", 1000.25, 1003.5, "Fighting", 0.9, b"\xff\xd8picture", "score")


def test_messages_wait_in_order_and_survive(tmp_path: pathlib.Path) -> None:
    first = Outbox(tmp_path, ["a", "b"], 10)
    for event in (BEGUN, ENDED):
        assert decode(encode(event)) == event
        first.put(event)
    # No close: as after a kill.
    second = Outbox(tmp_path, ["a", "b"], 10)
    message = second.oldest("a")
    assert message and message.name == "e1-start" and decode(message.body) == BEGUN
    second.remove(message)
    assert [second.count(name) for name in "ab"] == [1, 2] and second.left_open() == []
    assert second.oldest("a").name == "e1-end" and second.oldest("c", 0.01) is None
    second.close()
    first.close()
    with pytest.raises(OSError, match="is closed"):
        first.put(BEGUN)


def test_a_full_queue_drops_the_oldest(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = Outbox(tmp_path, ["a"], 3)
    sinks = Sinks(None, None, outbox)
    for number in range(5):
        sinks.send(LiveEvent(f"e{number}", "gate", 1.0, 2.0, "", 0.5, None, "score"))
    settle(sinks)
    sinks.check()
    assert outbox.count("a") == 3 and outbox.num_dropped == 2
    assert outbox.oldest("a").name == "e2-end"
    assert "the oldest messages were dropped so far: 2" in capsys.readouterr().err
    sinks.close()
    assert "lost: a full queue: 2 messages\n" in capsys.readouterr().err
    outbox.close()


def test_an_event_that_a_kill_left_open_is_ended(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = Outbox(tmp_path, ["a"], 10)
    sinks = Sinks(None, None, outbox)
    sinks.send(BEGUN)
    sinks.keep(BEGUN, 1002.0)
    settle(sinks)
    again = Outbox(tmp_path, ["a"], 10)
    later = Sinks(None, None, again)
    later.close()
    assert later.num_events == 0
    again.remove(again.oldest("a"))
    ended = decode(again.oldest("a").body)
    assert (ended.event_id, ended.end, ended.ended_by) == ("e1", 1002.0, "stop")
    assert again.left_open() == [] and "earlier process was killed" in capsys.readouterr().err
    again.close()
    outbox.close()


def test_a_damaged_queue_and_a_disk_that_fails(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"this is no data base" * 100)
    with pytest.raises(UserError, match=r"queue\.sqlite: cannot be used as a queue"):
        Outbox(tmp_path, ["a"], 10)
    path.unlink()
    outbox = Outbox(tmp_path, ["a"], 10)
    with sqlite3.connect(path) as base:
        base.execute("DROP TABLE messages")
    base.close()
    sinks = Sinks(None, None, outbox)
    sinks.send(BEGUN)
    sinks.send(ENDED)
    settle(sinks)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "missing there so far: 1 message; check the disk" in said
    assert sinks.lost.total() == 2 and outbox.left_open() == []  # all of a message or nothing
    outbox.close()
