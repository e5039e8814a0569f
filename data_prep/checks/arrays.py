"""Checks of a foreign ground-truth array: the 0/1 vectors of all test videos end to end.

The array carries no names, so its meaning hangs on a list, a length rule and an end convention.
All known ones are tried, and what fits best is compared with the truth video by video.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from data_prep.annotations import Annotations, read_annotations
from data_prep.annotations.vectors import vector_of_spans
from data_prep.catalogue.length_rules import KNOWN_FRAMES, rule_lengths, rules_for
from data_prep.catalogue.truths import official
from data_prep.catalogue.video_names import is_normal_label, match_key
from data_prep.checks.findings import Section, counted
from data_prep.checks.truth import check_truth
from data_prep.dataset.videos import Span
from data_prep.sources.lists import ReleasedList
from refinevad_jax.files.arrays import load_array, load_packed

# (name, first frame, one past the last frame) of a span written s e.
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
        offsets: (video, start, end) in the array.
        differing: videos whose frames are not those of the truth.
    """

    order: str
    lengths: str
    end: str
    offsets: tuple[tuple[str, int, int], ...]
    differing: tuple[str, ...]


def check_gt(
    path: pathlib.Path,
    lists: Sequence[ReleasedList],
    truth: Annotations | None,
    segments: Mapping[str, int],
    counts: Mapping[str, int],
    *,
    frames_per_segment: int = 16,
) -> Section:
    """Compares an array with the truth.

    Args:
        path: a .npy or .npz file with one vector, or what read_annotations reads.
        lists: the list that the array was made with should be among them.
        truth: in frames; the official one is taken where it is None and known.
        segments: T of the features by match_key, may be empty.
        counts: n by match_key, may be empty.
        frames_per_segment: frames that a segment covers.

    Raises UserError where the file cannot be read.
    """
    vector = _read_vector(path)
    if vector is None:
        return check_truth(read_annotations(path), lists, counts)
    section = Section(f"ground truth array {path}")
    section.facts += [
        ("frames", f"{len(vector):,}, {KNOWN_FRAMES.get(len(vector), 'not a known length')}"),
        ("positives", f"{int(np.count_nonzero(vector)):,}"),
    ]
    if vector.ndim != 1 or not np.isin(vector, (0, 1)).all():
        section.problem("no 0/1 vector", f"{vector.dtype} of shape {vector.shape}")
        return section
    released, truth = _choose(lists, truth)
    if released is None or truth is None:
        section.remark("not compared", "--list and --annotations are needed to read the array")
        return section
    candidates = _lengths(released, truth, segments, counts, frames_per_segment)
    readings = [
        _compare(vector, truth, released, order, videos, name, lengths, end)
        for name, lengths in candidates.items()
        for order, videos in _orders(released).items()
        for end in ENDS
        if sum(lengths[video] for video in videos) == len(vector)
    ]
    if not readings:
        _report_lengths(candidates, released, section)
        return section
    best = min(readings, key=lambda reading: len(reading.differing))
    _report(vector, best, truth, released, section)
    return section


def _read_vector(path: pathlib.Path) -> np.ndarray | None:
    """The one vector of a file, None where it is no such file."""
    if path.suffix.lower() == ".npy":
        return load_array(path)
    if path.suffix.lower() == ".npz":
        arrays = load_packed(path)
        return next(iter(arrays.values())) if len(arrays) == 1 else None
    return None


def _choose(
    lists: Sequence[ReleasedList], truth: Annotations | None
) -> tuple[ReleasedList | None, Annotations | None]:
    """The list that the truth is about, and the truth."""
    for released in lists:
        known = truth or official(released.data_set)
        if known is not None and any(known.spans_of(video) for video in released.videos):
            return released, known
    return None, truth


def _orders(released: ReleasedList) -> dict[str, list[str]]:
    """The videos of a list in every order that arrays of the field have been seen in."""
    videos = list(released.videos)
    labels = released.labels
    normal = {v: is_normal_label(labels[v] or "") for v in videos}
    orders = {
        "the list's": videos,
        "anomalous before normal": sorted(videos, key=lambda video: normal[video]),
        "alphabetical": sorted(videos),
    }
    reference = official(released.data_set)
    if reference is not None:
        places = {match_key(video): i for i, video in enumerate(reference.video_ids)}
        if all(match_key(video) in places for video in videos):
            orders["VadCLIP's"] = sorted(videos, key=lambda video: places[match_key(video)])
    return orders


def _lengths(
    released: ReleasedList,
    truth: Annotations,
    segments: Mapping[str, int],
    counts: Mapping[str, int],
    frames_per_segment: int,
) -> dict[str, dict[str, int]]:
    """Frames of each listed video under everything that is known of lengths."""
    videos = list(released.videos)
    candidates = {}
    if all(match_key(video) in segments for video in videos):
        candidates[f"{frames_per_segment} T of the features"] = {
            video: segments[match_key(video)] * frames_per_segment for video in videos
        }
    if truth.frames_from_segments and all(video in truth.num_frames for video in videos):
        candidates["the annotation's vectors"] = {v: truth.num_frames[v] for v in videos}
    if all(match_key(video) in counts for video in videos):
        frames = {video: counts[match_key(video)] for video in videos}
        for rule in rules_for(released.data_set):
            candidates[rule.name] = rule_lengths(rule, frames, frames_per_segment)
        candidates["n, raw frames"] = frames
    return candidates


def _expected(
    truth: Annotations, video: str, label: str | None, length: int, end: str
) -> np.ndarray:
    before, after = ENDS[end]
    spans = truth.spans_of(video, normal=bool(label and is_normal_label(label))) or ()
    shifted = [Span(span.start + before, span.end + after) for span in spans]
    return vector_of_spans(shifted, length)


def _compare(
    vector: np.ndarray,
    truth: Annotations,
    released: ReleasedList,
    order: str,
    videos: Sequence[str],
    name: str,
    lengths: Mapping[str, int],
    end: str,
) -> Reading:
    offsets, differing, start = [], [], 0
    labels = released.labels
    for video in videos:
        stop = start + lengths[video]
        expected = _expected(truth, video, labels[video], lengths[video], end)
        if not np.array_equal(vector[start:stop], expected):
            differing.append(video)
        offsets.append((video, start, stop))
        start = stop
    return Reading(order, name, end, tuple(offsets), tuple(differing))


def _report_lengths(
    candidates: Mapping[str, Mapping[str, int]], released: ReleasedList, section: Section
) -> None:
    if not candidates:
        section.problem(
            "not compared",
            "the lengths of the videos are not known; --features or --frame_counts states them",
        )
        return
    section.problem(
        "length",
        f"{counted(len(released.videos), 'video')} in the list: no rule gives that many frames",
        [f"{name}: {sum(lengths.values()):,} frames" for name, lengths in candidates.items()],
    )


def _report(
    vector: np.ndarray,
    best: Reading,
    truth: Annotations,
    released: ReleasedList,
    section: Section,
) -> None:
    agreeing = len(best.offsets) - len(best.differing)
    section.facts += [
        ("best reading", f"lengths {best.lengths}; order {best.order}; frames {best.end}"),
        ("agrees with truth", f"{agreeing:,} of {len(best.offsets):,} videos"),
    ]
    if _is_video_mask(vector, best, released):
        section.problem(
            "no frame truth",
            "the array marks every frame of each anomalous video: a mask of videos",
        )
        return
    if best.order != "the list's" and 2 * agreeing > len(best.offsets):
        section.problem(
            "order of concatenation",
            f"the array is in the order {best.order!r}, not in that of {released.source}",
        )
    if not best.end.startswith("s .. e-1"):
        section.remark("end convention", f"a span s e marks frames {best.end} here")
    if best.differing:
        _report_differences(vector, best, truth, released, section)


def _report_differences(
    vector: np.ndarray,
    best: Reading,
    truth: Annotations,
    released: ReleasedList,
    section: Section,
) -> None:
    lines = []
    positives: dict[str, int] = {}
    for video, start, stop in best.offsets:
        label = released.labels[video] or "unknown"
        found = int(vector[start:stop].sum())
        if not is_normal_label(label):
            positives[label] = positives.get(label, 0) + found
        if video in best.differing:
            expected = int(_expected(truth, video, label, stop - start, best.end).sum())
            lines.append(f"{video}: {expected} positive frames in the truth, {found} here")
    section.problem(
        "other frames", f"{counted(len(lines), 'video')}: not the truth's frames", lines
    )
    zero = sorted(label for label, count in positives.items() if not count)
    if zero:
        section.problem(
            "all-zero classes",
            f"{counted(len(zero), 'class')} without any positive frame: {', '.join(zero)}",
        )


def _is_video_mask(vector: np.ndarray, best: Reading, released: ReleasedList) -> bool:
    return all(
        (vector[start:stop] == (not is_normal_label(released.labels[video] or ""))).all()
        for video, start, stop in best.offsets
    )
