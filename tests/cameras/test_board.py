"""What a board keeps, what it forgets, and what a reader gets of it."""

import dataclasses
import json
import threading
import time

import pytest

from refinevad_jax.cameras import board as board_file
from refinevad_jax.cameras.board import HISTORY_SECONDS, MAX_EVENTS, Board
from refinevad_jax.cameras.event import LiveEvent

JPEG = b"\xff\xd8 a picture"


def event(number: int = 0, camera: str = "a", **changed: object) -> LiveEvent:
    made = LiveEvent(str(number), camera, 100.0 + number, None, "Fighting", 0.7, JPEG)
    return dataclasses.replace(made, **changed)


def points(board: Board, camera: int = 0, since: int = 0) -> list[list[float]]:
    found = {entry["number"]: entry for entry in board.changes(since)["cameras"]}
    return found.get(camera, {}).get("points", [])


def test_the_first_reading_has_everything_and_the_next_what_changed() -> None:
    board = Board(["a", "b"], 0.5)
    first = board.changes()
    assert first["names"] == ["a", "b"] and first["threshold"] == 0.5
    assert [camera["state"] for camera in first["cameras"]] == ["connecting"] * 2
    assert set(board.changes(first["version"])) == {"version", "now", "cameras", "events"}

    board.score("b", 10.2, 0.25)
    board.health("a", state="live", frames_per_second=25, dropped=3, last_seen=10.0)
    board.event(event(camera="b"))
    found = board.changes(first["version"])
    assert found["cameras"] == [
        {
            "number": 0,
            "state": "live",
            "frames_per_second": 25.0,
            "dropped": 3,
            "late_seconds": 0.0,
            "last_seen": 10.0,
        },
        {"number": 1, "points": [[10, 0.25]]},
    ]
    assert [(entry["camera"], entry["category"]) for entry in found["events"]] == [(1, "Fighting")]

    version = board.version
    board.health("a", state="live", frames_per_second=25, dropped=3, last_seen=10.0)
    assert board.version == version  # nothing new
    board.set_threshold(0.75)
    found = board.changes(version)
    assert found["threshold"] == 0.75 and found["cameras"] == found["events"] == []


def test_a_second_keeps_its_highest_score_and_the_past_is_forgotten() -> None:
    board = Board(["a"], 0.5)
    for moment, score in ((5.0, 0.2), (5.6, 0.9), (5.9, 0.3), (6.1, 0.1)):
        board.score("a", moment, score)
    assert points(board) == [[5, 0.9], [6, 0.1]]
    board.score("a", 5.0 + HISTORY_SECONDS, 0.4)
    assert points(board) == [[6, 0.1], [605, 0.4]]


def test_a_clock_that_is_set_back_takes_later_points_along() -> None:
    board = Board(["a"], 0.5)
    for moment in (10, 11, 12, 13):
        board.score("a", moment, 0.1)
    version = board.version
    board.score("a", 11, 0.2)
    board.score("a", 12, 0.3)
    assert points(board) == [[10, 0.1], [11, 0.2], [12, 0.3]]
    assert points(board, since=version) == [[11, 0.2], [12, 0.3]]  # the page drops 13 itself


def test_what_is_not_finite_is_left_out_and_the_rest_stays_json() -> None:
    board = Board(["a"], 0.5)
    board.score("a", 1.0, float("nan"))
    board.score("a", float("inf"), 0.5)
    board.health("a", state="live", frames_per_second=float("nan"), dropped=0, last_seen=None)
    board.event(event(score=float("nan"), start=float("inf")))
    assert points(board) == []
    json.dumps(board.changes(), allow_nan=False)


def test_an_event_is_replaced_and_its_picture_stays() -> None:
    board = Board(["a"], 0.5)
    board.event(event())
    version = board.version
    (first,) = board.changes()["events"]
    board.event(event(end=105.0, ended_by="score", thumbnail=None))
    (second,) = board.changes(version)["events"]
    assert second == first | {"end": 105.0, "ended_by": "score"}
    assert board.picture(second["picture"][0]) == JPEG
    version = board.version
    board.event(event(end=105.0, ended_by="score"))
    assert board.version == version  # nothing new
    board.event(event(thumbnail=JPEG + b"!"))
    (third,) = board.changes()["events"]
    assert third["picture"][0] == first["picture"][0]  # under another address, so it is fetched
    assert third["picture"][1] > first["picture"][1]


def test_what_is_not_a_jpeg_is_not_shown() -> None:
    board = Board(["a"], 0.5)
    board.event(event(thumbnail=b"<script>alert(1)</script>"))
    (found,) = board.changes()["events"]
    assert found["picture"] is None and board.picture(found["key"]) is None


def test_events_and_pictures_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_file, "MAX_PICTURES", 5 * len(JPEG))
    board = Board(["a", "b"], 0.5)
    board.event(event(camera="b"))
    for number in range(3 * MAX_EVENTS):
        board.event(event(number))
    found = board.changes()["events"]
    assert len(found) == MAX_EVENTS + 1
    assert [entry["start"] for entry in found if entry["camera"] == 0][-1] == 159.0
    assert sum(entry["picture"] is not None for entry in found) == 5
    assert board._picture_bytes == sum(map(len, board._pictures.values())) == 5 * len(JPEG)
    board.event(event(99, thumbnail=JPEG + bytes(5 * len(JPEG))))  # larger than all may be
    assert (
        board._picture_bytes == 0 and board.changes()["events"][MAX_EVENTS - 1]["picture"] is None
    )


def test_threads_write_while_others_read() -> None:
    names = [str(number) for number in range(4)]
    board, faults = Board(names, 0.5), []

    def write(name: str) -> None:
        for step in range(100):
            board.score(name, step, 0.5)
            board.event(event(step, camera=name))

    def read() -> None:
        version, seen = 0, 0
        while seen < len(names) * 100:
            found = board.changes(version)
            version = found["version"]
            seen = sum(len(points(board, number)) for number in range(4))
            if time.monotonic() > limit:
                faults.append(seen)
                return

    limit = time.monotonic() + 20
    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
