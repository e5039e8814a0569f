"""What the page of the cameras shows: their last minutes, events and health, in bounded memory."""

import collections
import dataclasses
import math
import threading
import time
from collections.abc import Sequence
from typing import Any

from refinevad_jax.cameras.event import LiveEvent

HISTORY_SECONDS = 600
MAX_EVENTS = 20  # per camera
MAX_PICTURES = 64 << 20  # bytes of all thumbnails together
STATES = ("connecting", "live", "lost", "ended")
_JPEG = b"\xff\xd8"


@dataclasses.dataclass
class _Camera:
    """One camera; `changed` is the version at which its health last changed.

    points: (second, highest score in it, version), by second; events: by event_id, oldest first.
    """

    number: int
    health: dict[str, Any]
    changed: int = 1
    points: collections.deque[tuple[int, float, int]] = dataclasses.field(
        default_factory=collections.deque
    )
    events: dict[str, "_Event"] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class _Event:
    """An event without its picture; `pictured` is the version of that, 0 if there is none."""

    key: int
    event: LiveEvent
    changed: int
    pictured: int


class Board:
    """What is known of the cameras now. Any thread may call it, and no call waits for a reader.

    A reader keeps the version up to which it has read, so a slow one costs nothing. Of every camera
    are kept the last HISTORY_SECONDS, one point per second, and the last MAX_EVENTS events; of all
    thumbnails together MAX_PICTURES bytes, the oldest go first.
    """

    def __init__(self, cameras: Sequence[str], threshold: float) -> None:
        """cameras: their names, each once; threshold: from which score on there is an event."""
        assert len(set(cameras)) == len(cameras), "names appear twice"
        unknown = {
            "state": "connecting",
            "frames_per_second": None,
            "dropped": 0,
            "late_seconds": 0.0,
            "last_seen": None,
        }
        self._lock = threading.Lock()
        self._cameras = {name: _Camera(i, dict(unknown)) for i, name in enumerate(cameras)}
        self._threshold, self._threshold_changed = threshold, 1
        self._version, self._last_key = 1, 0
        self._pictures: dict[int, bytes] = {}  # by the key of the event, the oldest first
        self._picture_bytes = 0

    def health(
        self,
        camera: str,
        *,
        state: str,
        frames_per_second: float,
        dropped: int,
        late_seconds: float = 0.0,
        last_seen: float | None,
    ) -> None:
        """How a camera is.

        state: one of STATES; dropped: frames since the start that were left out because encoding
        was slower; late_seconds: as in Camera; last_seen: Unix time in seconds of the last frame,
        None before the first.
        """
        assert state in STATES, state
        found = {
            "state": state,
            "frames_per_second": _finite(frames_per_second),
            "dropped": int(dropped),
            "late_seconds": round(late_seconds, 2),
            "last_seen": _finite(last_seen),
        }
        with self._lock:
            known = self._cameras[camera]
            if found != known.health:
                known.health, known.changed = found, self._next()

    def score(self, camera: str, time: float, score: float) -> None:
        """A score of a camera, 0 to 1; time: Unix time in seconds at the segment's end.

        A clock that was set back takes the points after it along. What is not finite is left out:
        the page says how long there has been no score.
        """
        if not (math.isfinite(time) and math.isfinite(score)):
            return
        second = math.floor(time)
        with self._lock:
            points = self._cameras[camera].points
            while points and points[-1][0] > second:
                points.pop()
            if points and points[-1][0] == second:
                score = max(score, points.pop()[1])
            points.append((second, round(score, 6), self._next()))
            while points[0][0] <= second - HISTORY_SECONDS:
                points.popleft()

    def event(self, event: LiveEvent) -> None:
        """An event, or what it has become: one with the same event_id is replaced."""
        picture, light = event.thumbnail, dataclasses.replace(event, thumbnail=None)
        if picture is not None and not picture.startswith(_JPEG):
            picture = None
        with self._lock:
            events = self._cameras[event.camera].events
            known = events.get(event.event_id)
            new_picture = picture is not None and (
                known is None or picture != self._pictures.get(known.key)
            )
            if known is not None and known.event == light and not new_picture:
                return
            version = self._next()
            if known is None:
                self._last_key += 1
                known = events[event.event_id] = _Event(self._last_key, light, version, 0)
            known.event, known.changed = light, version
            if picture is not None and new_picture:
                known.pictured = version
                self._forget_picture(known.key)
                self._pictures[known.key] = picture
                self._picture_bytes += len(picture)
            while len(events) > MAX_EVENTS:
                self._forget_picture(events.pop(next(iter(events))).key)
            while self._picture_bytes > MAX_PICTURES:
                self._forget_picture(next(iter(self._pictures)))

    def set_threshold(self, threshold: float) -> None:
        """The threshold from now on."""
        with self._lock:
            self._threshold, self._threshold_changed = threshold, self._next()

    def picture(self, key: int) -> bytes | None:
        """The JPEG of the event of a key of `changes`, None if it is not kept any more."""
        with self._lock:
            return self._pictures.get(key)

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._version

    def changes(self, since: int = 0) -> dict[str, Any]:
        """What changed after a version, as JSON values; everything if since is 0.

        `cameras` has the camera's number, its health and its new points, [second, score]: they
        replace those from the first of them on. `events` has the camera's number; `picture` is the
        key and the version of the thumbnail, None if there is none.
        """
        with self._lock:
            found: dict[str, Any] = {"version": self._version, "now": time.time()}
            if self._threshold_changed > since:
                found["threshold"] = self._threshold
        if not since:
            found |= {
                "names": list(self._cameras),
                "history_seconds": HISTORY_SECONDS,
                "max_events": MAX_EVENTS,
            }
        found["cameras"], found["events"] = [], []
        # One by one, so that no camera waits for all. What changes meanwhile comes again next time.
        for camera in self._cameras.values():
            with self._lock:
                changed = _camera_since(camera, since)
                events = [event for event in camera.events.values() if event.changed > since]
                found["events"] += [self._described(camera.number, event) for event in events]
            if len(changed) > 1:
                found["cameras"].append(changed)
        return found

    def _described(self, camera: int, known: _Event) -> dict[str, Any]:
        event = known.event
        return {
            "key": known.key,
            "camera": camera,
            "start": _finite(event.start),
            "end": _finite(event.end),
            "category": event.category,
            "score": _finite(event.score),
            "ended_by": event.ended_by,
            "picture": [known.key, known.pictured] if known.key in self._pictures else None,
        }

    def _next(self) -> int:
        self._version += 1
        return self._version

    def _forget_picture(self, key: int) -> None:
        self._picture_bytes -= len(self._pictures.pop(key, b""))


def _camera_since(camera: _Camera, since: int) -> dict[str, Any]:
    """What changed of a camera after a version; its number alone if nothing did."""
    found: dict[str, Any] = {"number": camera.number}
    if camera.changed > since:
        found |= camera.health
    points = []
    for second, score, version in reversed(camera.points):
        if version <= since:
            break
        points.append([second, score])
    if points:
        found["points"] = points[::-1]
    return found


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
