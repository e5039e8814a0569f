"""Videos on their way into a dataset folder."""

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence

import numpy as np

from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.data.taxonomy import Taxonomy, fault_of_name, shown
from refinevad_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Span:
    """An anomalous stretch: frames start .. end-1, and its category token if it is stated."""

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
        num_frames: frames of the video; None if unknown.
        fps: frames per second; 0 if unknown.
        spans: the truth; None if it is not known, () for a normal video.
        recording: the film, camera or longer recording that it is a piece of; "" if unknown.
    """

    video_id: str
    split: str
    label: str
    load_features: Callable[[], np.ndarray]
    source: str
    num_frames: int | None = None
    fps: float = 0.0
    spans: tuple[Span, ...] | None = None
    recording: str = ""


def read_label(video: Video, taxonomy: Taxonomy) -> np.ndarray:
    """Multi-hot target [C] bool of a video. Raises UserError naming its source."""
    try:
        return taxonomy.multi_hot(video.label)
    except UserError as error:
        raise UserError(f"{video.source}: video {video.video_id}: {error}") from error


def span_array(video: Video, info: BagsInfo, num_frames: int, labels: np.ndarray) -> np.ndarray:
    """Spans as [S, 3] int32, clipped to the video as the field does (five UCF spans end late).

    num_frames: of the video; labels: indices of its categories.
    """
    rows = []
    for span in video.spans or ():
        start, end = max(span.start, 0), min(span.end, num_frames)
        if start < end:
            rows.append((start, end, _span_category(video, span, labels, info)))
    return np.array(rows, np.int32).reshape(-1, 3)


def _span_category(video: Video, span: Span, labels: np.ndarray, info: BagsInfo) -> int:
    """Category index of a span, -1 if neither the span nor the video's label tells it."""
    if span.category is None:
        return int(labels[0]) if len(labels) == 1 else -1
    try:
        return info.taxonomy.span_index(span.category)
    except UserError as error:
        raise UserError(
            f"{video.source}: a span of video {video.video_id}: {error}; give a --taxonomy that "
            "has it"
        ) from error


def check_classes(videos: Sequence[Video], taxonomy: Taxonomy) -> None:
    """Raises UserError if the videos of `train` are all normal or all anomalous.

    Of another split it says on stderr what cannot be measured.
    """
    for split in dict.fromkeys(video.split for video in videos):
        labels = [read_label(video, taxonomy).any() for video in videos if video.split == split]
        anomalous = sum(map(bool, labels))
        if 0 < anomalous < len(labels):
            continue
        found, means = one_kind(split, len(labels) - anomalous, anomalous, taxonomy)
        if split == "train":
            raise UserError(f"split {split}: {found}; {means}")
        print(f"note: split {split}: {found}; {means}", file=sys.stderr)


def one_kind(split: str, normal: int, anomalous: int, taxonomy: Taxonomy | None) -> tuple[str, str]:
    """How many videos of both kinds a split has, and what it means if it has one kind only.

    split: "" if it is not known; taxonomy: the same as None.
    """
    found = f"{normal} normal and {anomalous} anomalous videos"
    words = "is written Normal, A or 0 in the lists of the field; --taxonomy names other words"
    if taxonomy is not None:
        words = f"is written {' or '.join(taxonomy.normal)}"
    where = f"In taxonomy {taxonomy.name}, normal" if taxonomy is not None else "Normal"
    if split in ("train", ""):
        learner = "multiple-instance learning" if split else "training"
        return found, f"{learner} needs both normal and anomalous videos. {where} {words}"
    lost = "AUC of videos and false alarms" if anomalous else "AUC, AP and found events"
    return found, f"it cannot measure {lost}"


def check_name(name: str) -> None:
    """Raises UserError if a data set cannot have this name, which is one of a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
        raise UserError(f"--name={name!r}: letters, digits, '_', '-' and '.' only")


def check_names(info: BagsInfo, videos: Sequence[Video]) -> None:
    """Checks the data set's name and that there are videos, each once. Raises UserError."""
    check_name(info.name)
    if not videos:
        raise UserError("no videos to package; check the list")
    for video in videos:
        if not re.fullmatch(r"[A-Za-z0-9_]+", video.split):
            raise UserError(f"split {video.split!r}: letters, digits and '_' only")
    check_ids(videos)


def check_ids(videos: Sequence[Video]) -> None:
    """Checks that video names differ and that files may have them. Raises UserError."""
    seen: dict[str, Video] = {}
    for video in videos:
        if not video.video_id:
            raise UserError(f"{video.source}: a video without a name")
        if fault := fault_of_name(video.video_id, of_file=True):
            raise UserError(f"{video.source}: video {shown(video.video_id)} {fault}")
        if video.video_id in seen:
            raise UserError(
                f"{video.source}: video {video.video_id} appears twice (splits "
                f"{seen[video.video_id].split} and {video.split}); remove one"
            )
        seen[video.video_id] = video
