"""One camera: read by its own thread, opened again if it breaks off; old segments give way."""

import collections
import dataclasses
import math
import threading
import time
from collections.abc import Iterator

import numpy as np

from refinevad_jax.cameras.lag import Lag
from refinevad_jax.cameras.picture import THUMBNAIL_SIZE, shrunk
from refinevad_jax.detection.live_source import Warnings, open_live, say
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.pipe import STDIN, is_pipe
from refinevad_jax.encoders.segments import Segment, read_segments
from refinevad_jax.encoders.video import Frame
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.addresses import is_address, without_secrets
from refinevad_jax.runtime.command_line import one_line

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # between two attempts
LATE_S = 2.0  # said from so many seconds on
PACE = 1.0  # seconds by the clock per second of a recording
_STEADY_S = 10.0  # after a connection as long as this the waits begin anew
_SAY_EVERY_S = 600.0  # what is wrong with a running source, or why it is still away
_MOST_WAITING = 4  # segments per camera, 2.6 s at 25 frames per second
_RATE_TICKS = 6  # frames per second are those between so many looks


@dataclasses.dataclass(frozen=True)
class CameraSegment:
    """A segment of a camera.

    Attributes:
        segment: its frames, and their seconds since the first frame of the connection.
        picture: its middle frame, at most 320 pixels wide and high: [y, x, 3] uint8.
        arrived: when its last frame had been decoded, time.monotonic().
        index: of the segment, counted over all connections, dropped ones too.
        connection: its number, counted from 1; it differs if the source was away in between.
    """

    segment: Segment
    picture: np.ndarray
    arrived: float
    index: int
    connection: int


class Camera:
    """A source that is read until it is closed: an address, a camera, a pipe, or a file.

    A file, or another recording, is played at its own speed, waits for a slow encoder, and ends.
    Everything else is opened again whenever it breaks off, with growing waits, and its oldest
    waiting segment makes room for a new one.

    Attributes:
        name: of the camera.
        state: "connecting" before the first frame, then "live", "lost" or "ended".
        num_frames: decoded so far.
        num_dropped: frames of segments that were dropped.
        last_seen: when the last frame was decoded, time.monotonic(); None before the first one.
        late_seconds: how far a live source's pictures are behind its own time stamps; see Lag.
        fault: why a recording could not be read, "" if it could.
    """

    def __init__(self, name: str, source: str, num_crops: int, ready: threading.Condition) -> None:
        """Opens nothing yet. ready: is notified of every segment and every end."""
        self.name = name
        self.state = "connecting"
        self.num_frames = self.num_dropped = 0
        self.last_seen: float | None = None
        self.late_seconds = 0.0
        self.fault = ""
        self._source, self._num_crops, self._ready = source, num_crops, ready
        # Known now: a named pipe may be taken away and made again.
        self._is_file = not (is_address(source) or source.isdecimal() or is_pipe(source))
        self._waiting: collections.deque[CameraSegment] = collections.deque()
        self._closed = threading.Event()
        self._num_segments = self._connection = 0
        self._counts: collections.deque[tuple[float, int]] = collections.deque(maxlen=_RATE_TICKS)
        self._late_said = -math.inf
        self._warnings = Warnings(one_line(name))
        self._thread = threading.Thread(target=self._read, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    @property
    def is_away(self) -> bool:
        """Whether it gives nothing at present and nothing of it waits."""
        return self.state in ("lost", "ended") and not self._waiting

    @property
    def is_over(self) -> bool:
        """Whether it has ended and nothing of it waits."""
        return self.state == "ended" and not self._waiting

    @property
    def oldest(self) -> float | None:
        """When the segment had arrived that waits the longest; None if none waits."""
        return self._waiting[0].arrived if self._waiting else None

    def take(self) -> CameraSegment:
        """The segment that waits the longest. Call it with `ready` held."""
        self._ready.notify_all()
        return self._waiting.popleft()

    def frames_per_second(self) -> float:
        """The rate at which frames came between this call and the fifth before it."""
        self._counts.append((time.monotonic(), self.num_frames))
        (first, before), (last, now) = self._counts[0], self._counts[-1]
        return (now - before) / (last - first) if last > first else 0.0

    def close(self, seconds: float) -> bool:
        """Stops reading. Whether the thread has ended within so many seconds."""
        self._closed.set()
        with self._ready:
            self._ready.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _read(self) -> None:
        """Reads one connection after the other."""
        wait, said_at = FIRST_WAIT_S, -math.inf
        while not self._closed.is_set():
            began = time.monotonic()
            why = self._read_once()
            if self._closed.is_set():
                return
            if not why or self._is_file or self._source == STDIN:
                self._end(why)
                return
            if time.monotonic() - began >= _STEADY_S:
                wait = FIRST_WAIT_S
            if self.state != "lost" or time.monotonic() - said_at >= _SAY_EVERY_S:
                said_at = time.monotonic()
                say(f"lost: {one_line(self.name)}: {why}; trying again until it comes back")
                self._change("lost")
            self._closed.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    def _read_once(self) -> str:
        """Reads one connection to its end. Why it broke off, "" for the end of a recording."""
        seconds = 0.0
        try:
            with open_live(self._source) as video:
                self._connection += 1
                pictures: collections.deque[np.ndarray] = collections.deque()
                timed = self._noted(iter(video), pictures, video.is_recording)
                for segment in read_segments(timed, self._num_crops):
                    self._put(segment, pictures.popleft(), waits=video.is_recording)
                    seconds = float(segment.seconds[-1])
                    self._warnings.say(video, seconds, _SAY_EVERY_S)
                if video.is_recording:
                    self._warnings.say(video, seconds)
                return video.broken
        except UserError as error:
            return str(error)
        except Exception as error:  # whatever a source sends, the other cameras go on
            return without_secrets(f"{type(error).__name__}: {error}")

    def _noted(
        self, frames: Iterator[Frame], pictures: collections.deque[np.ndarray], is_recording: bool
    ) -> Iterator[Frame]:
        """The frames; says that they come, and keeps the picture of the middle of each segment."""
        began = asked = time.monotonic()
        lag = Lag()
        for number, frame in enumerate(frames):
            if is_recording:
                self._closed.wait(began + PACE * frame.seconds - time.monotonic())
            if self._closed.is_set():
                return
            self.num_frames += 1
            now = time.monotonic()
            if not is_recording:
                lag.add(frame.seconds, asked, now)
                self._say_late(lag.seconds)
            if self.state != "live":
                self._come(now)
            self.last_seen = now
            if number % FRAMES_PER_SEGMENT == FRAMES_PER_SEGMENT // 2:
                pictures.append(shrunk(frame.pixels, THUMBNAIL_SIZE))
            yield frame
            asked = time.monotonic()

    def _say_late(self, seconds: float) -> None:
        self.late_seconds = seconds
        now = time.monotonic()
        if seconds >= LATE_S and now - self._late_said >= _SAY_EVERY_S:
            self._late_said = now
            say(
                f"warning: {one_line(self.name)}: its pictures come {seconds:.1f} s later than its "
                "time stamps say; if cores are busy, reading is too slow: watch fewer cameras, or "
                "let it send smaller pictures; if not, its time stamps run slow"
            )

    def _come(self, now: float) -> None:
        if self.state == "lost":
            away = "" if self.last_seen is None else f" after {now - self.last_seen:.1f} s"
            say(f"back: {one_line(self.name)}{away}")
        self._change("live")

    def _put(self, segment: Segment, picture: np.ndarray, *, waits: bool) -> None:
        """Adds a segment; a live source drops its oldest one if too many wait."""
        arrived = time.monotonic()
        with self._ready:
            while waits and len(self._waiting) >= _MOST_WAITING and not self._closed.is_set():
                self._ready.wait(1.0)
            if len(self._waiting) >= _MOST_WAITING:
                self._waiting.popleft()
                self.num_dropped += FRAMES_PER_SEGMENT
            self._waiting.append(
                CameraSegment(segment, picture, arrived, self._num_segments, self._connection)
            )
            self._num_segments += 1
            self._ready.notify_all()

    def _end(self, why: str) -> None:
        if not why and not self._num_segments:
            frames = f"the {FRAMES_PER_SEGMENT} frames of one segment"
            why = f"{one_line(self.name)}: ended before {frames}"
        self.fault = why
        self._change("ended")

    def _change(self, state: str) -> None:
        with self._ready:
            self.state, self.late_seconds = state, 0.0
            self._ready.notify_all()
