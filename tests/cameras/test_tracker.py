"""Events by hand, and a clock that is set in the middle of one."""

import numpy as np
import pytest

from refinevad_jax.cameras.tracker import EventTracker
from refinevad_jax.cameras.wall_clock import WallClock

PICTURE = np.zeros((8, 8, 3), np.uint8)


def push(tracker: EventTracker, end: float, score: float, offset: float = 100.0):
    probs = np.array([0.4, score])
    words = {"score": score, "probs": probs, "threshold": 0.5, "picture": PICTURE}
    return tracker.push(end - 1, end, offset, **words)


def test_an_event_from_its_start_to_its_end() -> None:
    tracker = EventTracker("gate", ("fall", "fire"), end_after=2.0)
    assert push(tracker, 1, 0.49) is None and not tracker.is_open
    change, begun = push(tracker, 2, 0.5)
    assert change == "start" and (begun.start, begun.end) == (101.0, None)
    assert begun.category == "fire" and begun.thumbnail[:2] == b"\xff\xd8"
    change, higher = push(tracker, 3, 0.9, offset=-5000.0)  # the computer's clock was set
    assert (change, higher.score, higher.event_id) == ("update", 0.9, begun.event_id)
    assert push(tracker, 4, 0.1) is None  # a dip
    assert push(tracker, 5, 0.6)[1] == higher and tracker.last == 105.0
    assert push(tracker, 6, 0.1) is None
    change, ended = push(tracker, 7, 0.2)
    assert (change, ended.end, ended.ended_by, ended.score) == ("end", 105.0, "score", 0.9)
    assert push(tracker, 8, 0.8, offset=-5000.0)[1].start == -4993.0
    lost = tracker.end("lost")
    assert (lost.end, lost.ended_by) == (-4992.0, "lost") and lost.event_id != begun.event_id
    assert tracker.end("stop") is None
    assert push(EventTracker("gate", (), 0.0), 1, 0.7)[1].category == ""


def test_a_clock_that_is_set_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    now = [1e9]
    clock = WallClock(lambda: now[0])
    clock.look()
    assert not capsys.readouterr().err
    now[0] -= 3600
    clock.look()
    clock.look()
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "was set by -3600.0 s" in said
