"""One video as a record of a dataset folder: checked, in float16, in bytes.

Schema version 1 (docs/data_format.md describes every field).
"""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer

from data_prep.dataset.videos import Video, read_label, span_array
from refinevad_jax.data.bags import BagsInfo, all_finite
from refinevad_jax.errors import UserError

# A record is one protocol buffer, which cannot exceed 2 GiB; the rest of a record is small.
MAX_FEATURE_BYTES = 2**31 - 2**20
# Some encoders and releases give rows of length 1. Components rounded to float16, once by the
# release and once here, move a length by less.
UNIT_TOLERANCE = 2e-3
_BLOCK = 32  # rows in float32 at a time


@dataclasses.dataclass(frozen=True)
class Record:
    """What one video becomes.

    Attributes:
        content: the serialized record; its bytes depend on the video alone.
        unit: for each modality whether all its rows have length 1, None if all are zero.
    """

    content: bytes
    unit: tuple[bool | None, ...]


def make_record(video: Video, info: BagsInfo, position: int) -> Record:
    """Loads, checks and serializes one video. Raises UserError naming its source."""
    fields = example(video, info, position)
    features = record_features(info.width, info.taxonomy.num_categories)
    message = _serializer(features).get_tf_example(features.encode_example(fields))
    unit, first = [], 0
    for modality in info.modalities:
        unit.append(has_unit_rows(fields["features"][..., first : first + modality.width]))
        first += modality.width
    # Otherwise the order of fields changes from process to process.
    return Record(message.SerializeToString(deterministic=True), tuple(unit))


@functools.lru_cache(maxsize=8)
def record_features(width: int, num_categories: int) -> tfds.features.FeaturesDict:
    """The TFDS schema of a record."""
    return tfds.features.FeaturesDict(
        {
            "position": np.int64,
            "video_id": tfds.features.Text(),
            "label": tfds.features.Text(),
            "labels": tfds.features.Tensor(shape=(num_categories,), dtype=np.bool_),
            "features": tfds.features.Tensor(
                shape=(None, None, width), dtype=np.float16, encoding="bytes"
            ),
            "num_frames": np.int64,
            "fps": np.float32,
            "spans": tfds.features.Tensor(shape=(None, 3), dtype=np.int32),
            "has_truth": np.bool_,
            "recording": tfds.features.Text(),
        }
    )


@functools.lru_cache(maxsize=8)
def _serializer(features: tfds.features.FeaturesDict) -> Any:
    return example_serializer.ExampleSerializer(features.get_serialized_info())


def example(video: Video, info: BagsInfo, position: int) -> dict[str, Any]:
    """Checks one video and gives the record that is stored. Raises UserError naming its source."""
    features = to_float16(video.load_features(), info.width, source=video.source)
    num_frames = video.num_frames
    if num_frames is None:
        num_frames = features.shape[1] * info.frames_per_segment
    elif num_frames < 1:
        raise UserError(f"{video.source}: video {video.video_id} has {num_frames} frames")
    labels = read_label(video, info.taxonomy)
    return {
        "position": position,
        "video_id": video.video_id,
        "label": video.label,
        "labels": labels,
        "features": features,
        "num_frames": num_frames,
        "fps": video.fps,
        "spans": span_array(video, info, num_frames, np.flatnonzero(labels)),
        "has_truth": video.spans is not None,
        "recording": video.recording,
    }


def to_float16(features: np.ndarray, width: int, *, source: str) -> np.ndarray:
    """Checks [N, T, D] features and gives them as float16. Raises UserError naming the source."""
    if features.ndim != 3 or features.shape[2] != width:
        raise UserError(
            f"{source}: features of shape {features.shape}, the data set has (crops, T, {width}); "
            "leave the file out or extract it again"
        )
    if 0 in features.shape:
        raise UserError(f"{source}: no segments (shape {features.shape}); leave the video out")
    num_bytes = features.size * np.dtype(np.float16).itemsize
    if num_bytes > MAX_FEATURE_BYTES:
        raise UserError(
            f"{source}: features of shape {features.shape} take {num_bytes / 2**30:.1f} GiB, a "
            "record holds less than 2; keep fewer crops (--num_crops) or leave the video out"
        )
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(features, np.float16)
    if not all_finite(half):
        _refuse_values(features, source)
    return half


def _refuse_values(features: np.ndarray, source: str) -> None:
    if not np.isfinite(features).all():
        crop, segment, channel = np.argwhere(~np.isfinite(features))[0]
        raise UserError(
            f"{source}: {features[crop, segment, channel]} at crop {crop}, segment {segment}, "
            f"channel {channel}; extract the file again"
        )
    raise UserError(
        f"{source}: value {np.abs(features).max():g} does not fit float16; scale the features"
    )


def are_unit(norms: np.ndarray) -> bool | None:
    """Whether all these lengths are 1, zeros left out; None if all are zero."""
    norms = norms[norms > 0]
    return bool((np.abs(norms - 1) < UNIT_TOLERANCE).all()) if len(norms) else None


def has_unit_rows(features: np.ndarray) -> bool | None:
    """are_unit of all rows of [..., D], up to the first block that has another length."""
    rows = features.reshape(-1, features.shape[-1])
    found = set()
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK].astype(np.float32)
        found.add(are_unit(np.sqrt(np.einsum("rd,rd->r", block, block))))
        if False in found:
            return False
    return True if True in found else None


def name_normalization(units: Iterable[bool | None]) -> str:
    """Says "l2" if every row of a data set that is not zero has length 1, else "none"."""
    found = set(units)
    return "l2" if True in found and False not in found else "none"
