"""Decodes a video into frames, one at a time, whatever container, codec or damage it has.

Frames are counted as the file has them: a variable frame rate changes their times, never their
number, as in the released features of the field. Needs the extra `av` (PyAV).
"""

import collections
import contextlib
import dataclasses
import errno
import itertools
import math
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from refinevad_jax.encoders.clock import Clock
from refinevad_jax.encoders.pipe import Pipe, is_pipe
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.addresses import is_address, shown

DEFAULT_FPS = 25.0  # of a source that does not state its rate
LIVE_TIMEOUT_S = 10.0
# If as many packets fail to decode before the first frame, there is no video that we can read.
_HOPELESS = 1000
_FASTEST = 240.0  # frames per second that a header may state and be believed before it is measured
_WRONG = 3.0  # a stated rate that is off by such a factor is wrong
_LATE_S = 1.0  # pictures may begin so long after the sound unsaid
_MEASURED_FRAMES = 16  # with as many a rate can be measured
_LOOK_AHEAD = 8  # frames of a file that tell whether its stamps are those of decoding
_LAG_WAIT = 2  # frames that a live source waits for to judge a time stamp
_HEAD_BYTES = 16  # tell one kind of file, and where it begins
_MOST_BYTES = 2**28
_PIPED = "MPEG-TS, Matroska or FLV can be read while they are written"
# Errors of a disk or of what holds it, not of the video on it.
_DISK = (errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EACCES, errno.ENOTCONN)


@dataclasses.dataclass(frozen=True)
class Frame:
    """One picture: pixels [Y, X, 3] uint8 RGB, upright; seconds since the first frame."""

    pixels: np.ndarray
    seconds: float


class Video(contextlib.AbstractContextManager["Video"]):
    """An open video file or live source; iterate once over its frames, in order.

    Memory is bounded by a few frames, however long the video. If the decoder meets damage, the
    readable frames go on; after the iteration `warnings` says in words what was lost or replaced.
    Times are those of clock.py. Of several video streams FFmpeg's best one is read.

    Attributes:
        source: the path, or the address of a live source.
        fps: average frames per second as the source states it. If it states none, or one that its
            time stamps contradict by a factor of three, then after the iteration the measured
            one; 25 if nothing tells.
        codec, pixel_format: FFmpeg's names, such as h264 and yuv420p.
        num_frames: frames given out so far.
        num_errors: packets that could not be decoded so far.
        num_corrupt: frames given out that the decoder marked as damaged.
        broken: why the source ended before its end, "" if it did not.
    """

    def __init__(self, source: str | pathlib.Path, *, live: bool = False, kind: str = "") -> None:
        """Opens a source.

        Args:
            source: a path; for a live source an address, a device, a pipe, or - for standard input.
            live: a source that may have no end and may stall: a time-out, no look at a file.
            kind: the name of FFmpeg's input device for a camera, such as v4l2; "" lets it find out.

        Raises UserError if there is no readable video: missing, empty, without a picture stream.
        """
        self.source = str(source)
        self._live = live
        self.num_frames = self.num_errors = self.num_corrupt = 0
        self.broken = ""
        self._av = import_av()
        self._is_address = is_address(self.source)
        self._pipe: Pipe | None = None
        if not kind and not (live and (self._is_address or is_pipe(self.source))):
            _check_file(pathlib.Path(source))
        self._is_file = not kind and not self._is_address and not is_pipe(self.source)
        began = time.monotonic()
        try:
            self._container = self._open(kind)
        except (self._av.FFmpegError, OSError, ValueError) as error:
            # What PyAV says quotes the whole address.
            cause = None if self._is_address else error
            raise UserError(self._unopened(error, kind, time.monotonic() - began)) from cause
        try:
            self._stream = self._picture_stream()
        except UserError:
            self.close()
            raise
        self._is_playlist = self._container.format.name in ("hls", "dash")
        self._converter = self._av.video.reformatter.VideoReformatter()
        self._has_times = self._knows_times()
        self._by_arrival = live and not self._has_times and not self.is_recording
        self._stream.thread_type = "SLICE" if live else "AUTO"
        self.codec: str = self._stream.codec_context.name.removeprefix("lib")
        self.pixel_format: str | None = self._stream.codec_context.pix_fmt
        self._promised = int(self._stream.frames or 0) if self._is_file else 0
        rates = [self._stream.average_rate, self._stream.guessed_rate]
        if not self._has_times:  # the first is then FFmpeg's default
            rates.reverse()
        self._stated_fps = float(rates[0] or rates[1] or 0)
        self._believed = 0 < self._stated_fps <= _FASTEST
        self.fps = self._stated_fps if self._believed else DEFAULT_FPS
        self._stated_seconds = self._stated_length()
        self._clock = Clock(1 / self.fps, end=self._stated_end(), wait=_LAG_WAIT if live else 4)
        self._begins = (self._container.start_time or 0) / self._av.time_base
        self._first = 0.0  # the first time stamp
        self._read_to = 0  # bytes of the file
        self._notes: list[str] = []  # what is known at the end alone

    def _open(self, kind: str) -> Any:
        # Datagrams get lost on the way, and the frames after them are damaged.
        is_rtsp = re.match("rtsps?:", self.source, re.IGNORECASE)
        options = {"rtsp_flags": "prefer_tcp"} if is_rtsp else {}
        if not self._live:  # all of a playlist, and no waiting for more of it
            options |= {"live_start_index": "0", "m3u8_hold_counters": "2"}
        if self._live and not kind and is_pipe(self.source):
            self._pipe = Pipe(self.source, LIVE_TIMEOUT_S)
            return self._av.open(self._pipe)
        timeout = LIVE_TIMEOUT_S if self._live else None
        return self._av.open(self.source, format=kind or None, timeout=timeout, options=options)

    def _unopened(self, error: Exception, kind: str, waited: float) -> str:
        """Why a source cannot be opened, and what helps with a source of its sort."""
        reason = getattr(error, "strerror", None) or str(error)
        if kind:
            return (
                f"{self.source}: no picture from this camera ({reason}); check that it is "
                "connected and that no other program uses it"
            )
        if self._pipe and self._pipe.stalled:
            reason = f"nothing came in {LIVE_TIMEOUT_S:g} s"
        if self.is_pipe:
            return (
                f"{self.source}: no video comes through this pipe ({reason}); check the program "
                f"that writes to it: {_PIPED}"
            )
        if self._live and self._is_address:
            if waited >= LIVE_TIMEOUT_S:  # FFmpeg names other reasons when time is up
                reason = f"no answer in {LIVE_TIMEOUT_S:g} s"
            return (
                f"{shown(self.source)}: no video comes from there ({reason}); check the address, "
                "the network, and user name and password"
            )
        if getattr(error, "errno", None) in _DISK:
            return self._unreadable(reason)
        return (
            f"{self.source}: no readable video ({reason}); it is damaged, cut short, still being "
            "written or of an unknown kind: copy it again, convert it to .mp4, or leave it out"
        )

    def _unreadable(self, reason: str) -> str:
        return (
            f"{self.source}: cannot be read after {self.num_frames} frames ({reason}); check the "
            "disk and run the same command again"
        )

    def _picture_stream(self) -> Any:
        cover = self._av.stream.Disposition.attached_pic
        found = [
            stream
            for stream in self._container.streams.video
            if not stream.disposition & cover and stream.codec_context is not None
        ]
        if found:
            self._others = len(found) - 1
            best = self._container.streams.best("video")
            longest = max(found, key=lambda stream: stream.frames)
            # FFmpeg takes a preview if its header comes first and it has not looked far enough.
            few = best in found and 2 * best.frames < longest.frames
            return longest if few or best not in found else best
        kinds = sorted({stream.type for stream in self._container.streams}) or ["nothing"]
        cure = "check what it sends" if self._live and not self._is_file else "leave it out"
        raise UserError(
            f"{shown(self.source)}: holds {', '.join(kinds)} but no decodable pictures; {cure}"
        )

    def _knows_times(self) -> bool:
        """Whether this kind of source has time stamps, other than counts of its frames."""
        kind = self._container.format
        timeless = kind.flags & self._av.format.Flags.no_timestamps.value
        return not (timeless or kind.name.endswith("_pipe"))

    def _may_jump(self) -> bool:
        """Whether this kind of source has a clock that may be set, as transport streams have."""
        flags = self._container.format.flags
        return not self._is_file or bool(flags & self._av.format.Flags.ts_discont.value)

    def _stated_length(self) -> float:
        """Seconds of the pictures as the header states them, 0 if it does not or only guesses."""
        self._is_exact = True
        if self._may_jump():
            return 0.0
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        if tag := re.match(r"(\d+):(\d+):(\d+\.?\d*)", self._stream.metadata.get("DURATION", "")):
            return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
        self._is_exact = False  # of the sound too, which may be longer
        return (self._container.duration or 0) / self._av.time_base

    def _stated_end(self) -> float:
        """The last time stamp that the header allows for, minus infinity if it states none."""
        if not self._stated_seconds:
            return -math.inf
        start = float((self._stream.start_time or 0) * self._stream.time_base)
        return start + self._stated_seconds + 1.0

    @property
    def is_pipe(self) -> bool:
        """Whether a program writes it while it is read."""
        return bool(self._pipe and not self._pipe.is_file)

    @property
    def is_recording(self) -> bool:
        """Whether it has an end that is known before: a file, or an address that states its length.

        What ends and is none has broken off.
        """
        return self._has_size() or (self._is_address and bool(self._container.duration))

    @property
    def stated_frames(self) -> int:
        """Frames as the header states them, or as rate and duration tell; 0 if neither does."""
        if self._promised or not self._believed:
            return self._promised
        seconds = self._stated_seconds or (self._container.duration or 0) / self._av.time_base
        return int(seconds * self.fps)

    @property
    def warnings(self) -> list[str]:
        """What went wrong while decoding, one sentence per kind, with counts."""
        clock, found = self._clock, []
        if self._by_arrival:
            found.append("no time stamps: seconds are those of arrival")
        if self.num_errors:
            found.append(f"{counted(self.num_errors, 'packet')} could not be decoded")
        if self.num_corrupt:
            found.append(f"{counted(self.num_corrupt, 'frame')} marked as damaged")
        if self.broken and not self._live:
            found.append(f"reading stopped at {clock.now:.2f} s ({self.broken})")
        if clock.num_strays:
            found.append(f"{counted(clock.num_strays, 'stray time stamp')} replaced")
        if clock.num_jumps:
            jumps = counted(clock.num_jumps, "jump")
            found.append(f"{jumps} of the clock joined (longest {clock.longest_jump:.2f} s)")
        return found + self._notes

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames. Raises UserError when the source has ended without a single one.

        Raises it also if the disk fails that a file lies on.
        """
        waiting: collections.deque[Any] = collections.deque()
        for picture, stamp in self._stamped():
            if not self.num_frames and not waiting:
                self._first = stamp or 0.0
            waiting.append(picture)
            length = float((picture.duration or 0) * (picture.time_base or 0))
            for seconds in self._clock.add(stamp, length):
                yield self._frame(waiting.popleft(), seconds)
        for seconds in self._clock.close():
            yield self._frame(waiting.popleft(), seconds)
        if not self.num_frames:
            cure = "check that the camera sends video"
            if self._is_file:
                cure = "it is damaged: copy it again, convert it to .mp4, or leave it out"
            elif self._pipe:
                cure = f"check what is written to the pipe: {_PIPED}"
            raise UserError(
                f"{shown(self.source)}: no frame could be decoded ("
                f"{counted(self.num_errors, 'damaged packet')}); {cure}"
            )
        self._settle_rate()
        self._notes += self._remarks()

    def _stamped(self) -> Iterator[tuple[Any, float | None]]:
        """Pictures with their time stamps.

        AVI, ASF and MXF may know no other times than those of decoding, which rise while pictures
        with B frames between them come in another order. A live source that has no times at all,
        such as a camera that sends JPEG pictures, has those of arrival.
        """
        pictures = self._pictures()
        if self._by_arrival:
            yield from ((picture, time.monotonic()) for picture in pictures)
            return
        head = list(itertools.islice(pictures, _LOOK_AHEAD if self._is_file else 0))
        by_decoding = _falls([one.pts for one in head]) > 1 and not _falls(
            [one.dts for one in head]
        )
        for picture in itertools.chain(head, pictures):
            stamp = picture.time
            if by_decoding:
                stamp = None if picture.dts is None else float(picture.dts * picture.time_base)
            yield picture, stamp

    def _frame(self, picture: Any, seconds: float) -> Frame:
        self.num_frames += 1
        self.num_corrupt += bool(picture.is_corrupt)
        # A picture's own to_ndarray would set up a converter for each.
        pixels = self._converter.reformat(picture, format="rgb24").to_ndarray()
        return Frame(upright(pixels, picture.rotation), seconds)

    def _pictures(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        came = time.monotonic()  # the last frame, or the wish for the next one
        stuck = False
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                self.broken = self._why_ended()
                return
            except self._av.FFmpegError as error:
                if isinstance(error, self._av.InvalidDataError) and not stuck:
                    self.num_errors += 1
                    packets, stuck = self._container.demux(self._stream), True
                    continue
                self._end_by(error)
                yield from self._rest()
                return
            stuck = False
            self._read_to = max(self._read_to, (packet.pos or 0) + packet.size)
            try:
                pictures = packet.decode()
            except self._av.FFmpegError:
                self.num_errors += 1
                pictures = []
                if not self.num_frames and self.num_errors >= _HOPELESS:
                    return
            for picture in pictures:
                yield picture
                came = time.monotonic()
            if self._live and not self._is_file and time.monotonic() - came > LIVE_TIMEOUT_S:
                self.broken = (
                    f"what came in the last {LIVE_TIMEOUT_S:g} s held no picture"
                    if not self._pipe or not self._pipe.stalled
                    else self._why_ended()
                )
                return

    def _rest(self) -> Iterator[Any]:
        """The pictures that the decoder still holds."""
        with contextlib.suppress(self._av.FFmpegError, EOFError):
            yield from self._stream.codec_context.decode(None)

    def _end_by(self, error: Any) -> None:
        """Notes why the source cannot be read on. Raises UserError if it is for its disk."""
        reason = error.strerror or str(error)
        if self._is_file and error.errno in _DISK:
            raise UserError(self._unreadable(reason)) from error
        if isinstance(error, self._av.ExitError):
            reason = f"nothing came for {LIVE_TIMEOUT_S:g} s"
        if self._is_file or not self._has_come_to_its_end():
            self.broken = reason

    def _why_ended(self) -> str:
        """Why a source that ended without an error may be cut off, "" if that was its end."""
        if self._has_come_to_its_end() or self._has_size():
            return ""
        if self._is_playlist:
            return "its playlist has no further piece"
        if self._pipe and self._pipe.stalled:
            return f"nothing came for {LIVE_TIMEOUT_S:g} s"
        if self._pipe:
            return "the program that writes to the pipe has ended or was killed"
        return "the other side closed the connection" if self._is_address else "the camera is gone"

    def _has_size(self) -> bool:
        """Whether the size is known, so that less than all of it is an error of FFmpeg's."""
        if self._is_playlist:  # has a size of its own
            return False
        if self._is_address:
            return bool(self._container.size > 0)
        return self._is_file or bool(self._pipe and self._pipe.is_file)

    def _has_come_to_its_end(self) -> bool:
        """Whether the source states a length, as a recording does, and was read so far."""
        length = (self._container.duration or 0) / self._av.time_base
        return length > 0 and self._clock.now + max(1.0, 0.02 * length) >= length

    def _settle_rate(self) -> None:
        """Replaces a rate that the header does not state, or that the time stamps contradict."""
        clock = self._clock
        timeless = not self._has_times and not self._by_arrival
        if timeless or clock.num_missing == self.num_frames:
            self._notes.append(
                f"no time stamps: seconds are counted at {self.fps:g} frames per second"
            )
            return
        if self.num_frames < _MEASURED_FRAMES or not clock.now:
            return
        measured = round((self.num_frames - 1) / clock.now, 3)
        stated = self._stated_fps
        fastest = min(clock.fastest_step, clock.step)
        if stated <= _WRONG / fastest and measured <= _WRONG * stated:
            self.fps = stated
            return
        self.fps = measured
        says = f"a rate of {stated:g} frames per second" if stated else "no rate"
        self._notes.append(f"the header states {says}; {measured:g} were measured")

    def _remarks(self) -> list[str]:
        """What the whole of a file tells: other streams, missing frames, another recording."""
        found = []
        if self._others:
            context = self._stream.codec_context
            found.append(
                f"{self._others + 1} video streams; stream {self._stream.index} was read "
                f"({context.width} x {context.height}, {self.codec})"
            )
        if not self._is_file:
            return found
        late = self._first - self._begins
        if late > max(_LATE_S, 2.5 * self._clock.step):
            found.append(
                f"the first picture is at {late:.2f} s of the file; seconds count from there"
            )
        clock, step, length = self._clock, self._clock.step, self._stated_seconds
        end = clock.now + step
        missing = self._promised - self.num_frames
        if missing > 0 and (clock.num_jumps or end < length - 1.5 * step):
            found.append(f"{missing} of {self._promised} frames that the header states are missing")
        slack = 0.2 if self._is_exact else max(1.0, 0.1 * length)
        ends = end + max(self._first, 0.0)  # some containers count from 0, not from the start
        mended = clock.num_jumps or clock.num_strays
        if not self._promised and not mended and ends < length - max(slack, 2.5 * step):
            found.append(f"ends at {end:.2f} s; the header states {length:.2f} s")
        if not self._may_jump() and (place := self._another_begins()):
            found.append(f"another recording begins at byte {place} and was not read")
        return found

    def _another_begins(self) -> int:
        """Where, after the last packet, the head of the file stands again; 0 if nowhere."""
        with contextlib.suppress(OSError), pathlib.Path(self.source).open("rb") as file:
            head = file.read(_HEAD_BYTES)
            file.seek(self._read_to)
            rest = file.read(_MOST_BYTES) if self._read_to else b""
            return max(0, rest.find(head) + self._read_to) if head in rest else 0
        return 0

    def close(self) -> None:
        """Gives the file or device back."""
        with contextlib.suppress(self._av.FFmpegError):
            self._container.close()
        if self._pipe:
            self._pipe.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _falls(stamps: list[int | None]) -> int:
    """How often a time stamp is not later than the one before it."""
    known = [stamp for stamp in stamps if stamp is not None]
    return sum(later <= before for before, later in itertools.pairwise(known))


def counted(count: int, noun: str) -> str:
    """`1 packet`, `2 packets`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def upright(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Pixels [Y, X, 3] turned counter-clockwise, as a display matrix asks, by quarters."""
    quarters = round(degrees / 90)
    return np.rot90(pixels, quarters) if quarters % 4 else pixels


def import_av() -> Any:
    """The module `av`. Raises UserError naming the command if it is not installed."""
    try:
        import av
    except ImportError as error:
        raise UserError("reading videos needs PyAV: pip install av") from error
    return av


def _check_file(path: pathlib.Path) -> None:
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{shown(str(path))}: no such file; check the path") from error
    except OSError as error:
        raise UserError(
            f"{shown(str(path))}: cannot be read ({error.strerror}); check the path"
        ) from error
    if path.is_dir():
        raise UserError(
            f"{shown(str(path))}: is a folder, expected a video file; name a file in it"
        )
    if path.is_file() and not size:
        raise UserError(f"{shown(str(path))}: is empty; copy it again or leave it out")
