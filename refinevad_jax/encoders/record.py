"""What is written beside a feature file, NAME.json beside NAME.npy, and how it is read.

The record says which encoder made the features of which video, how long and how fast the video is,
and the digest of the feature file. Extraction and detection write it. Packaging, checks and
detection trust it as far as it agrees with the file. docs/data_format.md has every field.
"""

import dataclasses
import errno
import importlib.metadata
import io
import itertools
import json
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax import __version__
from refinevad_jax.encoders.crops import PREPROCESSING
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.encoders.segments import segment_edges
from refinevad_jax.errors import UserError
from refinevad_jax.files.half import require_half
from refinevad_jax.files.hashes import file_sha256
from refinevad_jax.files.staged import write_bytes, write_json

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


@dataclasses.dataclass(frozen=True)
class FeatureRecord:
    """The record of one feature file.

    Attributes:
        path: of the record.
        values: all that it holds.
        encoder: name of what made the features.
        num_frames: frames of the video.
        fps: frames per second as the video states them, 0 if it does not.
        num_segments: T.
        segment_seconds: [T + 1] starts of the segments and the end of the last one; empty if the
            frame rate is constant.
        features_sha256: digest of the feature file.
    """

    path: pathlib.Path
    values: dict[str, Any]
    encoder: str
    num_frames: int
    fps: float
    num_segments: int
    segment_seconds: tuple[float, ...]
    features_sha256: str

    @property
    def rate(self) -> float:
        """Average frames per second over the segments, 0 if neither times nor rate are known."""
        if not self.segment_seconds:
            return self.fps
        return self.num_segments * FRAMES_PER_SEGMENT / self.segment_seconds[-1]

    @property
    def warnings(self) -> list[str]:
        """What was wrong with the video, in words."""
        stated = self.values.get("warnings")
        return list(map(str, stated)) if isinstance(stated, list) else []

    def frame_at(self, seconds: float) -> float:
        """The place of a time, counted in frames. `rate` must be known."""
        edges = self.segment_seconds
        if not edges:
            return seconds * self.fps
        if seconds > edges[-1]:  # the frames behind the last whole segment
            return self.num_segments * FRAMES_PER_SEGMENT + (seconds - edges[-1]) * self.rate
        return float(np.interp(seconds, edges, np.arange(len(edges)) * FRAMES_PER_SEGMENT))


def read_record(features: pathlib.Path) -> FeatureRecord | None:
    """The record beside a file that extraction has written; None if there is no record.

    A JSON file that another program put there is no record. Raises UserError if the record is
    damaged.
    """
    path = features.with_suffix(".json")
    damaged = f"{path}: not a record of data_prep.extract, or damaged; extract the features again"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{damaged}, or move the .json away") from error
    if not isinstance(values, dict) or "features_sha256" not in values:
        return None
    record = FeatureRecord(
        path=path,
        values=values,
        encoder=values.get("encoder", ""),
        num_frames=values.get("num_frames", 0),
        fps=values.get("fps", 0.0),
        num_segments=values.get("num_segments", 0),
        segment_seconds=_edges(values.get("segment_seconds", [])),
        features_sha256=values["features_sha256"],
    )
    for name, right in (
        ("encoder", _is_name(record.encoder)),
        ("num_segments", _is_count(record.num_segments)),
        (
            "num_frames",
            _is_count(record.num_frames)
            and record.num_frames // FRAMES_PER_SEGMENT == record.num_segments,
        ),
        ("fps", _is_number(record.fps)),
        ("segment_seconds", len(record.segment_seconds) in (0, record.num_segments + 1)),
        ("features_sha256", isinstance(record.features_sha256, str)),
    ):
        if not right:
            raise UserError(f"{damaged} ({name} is {values.get(name)!r:.60})")
    return record


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**31


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 2**31


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= 100


def _edges(values: Any) -> tuple[float, ...]:
    """The times of a record; of what cannot be times, one value, which is never right."""
    if not isinstance(values, list) or not all(map(_is_number, values)):
        return (math.nan,)
    falls = any(after < before for before, after in itertools.pairwise(values))
    return (math.nan,) if falls or (values and values[-1] <= 0) else tuple(map(float, values))


def time_facts(seconds: Sequence[float], fps: float) -> dict[str, Any]:
    """The length and rate of a video for its record.

    seconds: times of all frames; fps: as the video states it. At a constant rate `fps` says all.
    If a segment begins half a frame or more beside the place that `fps` gives it, the times of the
    segments are stated too.
    """
    edges = segment_edges(seconds, fps)
    even = np.arange(len(edges)) * FRAMES_PER_SEGMENT / (fps or math.inf)
    facts: dict[str, Any] = {
        "num_frames": len(seconds),
        "fps": fps,
        "num_segments": len(edges) - 1,
    }
    if not fps or np.abs(edges - even).max() * fps > 0.5:
        facts["segment_seconds"] = [round(float(edge), 3) for edge in edges]
    return facts


def visual_settings(encoder: VisualEncoder, num_crops: int) -> dict[str, Any]:
    """What decides the features of a video besides its bytes, for its record."""
    return {
        "encoder": encoder.name,
        "weights_sha256": encoder.weights_sha256,
        "num_crops": num_crops,
        "frames_per_segment": FRAMES_PER_SEGMENT,
        "preprocessing": PREPROCESSING,
    }


def video_facts(
    video: pathlib.Path, target: pathlib.Path, seconds: Sequence[float], fps: float
) -> dict[str, Any]:
    """Which video it is, where it lies as seen from the file `target`, and its times.

    seconds, fps: see time_facts. Raises UserError if the disk fails while its digest is made.
    """
    try:
        digest = file_sha256(video)
    except OSError as error:
        raise UserError(
            f"{video}: cannot be read to its end ({error.strerror or error}); check the disk and "
            "run the same command again"
        ) from error
    place = os.path.relpath(video.parent.resolve() / video.name, target.parent.resolve())
    return {
        "video": video.name,
        "video_path": pathlib.Path(place).as_posix(),
        "video_sha256": digest,
        **time_facts(seconds, fps),
    }


def feature_file(features: np.ndarray) -> tuple[bytes, dict[str, Any]]:
    """A .npy file of float32, and its shape for the record.

    features: [T, D] or [T, N, D]. Raises UserError for what no data set could keep (files/half.py).
    """
    if not np.isfinite(features).all():
        raise UserError("the encoder gave values that are not finite")
    require_half(features.reshape(1, -1, features.shape[-1]), "the encoder's features")
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(features, np.float32), allow_pickle=False)
    return buffer.getvalue(), {"shape": list(features.shape)}


def write_recorded(
    target: pathlib.Path, content: bytes, facts: dict[str, Any], libraries: Sequence[str]
) -> None:
    """Writes a file and, once it is there, its record: the facts, its digest, and versions.

    libraries: the packages whose versions the record states. Raises OSError if they cannot be
    written.
    """
    write_bytes(target, content)
    versions = {name: importlib.metadata.version(name) for name in libraries}
    stated = {
        "features_sha256": file_sha256(target),
        "versions": {"refinevad_jax": __version__} | versions,
    }
    write_json(target.with_suffix(".json"), facts | stated)


def is_recorded(target: pathlib.Path, video: pathlib.Path, settings: dict[str, Any]) -> bool:
    """Whether the file is there, whole, of this video's bytes and these settings."""
    try:
        record = read_record(target)
        return (
            record is not None
            and {key: record.values.get(key) for key in settings} == settings
            and record.features_sha256 == file_sha256(target)
            and record.values.get("video_sha256") == file_sha256(video)
        )
    except (OSError, UserError):  # missing or damaged: made again
        return False
