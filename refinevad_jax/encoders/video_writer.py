"""Writes frames to a video file: H.264 in MP4, which browsers play."""

import fractions
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from refinevad_jax.encoders.video import import_av
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import staged_file, staging_path


def write_video(
    path: pathlib.Path, frames: Iterable[np.ndarray], *, fps: float, quality: int = 23
) -> None:
    """Writes a video that appears complete or not at all.

    Args:
        path: the file; its suffix says the container.
        frames: [Y, X, 3] uint8 each, all of one size; an odd last row or column is left out, since
            browsers play only videos of even sizes.
        fps: frames per second.
        quality: the encoder's constant rate factor, lower is better.

    Raises OSError if the place cannot be written, UserError if there is no frame or the encoder
    fails. One thread encodes, so that the same frames give the same bytes.
    """
    av = import_av()
    try:
        with staged_file(path):
            staged = staging_path(path)
            with av.open(str(staged), "w", options={"fflags": "+bitexact"}) as container:
                count = _encode(container, frames, fps, quality)
            if not count:
                raise UserError(f"{path}: no frame to write")
            staged.replace(path)
    except av.FFmpegError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


def _has_avx512() -> bool:
    """Whether x264 would use AVX-512, with which its bytes depend on what memory held before."""
    try:
        return "avx512" in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # no Linux
        return False


def _encode(container: Any, frames: Iterable[np.ndarray], fps: float, quality: int) -> int:
    """Encodes every frame and says how many there were."""
    rate = fractions.Fraction(fps).limit_denominator(1001)
    options = {"crf": str(quality)}
    if _has_avx512():
        options["x264-params"] = "asm=AVX2"
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.pix_fmt = "yuv420p"
    stream.thread_count = 1
    count = 0
    for count, pixels in enumerate(frames, start=1):
        even = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
        if count == 1:
            stream.height, stream.width = even.shape[:2]
        picture = import_av().VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        container.mux(stream.encode(picture))
    if count:
        container.mux(stream.encode())
    return count
