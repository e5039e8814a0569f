"""A live source as segments: says when it breaks off, and opens it again if asked to."""

import contextlib
import dataclasses
import math
import sys
import threading
import time
from collections.abc import Iterator

from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.pipe import STDIN
from refinevad_jax.encoders.segments import Segment, read_segments
from refinevad_jax.encoders.video import Frame, Video, counted
from refinevad_jax.errors import SourceLostError, UserError
from refinevad_jax.runtime.addresses import is_address, shown
from refinevad_jax.runtime.command_line import one_line
from refinevad_jax.runtime.stopping import takes_lines

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0  # between two attempts
_SAYING = threading.Lock()
_SAY_EVERY_S = 60.0  # what is wrong with a running source, at most so often


@dataclasses.dataclass(frozen=True)
class LiveSegment:
    """A segment of a live source.

    Attributes:
        segment: its frames and their seconds since the first frame of all.
        arrived: when its last frame had been decoded, time.monotonic().
        gap_seconds: how long the source was away right before it; 0 if it was not.
    """

    segment: Segment
    arrived: float
    gap_seconds: float


class LiveSource(contextlib.AbstractContextManager["LiveSource"]):
    """A file, an address, the number of a camera, a named pipe, or - for standard input.

    A file ends. So does a recording on the network, whose length or size is stated. Everything else
    has no end: if it ends, it broke off. While it is away, time goes on by the clock of this
    computer. Frames that filled no segment before it broke off are left out, so that no segment
    spans a gap.
    """

    def __init__(self, source: str, reconnect: float = 0.0) -> None:
        """Opens it.

        reconnect: seconds without a frame after which a source that broke off is given up.

        Raises UserError if it cannot be opened.
        """
        self._source = source
        self._name = one_line(shown(source))
        self._reconnect = reconnect
        self._video = self._open()
        if reconnect and (self._video.is_recording or source == STDIN):
            self.close()
            raise UserError(
                f"--reconnect: {self._name} does not come back after its end; leave the flag out"
            )
        self._num_frames = 0
        self._seconds = 0.0  # of the last frame
        self._came = time.monotonic()  # when it did
        self._warnings = Warnings(self._name)

    def _open(self) -> Video:
        return open_live(self._source)

    def segments(self, num_crops: int) -> Iterator[LiveSegment]:
        """The segments, in order, until the source ends.

        Raises SourceLostError if it breaks off and does not come back; UserError if it sends no
        picture, or ends before the frames of one segment.
        """
        frames, gap = iter(self._video), 0.0
        while True:
            for segment in read_segments(self._timed(frames, gap), num_crops):
                yield LiveSegment(segment, time.monotonic(), gap)
                gap = 0.0
                self._warnings.say(self._video, self._seconds, _SAY_EVERY_S)
            self._warnings.say(self._video, self._seconds)
            if not self._video.broken:
                break
            frames = self._again()
            gap = time.monotonic() - self._came
        if self._num_frames < FRAMES_PER_SEGMENT:
            raise UserError(
                f"{self._name}: ended before the {FRAMES_PER_SEGMENT} frames of one segment"
            )

    def _timed(self, frames: Iterator[Frame], gap: float) -> Iterator[Frame]:
        """Frames of one connection, with seconds since the first frame of all."""
        begun = self._seconds + gap
        for frame in frames:
            self._num_frames += 1
            self._seconds, self._came = begun + frame.seconds, time.monotonic()
            yield dataclasses.replace(frame, seconds=self._seconds)

    def _again(self) -> Iterator[Frame]:
        """The frames of a new connection. Raises SourceLostError if there is none in time."""
        why = self._video.broken
        lost = (
            f"{self._name}: broke off at {self._seconds:.2f} s, after "
            f"{counted(self._num_frames, 'frame')} ({why})"
        )
        if not self._reconnect:
            raise SourceLostError(f"{lost}; {self._advice()}")
        say(f"lost: {lost}; trying again for {self._reconnect:g} s")
        wait = _FIRST_WAIT_S
        while (left := self._came + self._reconnect - time.monotonic()) > 0:
            time.sleep(min(wait, left))
            wait = min(2 * wait, _LONGEST_WAIT_S)
            self.close()
            try:
                self._video = self._open()
                frames = iter(self._video)
                first = next(frames)
            except UserError:
                continue
            away = time.monotonic() - self._came
            say(
                f"back: {self._name}: after {away:.2f} s, at {self._seconds + away:.2f} s; time "
                "went on by the clock of this computer"
            )
            return _chained(first, frames)
        raise SourceLostError(
            f"{lost} and did not come back in {self._reconnect:g} s; check the source, or give a "
            "larger --reconnect"
        )

    def _advice(self) -> str:
        if not is_address(self._source) and self._video.is_recording:
            return "it is damaged or cut short: copy it again"
        if self._video.is_recording:
            return "it is a recording: fetch it whole, and give the file"
        if self._source == STDIN:
            return "if the program has done its work, all is well; else check it"
        if self._video.is_pipe:
            return (
                "if the program has done its work, all is well; else check it, or let "
                "--reconnect=SECONDS wait for the next one"
            )
        what = "its cable" if self._source.isdecimal() else "the source and the network"
        return f"check {what}, or let --reconnect=SECONDS wait until it comes back"

    def close(self) -> None:
        """Gives the source back."""
        self._video.close()

    def __exit__(self, *_: object) -> None:
        self.close()


class Warnings:
    """What is wrong with a running source, said if it has changed."""

    def __init__(self, name: str) -> None:
        """name: of the source."""
        self._name = name
        self._said, self._said_at = "", -math.inf

    def say(self, video: Video, seconds: float, every: float = 0.0) -> None:
        """Says it, at most every so many seconds. seconds: of the source, where it is."""
        found = "; ".join(video.warnings)
        if found != self._said and time.monotonic() - self._said_at >= every:
            self._said, self._said_at = found, time.monotonic()
            if found:
                say(f"warning: {self._name}: at {seconds:.2f} s: {found}")


def open_live(source: str) -> Video:
    """A file, an address, the number of a camera, a named pipe, or - for standard input.

    Raises UserError if it cannot be opened.
    """
    if source.isdecimal():
        return Video(f"/dev/video{source}", live=True, kind="v4l2")
    return Video(source, live=True)


def say(text: str) -> None:
    """One line on stderr.

    It is left out if nobody reads, or if the disk of stderr is full: the cameras go on. It is
    written in one piece, so that the lines of two threads do not mix.
    """
    with _SAYING, contextlib.suppress(OSError):
        if takes_lines(sys.stderr):
            sys.stderr.write(one_line(text) + "\n")
            sys.stderr.flush()


def _chained(first: Frame, others: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from others
