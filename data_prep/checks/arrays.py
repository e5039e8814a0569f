"""Checks of a foreign ground-truth array: the 0/1 vectors of all test videos end to end.

The array carries no names, so its meaning depends on a list, a length rule and an end convention.
All known ones are tried, and what fits best is compared with the truth video by video.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from data_prep.annotations import Annotations
from data_prep.annotations.truths import official
from data_prep.catalogue.lookup import lengths_by_rule
from data_prep.catalogue.video_names import match_key
from data_prep.checks.findings import Section, counted
from data_prep.checks.truth import frame_facts, listed_spans
from data_prep.dataset.videos import Span
from data_prep.sources.labels import IsNormal, Taxonomy, normal_by
from data_prep.sources.lists import VideoList
from refinevad_jax.files.arrays import load_array, load_packed
from refinevad_jax.metrics.truth import frame_truth

# What is added to the start and the end of a span written s e.
ENDS = {
    "s .. e-1 (end exclusive)": (0, 0),
    "s .. e (end inclusive)": (0, 1),
    "s-1 .. e-1": (-1, 0),
}


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to read the array.

    Attributes:
        order: whose order of videos.
        lengths: which length rule.
        end: which end convention.
        frames: {video: its part of the array}, in that order.
        differing: {video: anomalous frames of the truth}, of videos whose frames are not those of
            the truth.
    """

    order: str
    lengths: str
    end: str
    frames: dict[str, np.ndarray]
    differing: dict[str, int]


def read_vector(path: pathlib.Path) -> np.ndarray | None:
    """The one array of a .npy or .npz file, None if the file is something else.

    Raises UserError if the file cannot be read.
    """
    if path.suffix.lower() == ".npy":
        return load_array(path)
    if path.suffix.lower() == ".npz":
        arrays = load_packed(path)
        return next(iter(arrays.values())) if len(arrays) == 1 else None
    return None


def check_array(
    path: pathlib.Path,
    vector: np.ndarray,
    lists: Sequence[VideoList],
    truth: Annotations | None,
    segments: Mapping[str, int],
    frames: Mapping[str, int],
    frames_per_segment: int,
    taxonomy: Taxonomy | None = None,
) -> Section:
    """Compares an array with the truth.

    path: for the title. vector: [F] 0/1, other shapes and contents are findings. lists: the one
    that the array was made with should be among them. truth: in frames; None takes the official
    one, if one is kept. segments, frames: T of the features and n by match_key, may be empty.
    """
    section = Section(f"ground truth array {path}")
    is_normal = normal_by(taxonomy)
    if vector.ndim != 1 or vector.dtype.kind not in "biuf" or not np.isin(vector, (0, 1)).all():
        section.problem("no 0/1 vector", f"{vector.dtype} of shape {vector.shape}")
        return section
    section.facts += frame_facts(len(vector), int(np.count_nonzero(vector)))
    for released in lists:
        known = truth or official(released.data_set)
        if known is not None and any(known.spans_of(video) for video in released.videos):
            break
    else:
        section.problem("not compared", _what_is_missing(lists, truth))
        return section
    candidates = _lengths(released, known, segments, frames, frames_per_segment)
    spans = listed_spans(known, released.labels, is_normal)
    orders = _orders(released, is_normal)
    readings = [
        reading
        for name, lengths in candidates.items()
        if sum(lengths.values()) == len(vector)
        for order, videos in orders.items()
        for reading in _readings(vector, spans, {v: lengths[v] for v in videos}, order, name)
    ]
    if readings:
        best = min(readings, key=lambda reading: len(reading.differing))
        _report(best, released, is_normal, section)
    elif candidates:
        section.problem(
            "length",
            f"{counted(len(spans), 'video')} in the list: no rule gives that many frames",
            [f"{name}: {sum(lengths.values()):,} frames" for name, lengths in candidates.items()],
        )
    else:
        section.problem(
            "not compared",
            "the lengths of the videos are not known; --features or --frame_counts states them",
        )
    return section


def _what_is_missing(lists: Sequence[VideoList], truth: Annotations | None) -> str:
    """Why no list can be used to read an array, and what to give."""
    if not lists:
        return "the array names no video: give the list that it was made from (--list=FILE)"
    if truth is None:
        return (
            "no official annotation is kept here for the videos of the list: give theirs "
            "(--annotations=FILE)"
        )
    return "the annotation names no video of the list: give the two that belong together"


def _orders(released: VideoList, is_normal: IsNormal) -> dict[str, list[str]]:
    """The videos of a list in every order that arrays of the field have been seen in."""
    labels = released.labels
    videos = list(labels)
    orders = {
        "the list's": videos,
        "anomalous before normal": sorted(videos, key=lambda v: is_normal(labels[v])),
        "alphabetical": sorted(videos),
    }
    reference = official(released.data_set)
    if reference is not None:
        places = {match_key(video): i for i, video in enumerate(reference.video_ids)}
        if all(match_key(video) in places for video in videos):
            orders["VadCLIP's"] = sorted(videos, key=lambda video: places[match_key(video)])
    return orders


def _lengths(
    released: VideoList,
    truth: Annotations,
    segments: Mapping[str, int],
    frames: Mapping[str, int],
    frames_per_segment: int,
) -> dict[str, dict[str, int]]:
    """Frames of each listed video under everything that is known of lengths."""
    keys = {video: match_key(video) for video in released.videos}
    candidates = {}
    if all(key in segments for key in keys.values()):
        candidates[f"{frames_per_segment} T of the features"] = {
            video: segments[key] * frames_per_segment for video, key in keys.items()
        }
    if truth.frames_from_segments and all(video in truth.num_frames for video in keys):
        candidates["the annotation's vectors"] = {v: truth.num_frames[v] for v in keys}
    if all(key in frames for key in keys.values()):
        raw = {video: frames[key] for video, key in keys.items()}
        by_rule = lengths_by_rule(released.data_set, raw, frames_per_segment)
        candidates |= {rule.name: lengths for rule, lengths in by_rule.items()}
        candidates["n, raw frames"] = raw
    return candidates


def _readings(
    vector: np.ndarray,
    spans: Mapping[str, Sequence[Span] | None],
    lengths: Mapping[str, int],
    order: str,
    name: str,
) -> Iterator[Reading]:
    """Cuts the array into videos and compares each with its spans under every end convention."""
    parts = np.split(vector, np.cumsum(list(lengths.values()))[:-1])
    frames = dict(zip(lengths, parts, strict=True))
    for end, (before, after) in ENDS.items():
        differing = {}
        for video, found in frames.items():
            shifted = [(span.start + before, span.end + after) for span in spans[video] or ()]
            expected = frame_truth(np.array(shifted), len(found))
            if not np.array_equal(found, expected):
                differing[video] = int(expected.sum())
        yield Reading(order, name, end, frames, differing)


def _report(best: Reading, released: VideoList, is_normal: IsNormal, section: Section) -> None:
    labels = released.labels
    agreeing = len(best.frames) - len(best.differing)
    section.facts += [
        ("best reading", f"lengths {best.lengths}; order {best.order}; frames {best.end}"),
        ("agrees with truth", f"{agreeing:,} of {len(best.frames):,} videos"),
    ]
    if all((v != is_normal(labels[name])).all() for name, v in best.frames.items()):
        section.problem(
            "no frame truth",
            "the array marks every frame of each anomalous video: a mask of videos",
        )
        return
    if best.order != "the list's" and 2 * agreeing > len(best.frames):
        section.problem(
            "order of concatenation",
            f"the array is in the order {best.order!r}, not in that of {released.source}",
        )
    if not best.end.startswith("s .. e-1"):
        section.remark("end convention", f"a span s e marks frames {best.end} here")
    section.problem_of(
        "other frames",
        [
            f"{video}: {expected} positive frames in the truth, "
            f"{int(best.frames[video].sum())} here"
            for video, expected in best.differing.items()
        ],
        "not the truth's frames",
    )
    anomalous = {name or "unknown" for name in labels.values() if not is_normal(name)}
    marked = {labels[video] or "unknown" for video, found in best.frames.items() if found.any()}
    zero = sorted(anomalous - marked)
    if zero and best.differing:
        section.problem(
            "all-zero classes",
            f"{counted(len(zero), 'class')} without any positive frame: {', '.join(zero)}",
        )
