"""Decodes a video into frames, one at a time, whatever container, codec or damage it has.

Frames are counted as the file has them: a variable frame rate changes their times, never their
number, as in the released features of the field. Needs the extra `av` (PyAV).
"""

import contextlib
import dataclasses
import math
import pathlib
import re
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError

SUFFIXES = (
    ".mp4",
    ".avi",
    ".mkv",
    ".mov",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".flv",
    ".wmv",
    ".dav",
    ".mts",
    ".m2ts",
    ".3gp",
    ".3g2",
    ".asf",
    ".vob",
    ".ogv",
    ".mxf",
    ".h264",
    ".264",
    ".h265",
    ".265",
    ".hevc",
    ".divx",
    ".rmvb",
    ".f4v",
    ".m2v",
)
DEFAULT_FPS = 25.0  # of a source that does not state its rate
LIVE_TIMEOUT_S = 10.0
# If as many packets fail to decode before the first frame, there is no video that we can read.
_HOPELESS = 1000


@dataclasses.dataclass(frozen=True)
class Frame:
    """One picture: pixels [Y, X, 3] uint8 RGB, upright; seconds since the first frame."""

    pixels: np.ndarray
    seconds: float


class Video(contextlib.AbstractContextManager["Video"]):
    """An open video file or live source; iterate once over its frames, in order.

    Memory is bounded by a few frames, however long the video. If the decoder meets damage, the
    readable frames go on; after the iteration `warnings` says in words what was lost.

    Attributes:
        source: the path, or the address of a live source.
        fps: average frames per second as the file states it, 0 if it does not.
        codec, pixel_format: FFmpeg's names, such as h264 and yuv420p.
        num_frames: frames given out so far.
        num_errors: packets that could not be decoded so far.
        num_corrupt: frames given out that the decoder marked as damaged.
    """

    def __init__(self, source: str | pathlib.Path, *, live: bool = False, kind: str = "") -> None:
        """Opens a source.

        Args:
            source: a path; for a live source an address or a device.
            live: a source without an end that may stall: a time-out, no look at a file.
            kind: the name of FFmpeg's input device for a camera, such as v4l2; "" lets it find out.

        Raises UserError if there is no readable video: missing, empty, without a picture stream.
        """
        self.source = str(source)
        self._live = live
        self.num_frames = self.num_errors = self.num_corrupt = 0
        self._av = import_av()
        self._is_address = "://" in self.source
        if not kind and not (live and self._is_address):
            _check_file(pathlib.Path(source))
        # Datagrams get lost on the way, and the frames after them are damaged.
        options = {"rtsp_flags": "prefer_tcp"} if self.source.startswith("rtsp:") else {}
        timeout = LIVE_TIMEOUT_S if live else None
        began = time.monotonic()
        try:
            self._container = self._av.open(
                self.source, format=kind or None, timeout=timeout, options=options
            )
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise UserError(self._unopened(error, kind, time.monotonic() - began)) from error
        try:
            self._stream = self._picture_stream()
        except UserError:
            self.close()
            raise
        self._stream.thread_type = "SLICE" if live else "AUTO"
        self.codec: str = self._stream.codec_context.name.removeprefix("lib")
        self.pixel_format: str | None = self._stream.codec_context.pix_fmt
        self._promised = 0 if live else int(self._stream.frames or 0)
        self.fps = float(self._stream.average_rate or self._stream.guessed_rate or 0)

    def _unopened(self, error: Exception, kind: str, waited: float) -> str:
        """Why a source cannot be opened, and what helps with a source of its sort."""
        reason = getattr(error, "strerror", None) or str(error)
        if kind:
            return (
                f"{self.source}: no picture from this camera ({reason}); check that it is "
                "connected and that no other program uses it"
            )
        if self._live and self._is_address:
            if waited >= LIVE_TIMEOUT_S:  # FFmpeg names other reasons when time is up
                reason = f"no answer in {LIVE_TIMEOUT_S:g} s"
            return (
                f"{shown(self.source)}: no video comes from there ({reason}); check the address, "
                "the network, and user name and password"
            )
        return (
            f"{self.source}: no readable video ({reason}); it is damaged, cut short or of an "
            "unknown kind: copy it again, convert it to .mp4, or leave it out"
        )

    def _picture_stream(self) -> Any:
        cover = self._av.stream.Disposition.attached_pic
        for stream in self._container.streams.video:
            if not stream.disposition & cover and stream.codec_context is not None:
                return stream
        kinds = sorted({stream.type for stream in self._container.streams}) or ["nothing"]
        raise UserError(
            f"{shown(self.source)}: holds {', '.join(kinds)} but no decodable pictures; "
            "leave it out"
        )

    @property
    def stated_frames(self) -> int:
        """Frames as the header states them, or as rate and duration tell; 0 if neither does."""
        seconds = (self._container.duration or 0) / self._av.time_base
        return self._promised or int(seconds * self.fps)

    @property
    def warnings(self) -> list[str]:
        """What went wrong while decoding, one sentence per kind, with counts."""
        found = []
        if self.num_errors:
            found.append(f"{self.num_errors} packets could not be decoded")
        if self.num_corrupt:
            found.append(f"{self.num_corrupt} frames are marked as damaged")
        missing = self._promised - self.num_frames
        if missing > 0:
            found.append(f"{missing} of {self._promised} frames that the header states are missing")
        return found

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames. Raises UserError when the source has ended without a single one."""
        first: float | None = None
        last = -math.inf
        for picture in self._pictures():
            seconds = picture.time
            if seconds is None or not math.isfinite(seconds):  # raw streams carry no times
                seconds = (first or 0.0) + self.num_frames / (self.fps or DEFAULT_FPS)
            first = seconds if first is None else first
            last = max(last, seconds - first)  # damaged time stamps may run backwards
            self.num_frames += 1
            yield Frame(upright(picture), last)
        if not self.num_frames:
            cure = (
                "check that the camera sends video"
                if self._live
                else "it is damaged: copy it again, convert it to .mp4, or leave it out"
            )
            raise UserError(
                f"{shown(self.source)}: no frame could be decoded ({self.num_errors} damaged "
                f"packets); {cure}"
            )

    def _pictures(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                pictures = packet.decode()
            except StopIteration:
                return
            except self._av.FFmpegError as error:
                self.num_errors += 1
                if not isinstance(error, self._av.InvalidDataError):
                    return  # the source itself is gone: cut off, unplugged, timed out
                if not self.num_frames and self.num_errors >= _HOPELESS:
                    return
                continue
            for picture in pictures:
                self.num_corrupt += bool(picture.is_corrupt)
                yield picture

    def close(self) -> None:
        """Gives the file or device back."""
        with contextlib.suppress(self._av.FFmpegError):
            self._container.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def shown(source: str) -> str:
    """A path or address for messages: an address without its password and its query."""
    if "://" not in source:
        return source
    without = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", source)
    return re.sub(r"\?.*", "?***", without)


def upright(picture: Any) -> np.ndarray:
    """RGB pixels of a PyAV frame, turned as its display matrix asks: [Y, X, 3] uint8."""
    pixels = picture.to_ndarray(format="rgb24")
    quarters = round(picture.rotation / 90)  # counter-clockwise, as np.rot90 counts
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
        raise UserError(f"{path}: no such file; check the path") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if path.is_dir():
        raise UserError(f"{path}: is a folder, expected a video file; name a file in it")
    if path.is_file() and not size:
        raise UserError(f"{path}: is empty; copy it again or leave it out")
