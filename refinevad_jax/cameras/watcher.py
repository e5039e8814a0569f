"""Several cameras, one encoder, one network: segments that are ready are scored together."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from refinevad_jax.cameras.camera import Camera, CameraSegment
from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.settings_file import SettingsFile
from refinevad_jax.cameras.sinks import Sinks
from refinevad_jax.cameras.tracker import EventTracker
from refinevad_jax.cameras.wall_clock import WallClock
from refinevad_jax.detection.detector import Detector
from refinevad_jax.detection.live_source import say
from refinevad_jax.detection.stream import segment_row, warm_up
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.causal import CausalScorer, push_together

if TYPE_CHECKING:
    from refinevad_jax.cameras.board import Board

_TICK_S = 1.0  # between two looks at health, settings and clock
_SAY_EVERY_S = 60.0  # that frames are dropped
_CLOSE_S = 2.0  # for the threads of all cameras to end


class Watched:
    """A camera with its own past and its own event."""

    def __init__(self, camera: Camera, scorer: CausalScorer, tracker: EventTracker) -> None:
        self.camera, self.scorer, self.tracker = camera, scorer, tracker
        self.connection = 0  # that the last scored segment came by


class Watcher:
    """Watches cameras until it is told to stop, or all of them have ended.

    Attributes:
        num_segments: scored so far.
        threshold: score at which an event begins.
        cameras: in the order of the sources.
    """

    def __init__(
        self,
        sources: Mapping[str, str],
        detector: Detector,
        encoder: VisualEncoder,
        sinks: Sinks,
        *,
        threshold: float,
        window: int,
        num_crops: int,
        batch_size: int,
        end_after: float,
        rows: bool = False,
        settings: SettingsFile | None = None,
        board: "Board | None" = None,
    ) -> None:
        """Compiles; opens no source yet.

        Args:
            sources: by the names of their cameras.
            detector: whose network scores.
            encoder: of the segments.
            sinks: are told of events.
            threshold: score at which an event begins, unless settings say another.
            window: segments that a score looks back on.
            num_crops: of each segment.
            batch_size: segments encoded at a time, at most.
            end_after: seconds below the threshold after which an event has ended.
            rows: whether the sinks get the score of every segment, too.
            settings: what may be changed while cameras are watched.
            board: shows the cameras to somebody.
        """
        self.num_segments = 0
        self.threshold = settings.threshold if settings else threshold
        self._encoder, self._sinks, self._board = encoder, sinks, board
        self._rows, self._settings = rows, settings
        self._categories = detector.categories
        self._ready = threading.Condition()
        network = detector.causal(window)
        self._watched = [
            Watched(
                Camera(name, source, num_crops, self._ready),
                CausalScorer(network),
                EventTracker(name, self._categories, end_after),
            )
            for name, source in sources.items()
        ]
        self.cameras = [one.camera for one in self._watched]
        # Batches of 1, 2, 4, ... segments: each is compiled here, and none is filled up.
        most = min(batch_size, len(self._watched))
        self._sizes = [1 << power for power in range(most.bit_length())]
        for size in self._sizes:
            warm_up(network, encoder, num_crops, size)
        self._clock = WallClock()
        self._looked = self._dropped_said = -_SAY_EVERY_S
        self._num_dropped = 0

    def run(self, stopped: Callable[[], object]) -> None:
        """Watches until stopped() is true or all sources have ended; then ends open events.

        Raises UserError at the end if a recording could not be read.
        """
        for camera in self.cameras:
            camera.start()
        try:
            while not stopped():
                batch = self._take()
                if batch:
                    self._score(batch)
                self._end_lost()
                self._tick()
                if not batch and all(camera.is_over for camera in self.cameras):
                    break
        finally:
            self._close()
        faults = [camera.fault for camera in self.cameras if camera.fault]
        if faults:
            raise UserError("; ".join(faults))

    def _take(self) -> list[tuple[Watched, CameraSegment]]:
        """The next segment of each of the cameras that wait the longest; waits for one at first."""
        with self._ready:
            waiting = self._waiting()
            if not waiting:
                self._ready.wait(0.2)
                waiting = self._waiting()
            count = max((size for size in self._sizes if size <= len(waiting)), default=0)
            return [(one, one.camera.take()) for _, one in waiting[:count]]

    def _waiting(self) -> list[tuple[float, Watched]]:
        found = [(one.camera.oldest, one) for one in self._watched]
        return sorted(((at, one) for at, one in found if at is not None), key=lambda pair: pair[0])

    def _score(self, batch: list[tuple[Watched, CameraSegment]]) -> None:
        crops = [taken.segment.crops for _, taken in batch]
        features = self._encoder.encode_segments(crops, len(crops))
        scored = push_together([one.scorer for one, _ in batch], list(features))
        for (watched, taken), (score, probs) in zip(batch, scored, strict=True):
            self._tell(watched, taken, score, probs)
        self.num_segments += len(batch)

    def _tell(
        self, watched: Watched, taken: CameraSegment, score: float, probs: np.ndarray
    ) -> None:
        """Tells board and sinks of a segment whose score has just become known."""
        name, seconds = watched.camera.name, taken.segment.seconds
        if taken.connection != watched.connection:
            self._end(watched, "lost")
            watched.connection = taken.connection
        if self._board:
            self._board.score(name, taken.arrived + self._clock.offset, score)
        if self._rows:
            row = segment_row(
                seconds[0], self._categories, score, probs, self.threshold, taken.arrived
            )
            place = {"segment": taken.index, "connection": taken.connection}
            self._sinks.row({"camera": name, **place, **row})
        length = float(seconds[-1] - seconds[0]) * len(seconds) / (len(seconds) - 1)
        changed = watched.tracker.push(
            taken.arrived - length,
            taken.arrived,
            self._clock.offset,
            score=score,
            probs=probs,
            threshold=self.threshold,
            picture=taken.picture,
        )
        if not changed:
            return
        change, event = changed
        if change == "update":
            self._sinks.keep(event, watched.tracker.last)
            if self._board:
                self._board.event(event)
        else:
            self._send(event)

    def _send(self, event: LiveEvent) -> None:
        if self._board:
            self._board.event(event)
        self._sinks.send(event)

    def _end(self, watched: Watched, why: str) -> None:
        if event := watched.tracker.end(why):
            self._send(event)

    def _end_lost(self) -> None:
        """Ends the events of cameras that are away."""
        for watched in self._watched:
            if watched.tracker.is_open and watched.camera.is_away:
                self._end(watched, "stop" if watched.camera.is_over else "lost")

    def _tick(self) -> None:
        """Looks at what changes slowly, once per second."""
        now = time.monotonic()
        if now - self._looked < _TICK_S:
            return
        self._looked = now
        self._clock.look()
        if self._settings and self._settings.changed():
            self.threshold = self._settings.threshold
            if self._board:
                self._board.set_threshold(self.threshold)
        self._report_health()
        self._say_dropped(now)
        self._sinks.check()

    def _report_health(self) -> None:
        for camera in self.cameras:
            rate = camera.frames_per_second()
            if self._board:
                seen = camera.last_seen
                self._board.health(
                    camera.name,
                    state=camera.state,
                    frames_per_second=rate,
                    dropped=camera.num_dropped,
                    late_seconds=camera.late_seconds,
                    last_seen=None if seen is None else seen + self._clock.offset,
                )

    def _say_dropped(self, now: float) -> None:
        dropped = {camera.name: camera.num_dropped for camera in self.cameras}
        total = sum(dropped.values())
        if total > self._num_dropped and now - self._dropped_said >= _SAY_EVERY_S:
            self._num_dropped, self._dropped_said = total, now
            counts = ", ".join(f"{name} {count}" for name, count in dropped.items() if count)
            say(
                f"warning: frames dropped so far, the oldest first: {counts}; encoding is slower "
                "than the cameras"
            )

    def _close(self) -> None:
        """Ends events and threads."""
        for watched in self._watched:
            self._end(watched, "stop")
        self._report_health()
        until = time.monotonic() + _CLOSE_S
        for camera in self.cameras:
            camera.close(0.0)
        for camera in self.cameras:
            camera.close(max(0.0, until - time.monotonic()))
        dropped = sum(camera.num_dropped for camera in self.cameras)
        say(
            f"watched: {self.num_segments} segments scored, {self._sinks.num_events} events, "
            f"{dropped} frames dropped"
        )
