"""The videos of a list with labels and truth, without features: for scores that somebody gave."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from data_prep.annotations import Annotations, read_annotations
from data_prep.annotations.record import LARGEST_FRAME
from data_prep.annotations.truths import official
from data_prep.catalogue.listed_names import bare_key, meet
from data_prep.catalogue.lookup import (
    data_set_named,
    known_list,
    known_order,
    lengths_by_rule,
    load_taxonomy,
)
from data_prep.catalogue.video_names import is_normal_label, match_key, strip_video_path
from data_prep.dataset.videos import Video, check_ids, read_label, span_array
from data_prep.sources.faults import tell
from data_prep.sources.labels import in_words_of, label_faults
from data_prep.sources.lists import ListEntry, VideoList, read_list
from data_prep.sources.package import hash_input
from data_prep.sources.truth import add_truth, describe_truth, read_frame_counts, settle_truth
from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError

OF_LIST = "the list"  # a taxonomy made of its labels


@dataclasses.dataclass(frozen=True)
class ListedVideos:
    """What a list and annotations say of V videos.

    Attributes:
        info: the list's description; it has no modality.
        bags: V videos in the order of the list, T = 0, num_frames = 0 if it is not known.
        length_rules: T [V] of every video by each rule of the field; the first is the usual one.
            Empty if the frames of a video are not known.
        notes: what was found and what was assumed, one sentence each.
        paths: of each video as the list writes it, without suffix, by its id.
        provenance: the notes; of list and annotations file, SHA-256, which truth it is.
    """

    info: BagsInfo
    bags: list[Bag]
    length_rules: dict[str, np.ndarray]
    notes: list[str]
    paths: Mapping[str, str]
    provenance: dict[str, Any]


def read_listed(
    path: pathlib.Path,
    annotations: pathlib.Path,
    *,
    taxonomy: str = "",
    frame_counts: pathlib.Path | None = None,
    fps: float | None = None,
    unit: str = "",
    frames_per_segment: int = 16,
) -> ListedVideos:
    """Reads a list and the truth of its videos.

    Args:
        path: a list in any grammar of sources.lists.
        annotations: what data_prep.annotations reads.
        taxonomy: built-in name or JSON file; "": that of the data set whose names the videos
            follow, else the labels of the list.
        frame_counts: file with the frames of each video, for what the annotations do not state.
        fps: frames per second, for annotations in seconds that do not state them.
        unit: of the numbers in the annotations, one of sources.truth.UNITS; "": what the file says.
        frames_per_segment: frames that one segment covers.

    Warns on stderr of what is odd but usable. Raises UserError naming file and cure for whatever is
    missing, damaged or contradictory.
    """
    read = read_list(path)
    if taxonomy:
        read = in_words_of(read, load_taxonomy(taxonomy))
    counts = read_frame_counts(frame_counts, read.paths)
    truth = settle_truth(
        read_annotations(annotations).called(read.paths),
        counts,
        fps,
        unit=unit,
        frames_per_segment=frames_per_segment,
    )
    labels = _labels(read, truth)
    info = BagsInfo(
        name=_name(read, path),
        taxonomy=_taxonomy(taxonomy, read, labels),
        modalities=(),
        frames_per_segment=frames_per_segment,
        encoder="not known: the scores were given",
        source=f"list {path.name}",
    )
    known = official(read.data_set)
    kept = {match_key(video): n for video, n in known.num_frames.items()} if known else {}
    videos = [
        Video(
            video_id=video,
            split=info.name,
            label=label,
            load_features=lambda: np.zeros((1, 0, 0), np.float16),
            source=read.source,
            num_frames=counts.get(match_key(video), kept.get(match_key(video))),
            fps=fps or 0.0,
        )
        for video, label in labels.items()
    ]
    check_ids(videos)
    videos = add_truth(videos, truth, info, {**kept, **counts}, {})
    segments = _stated_segments(videos, truth, frames_per_segment)
    bags = [_bag(video, info) for video in videos]
    notes = [
        *(f"{path.name}: {note}" for note in read.notes),
        f"{path.name}: {len(bags)} videos ({read.grammar}), {_which_list(read)}; "
        f"{_categories_note(info.taxonomy)}",
        _truth_note(annotations, truth, bags),
        _frames_note(bags, truth, counts, known),
    ]
    if all(bag.anomalous for bag in bags):
        notes.append("no normal video in the list: numbers are on anomalous videos alone")
    return ListedVideos(
        info,
        bags,
        {"T of the annotations": segments}
        if len(segments)
        else _rules(read, bags, frames_per_segment),
        notes,
        read.paths,
        {
            "videos": notes,
            "list": hash_input(path),
            "annotations": {**(hash_input(annotations) or {}), **describe_truth(truth)},
            "frame_counts": hash_input(frame_counts),
        },
    )


def video_keys(videos: Mapping[str, str], source: str) -> Callable[[str], str]:
    """A function that gives the video which a name means, as listed_names.meet finds it.

    The name may have folders, suffix, crop and the ending of an encoder; what means no video stays
    as it is. It raises UserError if a name may mean two.

    Args:
        videos: path of each, by its id.
        source: the file with the names, for errors.
    """
    near: dict[str, dict[str, str]] = {}
    for video, path in videos.items():
        near.setdefault(bare_key(video), {})[video] = path

    def key(name: str) -> str:
        if name in videos:
            return name
        path = strip_video_path(name)
        found, _ = meet({path: path}, near.get(bare_key(path), {}), source)
        return found.get(path, path)

    return key


def _name(read: VideoList, path: pathlib.Path) -> str:
    """The data set's name if the names of the videos tell it, else the list's."""
    known = data_set_named(read.data_set)
    return known.taxonomy.name if known else re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem)


def _categories_note(taxonomy: Taxonomy) -> str:
    names = f": {', '.join(taxonomy.categories)}" if taxonomy.name == OF_LIST else ""
    return f"categories of {taxonomy.name}{names}"


def _which_list(read: VideoList) -> str:
    """Which released list it is, and whose order it has."""
    found = known_list(read.videos)
    if not found:
        return "not a released list that is known here"
    data_set, known = found
    order = known_order(read.videos) or "its own"
    note = f", {known.note}" if known.note else ""
    return f"the {known.split} list of {data_set.name}, order: {order}{note}"


def _labels(read: VideoList, truth: Annotations) -> dict[str, str]:
    """The label of every listed video: of the list, else of the annotations."""
    stated = {match_key(video): label for video, label in truth.labels.items()}
    found: list[ListEntry] = []
    for video, rows in read.videos.items():
        label = stated.get(match_key(video))
        found += [dataclasses.replace(row, label=row.label or label) for row in rows]
    read = dataclasses.replace(read, entries=tuple(found))
    tell(label_faults(read, None))
    return {video: label or "" for video, label in read.labels.items()}


def _taxonomy(name: str, read: VideoList, labels: Mapping[str, str]) -> Taxonomy:
    if name:
        return load_taxonomy(name)
    known = data_set_named(read.data_set)
    if known and all(_reads(known.taxonomy, label) for label in labels.values()):
        return known.taxonomy
    found = sorted({label for label in labels.values() if not is_normal_label(label)})
    normal = sorted({label for label in labels.values() if is_normal_label(label)})
    if not found:
        raise UserError(
            f"{read.source}: all {len(labels)} videos are normal; list the anomalous ones too"
        )
    return Taxonomy(OF_LIST, tuple(found), tuple(found), tuple(normal) or ("Normal",))


def _reads(taxonomy: Taxonomy, label: str) -> bool:
    try:
        taxonomy.multi_hot(label)
    except UserError:
        return False
    return True


def _stated_segments(videos: list[Video], truth: Annotations, size: int) -> np.ndarray:
    """T [V] if the annotations are vectors of 16 T frames that name every video, else [0]."""
    stated = {match_key(video): n for video, n in truth.num_frames.items()}
    found = [stated.get(match_key(video.video_id), 0) // size for video in videos]
    usable = truth.frames_from_segments and all(found)
    return np.array(found if usable else [], np.int64)


def _bag(video: Video, info: BagsInfo) -> Bag:
    labels = read_label(video, info.taxonomy)
    frames = video.num_frames or 0
    return Bag(
        video_id=video.video_id,
        label=video.label,
        labels=labels,
        features=video.load_features(),
        num_frames=frames,
        fps=video.fps,
        spans=span_array(video, info, frames or LARGEST_FRAME, np.flatnonzero(labels)),
        has_truth=video.spans is not None,
    )


def _rules(read: VideoList, bags: list[Bag], size: int) -> dict[str, np.ndarray]:
    frames = {bag.video_id: bag.num_frames for bag in bags}
    if not all(frames.values()):
        return {}
    lengths = lengths_by_rule(read.data_set, frames, size)
    return {
        rule.name: np.maximum([by_video[bag.video_id] // size for bag in bags], 1)
        for rule, by_video in lengths.items()
    }


def _truth_note(path: pathlib.Path, truth: Annotations, bags: list[Bag]) -> str:
    unknown = [bag.video_id for bag in bags if not bag.has_truth]
    left_out = (
        f"; {len(unknown)} anomalous videos have no truth there and are left out of frame metrics "
        f"({', '.join(unknown[:3])}{', ...' if len(unknown) > 3 else ''})"
    )
    version = describe_truth(truth)["version"]
    name = "none of the released versions" if version == "unknown" else version
    return (
        f"{path.name}: truth of {len(bags) - len(unknown)} videos ({truth.grammar}), {name}"
        f"{left_out if unknown else ''}"
    )


def _frames_note(
    bags: list[Bag], truth: Annotations, counts: Mapping[str, int], known: Annotations | None
) -> str:
    """Where the frames of the videos are from; the first source that states a video counts."""
    stated = {
        "the annotations": {} if truth.frames_from_segments else truth.num_frames,
        "--frame_counts": counts,
        "the official annotation, kept here": known.num_frames if known else {},
    }
    left, found = {match_key(bag.video_id) for bag in bags}, []
    for source, frames in stated.items():
        if names := left & set(map(match_key, frames)):
            found.append(f"{len(names)} by {source}")
        left -= names
    if left:
        found.append(f"{len(left)} not known")
    return f"frames of the videos: {', '.join(found)}"
