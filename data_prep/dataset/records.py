"""One video as a record of a dataset folder: checked, in float16, in bytes.

Schema version 1 (docs/data_format.md describes every field).
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer

from data_prep.dataset.videos import Video, read_label, span_array
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.data.normalization import by_modality, has_unit_rows
from refinevad_jax.errors import UserError
from refinevad_jax.files.half import require_half

# A record is one protocol buffer, which cannot exceed 2 GiB; the rest of a record is small.
MAX_FEATURE_BYTES = 2**31 - 2**20


@dataclasses.dataclass(frozen=True)
class Record:
    """What one video becomes.

    Attributes:
        content: the serialized record; its bytes depend on the video alone.
        unit: for each modality whether all its rows have length 1, None if all are zero.
        degraded: what the features lose in float16, in words; "" if it is nothing to speak of.
    """

    content: bytes
    unit: tuple[bool | None, ...]
    degraded: str = ""


def make_record(video: Video, info: BagsInfo, position: int) -> Record:
    """Loads, checks and serializes one video. Raises UserError naming its source."""
    fields, degraded = example(video, info, position)
    features = record_features(info.width, info.taxonomy.num_categories)
    message = _serializer(features).get_tf_example(features.encode_example(fields))
    unit = tuple(map(has_unit_rows, by_modality(fields["features"], info)))
    # Otherwise the order of fields changes from process to process.
    return Record(message.SerializeToString(deterministic=True), unit, degraded)


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


def example(video: Video, info: BagsInfo, position: int) -> tuple[dict[str, Any], str]:
    """Checks one video: the record that is stored, and what features lose in float16, in words.

    Raises UserError naming its source.
    """
    features, degraded = to_float16(video.load_features(), info, source=video.source)
    num_frames = video.num_frames
    if num_frames is None:
        num_frames = features.shape[1] * info.frames_per_segment
    elif num_frames < 1:
        raise UserError(f"{video.source}: video {video.video_id} has {num_frames} frames")
    labels = read_label(video, info.taxonomy)
    fields = {
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
    return fields, degraded


def to_float16(features: np.ndarray, info: BagsInfo, *, source: str) -> tuple[np.ndarray, str]:
    """Checks [N, T, D] features, modality by modality, and gives them as float16.

    Also gives what they lose by it, in words, "" if it is nothing to speak of. Raises UserError
    naming the source for features that cannot be used, or of which float16 keeps nothing.
    """
    if features.ndim != 3 or features.shape[2] != info.width:
        raise UserError(
            f"{source}: features of shape {features.shape}, the data set has "
            f"(crops, T, {info.width}); leave the file out or extract it again"
        )
    if 0 in features.shape:
        raise UserError(f"{source}: no segments (shape {features.shape}); leave the video out")
    num_bytes = features.size * np.dtype(np.float16).itemsize
    if num_bytes > MAX_FEATURE_BYTES:
        raise UserError(
            f"{source}: features of shape {features.shape} take {num_bytes / 2**30:.1f} GiB, a "
            "record holds less than 2; keep fewer crops (--num_crops) or leave the video out"
        )
    halves = [
        require_half(part, f"{source}: {modality.name}" if len(info.modalities) > 1 else source)
        for modality, part in zip(info.modalities, by_modality(features, info), strict=True)
    ]
    values = [half.values for half in halves]
    degraded = next((half.words for half in halves if half.fault), "")
    return (np.concatenate(values, axis=2) if len(values) > 1 else values[0]), degraded
