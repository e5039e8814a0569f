"""Inputs of detection, made into features: videos by an encoder, feature files as they are."""

import dataclasses
import io
import pathlib
from collections.abc import Sequence

import numpy as np
import tqdm

from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, NAMES, VisualEncoder
from refinevad_jax.encoders.loading import VISUAL
from refinevad_jax.encoders.record import read_record
from refinevad_jax.encoders.segments import (
    Segment,
    ahead,
    batched,
    noting_times,
    read_segments,
    segment_edges,
)
from refinevad_jax.encoders.video import DEFAULT_FPS, SUFFIXES, Video, find_videos, shown
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_array
from refinevad_jax.files.hashes import file_sha256

ENCODERS = {NAMES[name]: name for name in VISUAL}
_THUMBNAIL_WIDTH = 160
_AHEAD = 8


@dataclasses.dataclass(frozen=True)
class Features:
    """One input, encoded.

    Attributes:
        path: the video or feature file.
        features: [N, T, D] float32.
        seconds: [T + 1] starts of the segments, and the end of the last one.
        num_frames: of the video; T x 16 for a feature file without a record.
        fps: average frames per second; 25 if nothing states them.
        encoder: name of the encoder, "" if not known.
        thumbnails: [T] JPEG bytes of the segments' first frames; empty for a feature file.
        warnings: what was wrong with the video.
    """

    path: pathlib.Path
    features: np.ndarray
    seconds: np.ndarray
    num_frames: int
    fps: float
    encoder: str
    thumbnails: list[bytes]
    warnings: list[str]


def find_inputs(inputs: Sequence[str]) -> dict[str, pathlib.Path]:
    """Every input by the name its outputs will have; a folder stands for the videos below it.

    Raises UserError if nothing is there or two inputs would have one name.
    """
    found: dict[str, pathlib.Path] = {}
    for text in inputs:
        path = pathlib.Path(text)
        if path.is_dir():
            inside = [
                (str(one.relative_to(path).with_suffix("")), one) for one in find_videos(path)
            ]
            if not inside:
                raise UserError(
                    f"--input={text}: no video in it; {', '.join(SUFFIXES)} are looked for"
                )
        elif path.is_file():
            inside = [(path.stem, path)]
        elif "://" in text:
            raise UserError(f"--input={shown(text)}: an address is a live source; add --stream")
        else:
            raise UserError(f"--input={text}: no such file or folder; check the path")
        for name, one in inside:
            if name in found:
                raise UserError(f"{found[name]} and {one} would both become {name}; rename one")
            found[name] = one
    return found


def read_features(path: pathlib.Path, frames_per_segment: int = FRAMES_PER_SEGMENT) -> Features:
    """A feature file, (T, D) or (T, N, D), and what the record beside it says.

    Its rows stand for frames_per_segment frames each. Raises UserError if it is not such an array.
    """
    array = load_array(path)
    if array.dtype.kind != "f" or array.ndim not in (2, 3):
        raise UserError(f"{path}: shape {array.shape}, expected (T, D) or (T, crops, D) of numbers")
    if not array.size or not np.isfinite(array).all():
        raise UserError(f"{path}: is empty or holds values that are not finite")
    if np.abs(array).max() > np.finfo(np.float16).max:  # what features are kept in
        raise UserError(
            f"{path}: value {np.abs(array).max():g} does not fit float16; scale the features"
        )
    record = read_record(path)
    if record and record.features_sha256 != file_sha256(path):
        raise UserError(f"{path}: not what data_prep.extract wrote there; extract it again")
    fps = (record and record.rate) or DEFAULT_FPS
    seconds = np.arange(len(array) + 1) * frames_per_segment / fps
    if record and record.segment_seconds:
        seconds = np.array(record.segment_seconds)
    crops = array[:, None] if array.ndim == 2 else array
    if crops.shape[1] > 10:
        raise UserError(f"{path}: {crops.shape[1]} crops; save it as (T, crops, D), at most 10")
    return Features(
        path=path,
        features=crops.transpose(1, 0, 2).astype(np.float32),
        seconds=seconds,
        num_frames=record.num_frames if record else len(array) * frames_per_segment,
        fps=fps,
        encoder=record.encoder if record else "",
        thumbnails=[],
        warnings=[],
    )


def encode_video(
    path: pathlib.Path, encoder: VisualEncoder, *, num_crops: int, batch_size: int
) -> Features:
    """Decodes and encodes a video, at the same time, and shows how many segments are done.

    Memory holds features and small pictures, not the frames.
    Raises UserError if it cannot be read or is shorter than one segment.
    """
    rows: list[np.ndarray] = []
    times: list[float] = []
    thumbnails: list[bytes] = []
    with Video(path) as video, tqdm.tqdm(desc=path.name, unit="segment", leave=False) as bar:
        segments = ahead([read_segments(noting_times(video, times), num_crops)], _AHEAD)
        for some in batched(segments, batch_size):
            rows.append(encoder.encode_segments([segment.crops for segment in some], batch_size))
            thumbnails += map(_thumbnail, some)
            bar.update(len(some))
    if not rows:
        raise UserError(
            f"{path}: {video.num_frames} frames, fewer than the {FRAMES_PER_SEGMENT} of a segment"
        )
    return Features(
        path=path,
        features=np.concatenate(rows).transpose(1, 0, 2),
        seconds=segment_edges(times, video.fps),
        num_frames=video.num_frames,
        fps=video.fps or DEFAULT_FPS,
        encoder=encoder.name,
        thumbnails=thumbnails,
        warnings=video.warnings,
    )


def _thumbnail(segment: Segment) -> bytes:
    from PIL import Image

    picture = Image.fromarray(segment.crops[0, 0])
    picture.thumbnail((_THUMBNAIL_WIDTH, _THUMBNAIL_WIDTH))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()
