"""Temporal localisation: mAP@IoU of (video, category, start, end, score) detections.

Two steps that know nothing of each other: `legacy_detections` turns probabilities per segment into
detections as VadCLIP's published evaluator does (docs/metrics.md; so do DSANet, DeSC and
TrCLIP-VAD), `average_precisions` compares any detections with the truth. All values are fractions
in [0, 1]; papers print percent.

A category is a column number. Where probabilities have a column for normal it is column 0, and the
anomaly categories follow.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

LEGACY_IOU_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)

# Constants of the published evaluator.
LEGACY_DEPTH = np.float64(0.6)  # the threshold lies this share of the range below the maximum
LEGACY_TOP_SHARE = 16  # a video's score is the mean of its highest sixteenth of frames
LEGACY_VIDEO_WEIGHT = 0.7
LEGACY_MIN_FRAMES = 2


@dataclasses.dataclass(frozen=True)
class Truth:
    """Annotated stretches, one per entry.

    Attributes:
        video: [G] int, number of the video.
        category: [G] int, column.
        start: [G] first frame, or time in seconds.
        end: [G] end, exclusive, in the same unit.
    """

    video: np.ndarray
    category: np.ndarray
    start: np.ndarray
    end: np.ndarray


@dataclasses.dataclass(frozen=True)
class Detections:
    """Detected stretches, one per entry, all fields [N], as in Truth, with a score each.

    Among equal scores the earlier entry counts first.
    """

    video: np.ndarray
    category: np.ndarray
    start: np.ndarray
    end: np.ndarray
    score: np.ndarray

    def select(self, kept: np.ndarray) -> "Detections":
        """The entries at kept: a mask [N] or positions [M]."""
        columns = (getattr(self, field.name)[kept] for field in dataclasses.fields(self))
        return Detections(*columns)


def truth_from_spans(
    spans: Sequence[np.ndarray], *, whole_normal_lengths: Sequence[int] | None = None
) -> Truth:
    """The truth in columns where normal is column 0.

    spans: one [S, 3] int per video, (start, end, category) with categories from 0. Spans may reach
    past the evaluated frames, as they do in the published evaluation.
    whole_normal_lengths: frames of every video where, as on XD-Violence, a video without spans is
    one normal stretch; None where, as on UCF-Crime, the normal column has no truth.
    Raises ValueError for a span without a category, which has no column.
    """
    rows = []
    for video, video_spans in enumerate(spans):
        for start, end, category in np.asarray(video_spans).reshape(-1, 3).tolist():
            if category < 0:
                raise ValueError(f"video {video}: span {start}-{end} has no category")
            rows.append((video, category + 1, start, end))
        if whole_normal_lengths is not None and not len(video_spans):
            rows.append((video, 0, 0, whole_normal_lengths[video]))
    return Truth(*np.array(rows, np.int64).reshape(-1, 4).T)


def legacy_detections(
    probs: Sequence[np.ndarray],
    *,
    videos: Sequence[int] | None = None,
    frames_per_segment: int = 16,
) -> Detections:
    """Cuts probabilities into detections as the published evaluator does.

    For every video and column: the threshold is max - 0.6 (max - min); runs of frames strictly
    above it that last two frames or more are detections, so that a constant column gives none. A
    run's score is its highest probability plus 0.7 times the column's video score, the mean of its
    highest sixteenth of frames. Suppression of overlapping runs is left out: runs above one
    threshold never overlap.

    probs: one [T, columns] per video, each row standing for frames_per_segment frames.
    videos: [V] numbers of these videos, 0 to V-1 where not given; a subset is what the published
    `excludeNormal=True` does with its first 140 or 500 videos.
    Returns detections in frames, by column, then by falling score. They lie in the order in which
    the published code visits them, equal scores included, so that its number comes out to the bit.
    Raises ValueError for NaN, or a video of less than 16 frames.
    """
    numbers = range(len(probs)) if videos is None else videos
    parts = [
        _video_detections(video_probs, video, frames_per_segment)
        for video, video_probs in zip(numbers, probs, strict=True)
    ]
    fields = [field.name for field in dataclasses.fields(Detections)]
    if not parts:
        return Detections(*(np.zeros(0) for _ in fields))
    found = Detections(*(np.concatenate([getattr(part, f) for part in parts]) for f in fields))
    return found.select(_published_order(found))


def _video_detections(probs: np.ndarray, video: int, frames_per_segment: int) -> Detections:
    probs = np.asarray(probs)
    num_top = len(probs) * frames_per_segment // LEGACY_TOP_SHARE
    if not num_top or np.isnan(probs).any():
        raise ValueError(f"video {video}: {probs.shape[0]} segments or NaN probabilities")
    highest = np.sort(probs, axis=0)[::-1][: -(-num_top // frames_per_segment)]
    # Frame by frame, because the published mean adds them up in this order.
    video_scores = np.repeat(highest, frames_per_segment, axis=0)[:num_top].mean(axis=0)

    top, bottom = probs.max(axis=0), probs.min(axis=0)
    above = probs > top - (top - bottom) * LEGACY_DEPTH
    edges = np.diff(above.astype(np.int8), axis=0, prepend=0, append=0).T
    category, start = np.nonzero(edges == 1)
    _, end = np.nonzero(edges == -1)
    kept = (end - start) * frames_per_segment >= LEGACY_MIN_FRAMES
    category, start, end = category[kept], start[kept], end[kept]

    # reduceat over (start, end) pairs of the columns laid end to end; every other value is a run's.
    columns = np.append(probs.T.ravel(), probs.dtype.type(0))
    bounds = (category * len(probs))[:, None] + np.stack([start, end], axis=1)
    run_max = np.maximum.reduceat(columns, bounds.ravel())[::2] if len(bounds) else columns[:0]
    found = Detections(
        video=np.full(len(category), video),
        category=category,
        start=start * frames_per_segment,
        end=end * frames_per_segment,
        score=(run_max + LEGACY_VIDEO_WEIGHT * video_scores[category]).astype(np.float64),
    )
    return found.select(_published_order(found))


def _published_order(found: Detections) -> np.ndarray:
    """Positions by column, then by falling score, ties as NumPy's default sort leaves them.

    The published code sorts so within a video, and again over all of them.
    """
    by_category = np.argsort(found.category, kind="stable")
    counts = np.bincount(found.category)
    groups = np.split(by_category, np.cumsum(counts)[:-1])
    return np.concatenate([group[np.argsort(-found.score[group])] for group in groups] or [[]])


def average_precisions(
    detections: Detections,
    truth: Truth,
    *,
    num_categories: int,
    iou_thresholds: Sequence[float] = LEGACY_IOU_THRESHOLDS,
    interpolated: bool = False,
) -> np.ndarray:
    """Average precision of every category at every IoU.

    Detections of a category, highest score first, each take the best free annotated stretch of
    their video and category with IoU >= threshold, or are wrong. AP is the sum of precision at the
    right ones over the number of annotated stretches; interpolated (ActivityNet, Pascal VOC) takes
    at each the highest precision reached there or later.

    Returns [num_categories, len(iou_thresholds)] in [0, 1], nan for a category without truth.
    Raises ValueError for a category out of range, a NaN score or an IoU outside (0, 1].
    """
    for name, categories in (("detection", detections.category), ("truth", truth.category)):
        if len(categories) and not (categories.min() >= 0 and categories.max() < num_categories):
            raise ValueError(f"{name}: a category outside 0 .. {num_categories - 1}")
    if np.isnan(detections.score).any():
        raise ValueError("a detection's score is NaN")
    if not all(0 < threshold <= 1 for threshold in iou_thresholds):
        raise ValueError(f"IoU thresholds {list(iou_thresholds)}: all must be in (0, 1]")
    values = np.full((num_categories, len(iou_thresholds)), np.nan)
    for category in np.unique(truth.category):
        kept = np.flatnonzero(detections.category == category)
        ranked = detections.select(kept[np.argsort(-detections.score[kept], kind="stable")])
        annotated = np.flatnonzero(truth.category == category)
        pairs = _overlapping_pairs(ranked, truth, annotated, min(iou_thresholds))
        for column, threshold in enumerate(iou_thresholds):
            right = _greedy_matches(*pairs, threshold=threshold, num_detections=len(kept))
            values[category, column] = _average_precision(right, len(annotated), interpolated)
    return values


def _overlapping_pairs(
    ranked: Detections, truth: Truth, annotated: np.ndarray, least_iou: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of one category in the order of trial: by detection, then by falling IoU.

    Returns detection [P], annotated stretch [P] and IoU [P], for pairs with IoU >= least_iou.
    """
    annotated = annotated[np.argsort(truth.video[annotated], kind="stable")]
    first, last = (
        np.searchsorted(truth.video[annotated], ranked.video, side=side)
        for side in ("left", "right")
    )
    counts = last - first
    detection = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts)
    stretch = annotated[first[detection] + within]
    iou = temporal_iou(
        ranked.start[detection], ranked.end[detection], truth.start[stretch], truth.end[stretch]
    )
    kept = np.flatnonzero(iou >= least_iou)
    kept = kept[np.lexsort((stretch[kept], -iou[kept], detection[kept]))]
    return detection[kept], stretch[kept], iou[kept]


def temporal_iou(
    start: np.ndarray, end: np.ndarray, other_start: np.ndarray, other_end: np.ndarray
) -> np.ndarray:
    """Intersection over union of stretches [start, end), elementwise; 0 where both are empty."""
    shared = np.maximum(np.minimum(end, other_end) - np.maximum(start, other_start), 0)
    union = np.maximum(end - start, 0) + np.maximum(other_end - other_start, 0) - shared
    return np.divide(shared, union, out=np.zeros(np.shape(union)), where=union > 0)


def _greedy_matches(
    detection: np.ndarray,
    stretch: np.ndarray,
    iou: np.ndarray,
    *,
    threshold: float,
    num_detections: int,
) -> np.ndarray:
    """Gives each detection in turn its best free stretch. Returns [N] bool, which are right."""
    enough = iou >= threshold
    right = np.zeros(num_detections, bool)
    taken: set[int] = set()
    for i, g in zip(detection[enough].tolist(), stretch[enough].tolist(), strict=True):
        if not right[i] and g not in taken:
            right[i] = True
            taken.add(g)
    return right


def _average_precision(right: np.ndarray, num_truth: int, interpolated: bool) -> float:
    """AP of detections in falling order of score: right [N] bool."""
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    if interpolated:
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(precision * right) / num_truth)


def legacy_mean_average_precision(
    detections: Detections,
    truth: Truth,
    *,
    num_categories: int,
    iou_thresholds: Sequence[float] = LEGACY_IOU_THRESHOLDS,
) -> np.ndarray:
    """The published mAP@IoU over all columns, normal included. Returns [thresholds] in [0, 1].

    A column without truth counts as 0, and the whole is 0 as soon as one column has no detection.
    """
    if len(np.unique(detections.category)) < num_categories:
        return np.zeros(len(iou_thresholds))
    values = average_precisions(
        detections, truth, num_categories=num_categories, iou_thresholds=iou_thresholds
    )
    return np.array([np.mean(column) for column in np.nan_to_num(values).T])


def anomaly_mean_average_precision(average_precision: np.ndarray) -> np.ndarray:
    """Mean over the anomaly categories that have truth: [1 + C, I], normal first. Returns [I]."""
    anomalous = average_precision[1:]
    present = ~np.isnan(anomalous).any(axis=1)
    if not present.any():
        return np.full(average_precision.shape[1], np.nan)
    return anomalous[present].mean(axis=0)
