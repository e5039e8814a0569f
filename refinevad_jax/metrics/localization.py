"""Temporal localisation: mAP@IoU of (video, category, start, end, score) detections.

The detections may come from anywhere; `legacy_localization.py` makes them in the published way. All
values are fractions in [0, 1]; papers print percent. A category is a column number. If there is a
column for normal, it is column 0, and the anomaly categories follow.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

IOU_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)


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
    """Detected stretches, one per entry: all fields are [N], as in Truth, and each has a score.

    If several scores are equal, the earlier entry counts first.
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
    spans: Sequence[np.ndarray], normal_lengths: Sequence[int] | None = None
) -> Truth:
    """The truth in columns; normal is column 0.

    spans: one [S, 3] int per video, (start, end, category) with categories from 0. Spans may reach
    past the evaluated frames, as they do in the published evaluation.
    normal_lengths: if a normal video is one stretch of column 0, as on XD-Violence: [V] frames of
    the normal videos, 0 for the others. None if that column has no truth, as on UCF-Crime.
    Raises ValueError for a span without a category, which has no column.
    """
    rows = []
    for video, video_spans in enumerate(spans):
        for start, end, category in np.asarray(video_spans).reshape(-1, 3).tolist():
            if category < 0:
                raise ValueError(f"video {video}: span {start}-{end} has no category")
            rows.append((video, category + 1, start, end))
        if normal_lengths is not None and normal_lengths[video]:
            rows.append((video, 0, 0, normal_lengths[video]))
    return Truth(*np.array(rows, np.int64).reshape(-1, 4).T)


def average_precisions(
    detections: Detections,
    truth: Truth,
    *,
    num_categories: int,
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
    interpolated: bool = False,
) -> np.ndarray:
    """Average precision of every category at every IoU.

    Detections of a category, highest score first, each take the best free annotated stretch of
    their video and category with IoU >= threshold, or are wrong. AP is the sum of the
    precision at each right detection, divided by the number of annotated stretches. interpolated
    (ActivityNet, Pascal VOC) takes at each the highest precision reached there or later.

    Returns [num_categories, len(iou_thresholds)] in [0, 1], nan for a category without truth.
    Raises ValueError for a category out of range, a NaN score or an IoU outside (0, 1].
    """
    values = np.full((num_categories, len(iou_thresholds)), np.nan)
    for category, _, annotated, right in _matches(
        detections, truth, num_categories, iou_thresholds
    ):
        values[category] = [_average_precision(row, len(annotated), interpolated) for row in right]
    return values


def anomaly_map_on_draws(
    detections: Detections, truth: Truth, draws: np.ndarray, *, num_categories: int
) -> np.ndarray:
    """The mean AP over IoU and anomaly categories with truth, if video v counts draws[r, v] times.

    draws: [R, V]. Detections of a video drawn twice count twice, at the same place of the ranking.
    Returns [R], on a draw of every video once that of `anomaly_mean_average_precision`; nan for a
    draw without a stretch of an anomaly category.
    """
    found = []
    for category, ranked, annotated, right in _matches(
        detections, truth, num_categories, IOU_THRESHOLDS
    ):
        if category:
            columns = np.flatnonzero(right.any(axis=0))  # few: at most one per stretch and IoU
            counts = draws[:, ranked.video[columns]]
            place = np.maximum(_ranked_up_to(columns, ranked.video, draws), 1)
            sums = np.zeros(len(draws))
            for row in right[:, columns]:
                hits = counts[:, row]
                sums += (np.cumsum(hits, axis=1) / place[:, row] * hits).sum(axis=1)
            mean = sums / len(right)
            stretches = draws[:, truth.video[annotated]].sum(axis=1)
            found.append(
                np.divide(mean, stretches, out=np.full(len(draws), np.nan), where=stretches > 0)
            )
    values = np.stack(found) if found else np.full((1, len(draws)), np.nan)
    defined = ~np.isnan(values)
    totals, numbers = np.where(defined, values, 0).sum(axis=0), defined.sum(axis=0)
    return np.divide(totals, numbers, out=np.full(len(draws), np.nan), where=numbers > 0)


def _ranked_up_to(columns: np.ndarray, video: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """[R, K] how many detections are drawn up to and with those at columns [K], ascending.

    video: [N] of each detection, by falling score; draws: [R, V].
    """
    shape = (draws.shape[1], len(columns) + 1)
    part = np.searchsorted(columns, np.arange(len(video)))
    in_parts = np.bincount(video * shape[1] + part, minlength=shape[0] * shape[1])
    up_to = np.cumsum(in_parts.reshape(shape)[:, :-1], axis=1)
    # Counts are exact in float64, whose products are far faster than those of integers.
    return np.asarray(draws.astype(np.float64) @ up_to.astype(np.float64))


def _matches(
    detections: Detections, truth: Truth, num_categories: int, iou_thresholds: Sequence[float]
) -> Iterator[tuple[int, Detections, np.ndarray, np.ndarray]]:
    """By category with truth: its detections by falling score, its stretches, what is right.

    Yields the category, N detections, the positions of its stretches in truth, and [I, N] bool.
    """
    for name, categories in (("detection", detections.category), ("truth", truth.category)):
        if len(categories) and not (categories.min() >= 0 and categories.max() < num_categories):
            raise ValueError(f"{name}: a category outside 0 .. {num_categories - 1}")
    if np.isnan(detections.score).any():
        raise ValueError("a detection's score is NaN")
    if not all(0 < threshold <= 1 for threshold in iou_thresholds):
        raise ValueError(f"IoU thresholds {list(iou_thresholds)}: all must be in (0, 1]")
    for category in np.unique(truth.category).tolist():
        kept = np.flatnonzero(detections.category == category)
        ranked = detections.select(kept[np.argsort(-detections.score[kept], kind="stable")])
        annotated = np.flatnonzero(truth.category == category)
        pairs = _overlapping_pairs(ranked, truth, annotated, min(iou_thresholds))
        right = [
            _greedy_matches(*pairs, threshold=threshold, num_detections=len(kept))
            for threshold in iou_thresholds
        ]
        yield category, ranked, annotated, np.array(right)


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
    """Intersection over union of stretches [start, end), elementwise; 0 if both are empty."""
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
    """Gives each detection in turn its best free stretch. Returns [N] bool, whether it is right."""
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


def anomaly_mean_average_precision(average_precision: np.ndarray) -> np.ndarray:
    """Mean over the anomaly categories that have truth: [1 + C, I], normal first. Returns [I]."""
    anomalous = average_precision[1:]
    present = ~np.isnan(anomalous).any(axis=1)
    return anomalous[present].mean(axis=0) if present.any() else anomalous.sum(axis=0) * np.nan
