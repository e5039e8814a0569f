"""The dataset folder: one TFDS builder, in ArrayRecord files, for every data set.

Schema version 1 (docs/data_format.md describes every field). Everything that makes a dataset
folder ends in `write_dataset`, which checks each video and lets the folder appear only when all of
them are in.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import tqdm
from absl import logging
from tensorflow_datasets.core import writer
from tensorflow_datasets.proto import tf_example_pb2

from refinevad_jax.data.bags import BUILDER_NAME, SCHEMA_VERSION, BagsInfo, dataset_dir
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.staged_folder import replace_folder, restore_replaced, staging_folder

# A record is one protocol buffer, which cannot exceed 2 GiB; the rest of a record is small.
MAX_FEATURE_BYTES = 2**31 - 2**20


@dataclasses.dataclass(frozen=True)
class Span:
    """An anomalous stretch: frames start .. end-1, and its category token where it is stated."""

    start: int
    end: int
    category: str | None = None


@dataclasses.dataclass(frozen=True)
class Video:
    """One video on its way into a dataset folder.

    Attributes:
        video_id: unique name.
        split: "train", "val", "test" or any other word.
        label: raw label string, read by the taxonomy.
        load_features: returns [N, T, D] floating point; called once, so that one video at a time is
            in memory.
        source: the file that errors name.
        num_frames: frames of the video; None where unknown.
        fps: frames per second; 0 where unknown.
        spans: the truth; None where it is not known, () for a normal video.
    """

    video_id: str
    split: str
    label: str
    load_features: Callable[[], np.ndarray]
    source: str
    num_frames: int | None = None
    fps: float = 0.0
    spans: tuple[Span, ...] | None = None


class CanonicalWriter(writer.ExampleWriter):
    """Writes records whose bytes depend on their content alone.

    TFDS leaves the order of a record's fields to the protocol buffer library, where it changes from
    process to process.
    """

    def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
        """Writes one shard. Raises OSError where the disk is full."""
        records = ((key, _canonical(record)) for key, record in examples)
        try:
            return super().write(path, records)
        except RuntimeError as error:  # what ArrayRecord raises for a failed write
            raise OSError(str(error).split(";")[0]) from error


def _canonical(record: bytes) -> bytes:
    message = tf_example_pb2.Example.FromString(record)
    return message.SerializeToString(deterministic=True)


class FeatureBags(tfds.core.GeneratorBasedBuilder):
    """The TFDS builder; use write_dataset, which gives it the videos."""

    VERSION = tfds.core.Version(f"{SCHEMA_VERSION}.0.0")
    name = BUILDER_NAME

    def __init__(self, *, info: BagsInfo, videos: Sequence[Video], data_dir: str) -> None:
        self._bags_info = info
        self._videos = videos
        config = tfds.core.BuilderConfig(name=info.name, version=self.VERSION)
        super().__init__(data_dir=data_dir, config=config)

    def _info(self) -> tfds.core.DatasetInfo:
        width, num_categories = self._bags_info.width, self._bags_info.taxonomy.num_categories
        return tfds.core.DatasetInfo(
            builder=self,
            description="Feature bags with video-level labels for weakly supervised detection.",
            features=tfds.features.FeaturesDict(
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
                }
            ),
            metadata=tfds.core.MetadataDict(self._bags_info.to_dict()),
        )

    def _example_writer(self) -> writer.ExampleWriter:
        return CanonicalWriter(file_format=self.info.file_format)

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[Any]]:
        del dl_manager
        splits = dict.fromkeys(video.split for video in self._videos)
        return {split: self._generate_examples(split) for split in splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        chosen = [(i, video) for i, video in enumerate(self._videos) if video.split == split]
        # disable=None: no bar where stderr is a file.
        for position, video in tqdm.tqdm(
            chosen, desc=f"packaging {split}", unit="video", leave=False, disable=None
        ):
            yield video.video_id, example(video, self._bags_info, position)


def example(video: Video, info: BagsInfo, position: int) -> dict[str, Any]:
    """Checks one video and gives the record that is stored. Raises UserError naming its source."""
    features = check_features(video.load_features(), info.width, source=video.source)
    num_frames = video.num_frames
    if num_frames is None:
        num_frames = features.shape[1] * info.frames_per_segment
    elif num_frames < 1:
        raise UserError(f"{video.source}: video {video.video_id} has {num_frames} frames")
    return {
        "position": position,
        "video_id": video.video_id,
        "label": video.label,
        "labels": read_label(video, info.taxonomy),
        "features": features,
        "num_frames": num_frames,
        "fps": video.fps,
        "spans": _span_array(video, info, num_frames),
        "has_truth": video.spans is not None,
    }


def check_features(features: np.ndarray, width: int, *, source: str) -> np.ndarray:
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
    if not np.isfinite(features).all():
        crop, segment, channel = np.argwhere(~np.isfinite(features))[0]
        raise UserError(
            f"{source}: {features[crop, segment, channel]} at crop {crop}, segment {segment}, "
            f"channel {channel}; extract the file again"
        )
    largest = np.abs(features).max()
    if largest > np.finfo(np.float16).max:
        raise UserError(f"{source}: value {largest:g} does not fit float16; scale the features")
    return features.astype(np.float16)


def read_label(video: Video, taxonomy: Taxonomy) -> np.ndarray:
    """Multi-hot target [C] bool of a video. Raises UserError naming its source."""
    try:
        return taxonomy.multi_hot(video.label)
    except UserError as error:
        raise UserError(f"{video.source}: video {video.video_id}: {error}") from error


def _span_array(video: Video, info: BagsInfo, num_frames: int) -> np.ndarray:
    """Spans as [S, 3] int32, clipped to the video as the field does (five UCF spans end late)."""
    labels = np.flatnonzero(read_label(video, info.taxonomy))
    rows = []
    for span in video.spans or ():
        start, end = max(span.start, 0), min(span.end, num_frames)
        if start < end:
            rows.append((start, end, _span_category(video, span, labels, info)))
    return np.array(rows, np.int32).reshape(-1, 3)


def _span_category(video: Video, span: Span, labels: np.ndarray, info: BagsInfo) -> int:
    """Category index of a span, -1 where neither the span nor the video's label tells it."""
    if span.category is None:
        return int(labels[0]) if len(labels) == 1 else -1
    try:
        return info.taxonomy.index(span.category)
    except UserError as error:
        raise UserError(f"{video.source}: a span of video {video.video_id}: {error}") from error


def write_dataset(
    data_dir: str, info: BagsInfo, videos: Sequence[Video], *, overwrite: bool = False
) -> pathlib.Path:
    """Checks and writes all videos; the dataset folder appears in one rename at the end.

    Where a data set of that name stands already: nothing is done when it was made from the same
    input (equal provenance), an error is raised otherwise, unless overwrite is set. Returns the
    folder.
    """
    check_names(info, videos)
    final = dataset_dir(data_dir, info.name)
    restore_replaced(final)
    if final.exists() and not overwrite:
        if _stored_provenance(final) == json.loads(json.dumps(info.provenance)):
            print(f"{final} is there already, made from the same input; nothing to do")
            return final
        raise UserError(
            f"{final} exists and was made from other input; choose another --name or --overwrite"
        )
    try:
        with staging_folder(final) as staging:
            with _quiet_tfds():
                builder = FeatureBags(info=info, videos=videos, data_dir=str(staging))
                builder.download_and_prepare(file_format="array_record")
            replace_folder(pathlib.Path(builder.data_path), final)
    except OSError as error:
        raise UserError(f"{final}: cannot be written ({error.strerror or error})") from error
    return final


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[None]:
    """Silences what TFDS says of downloads and configurations, which mean nothing here."""
    tfds.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)


def check_names(info: BagsInfo, videos: Sequence[Video]) -> None:
    """Checks the data set's name and that there are videos, each once. Raises UserError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", info.name):
        raise UserError(f"--name={info.name!r}: letters, digits, '_', '-' and '.' only")
    if not videos:
        raise UserError("no videos to package; check the list")
    seen: dict[str, Video] = {}
    for video in videos:
        if not re.fullmatch(r"[A-Za-z0-9_]+", video.split):
            raise UserError(f"split {video.split!r}: letters, digits and '_' only")
        if not video.video_id:
            raise UserError(f"{video.source}: a video without a name")
        if video.video_id in seen:
            raise UserError(
                f"{video.source}: video {video.video_id} stands twice (splits "
                f"{seen[video.video_id].split} and {video.split}); remove one"
            )
        seen[video.video_id] = video


def file_sha256(path: pathlib.Path) -> str:
    """SHA-256 of a file's bytes, for provenance."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stored_provenance(folder: pathlib.Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / "metadata.json").read_text(encoding="utf-8"))["provenance"]
    except (OSError, ValueError, KeyError):
        return None
