"""The mAP@IoU that papers of the field print: VadCLIP's evaluator, step by step.

DSANet, DeSC and TrCLIP-VAD carry the same code. docs/metrics.md says what it measures, and what it
does not: `conventions` gives the published number beside three that repair it. All values are
fractions in [0, 1]. Columns are normal (0), then the C anomaly categories.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from refinevad_jax.metrics.localization import (
    Detections,
    Truth,
    anomaly_mean_average_precision,
    average_precisions,
)
from refinevad_jax.metrics.truth import row_runs

DEPTH = np.float64(0.6)  # the threshold lies this share of the range below the maximum
TOP_SHARE = 16  # a video's score is the mean of the highest sixteenth of its frames
VIDEO_WEIGHT = 0.7
MIN_FRAMES = 2


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
    videos: [V] numbers of these videos, 0 to V-1 if not given; the published `excludeNormal=True`
    takes its first 140 or 500 videos.
    Returns detections in frames, by column, then by falling score. They are in the order in which
    the published code visits them, equal scores included, so that its number comes out to the bit.
    Raises ValueError for NaN, or a video of less than 16 frames.
    """
    numbers = range(len(probs)) if videos is None else videos
    parts = [
        _video_detections(video_probs, video, frames_per_segment)
        for video, video_probs in zip(numbers, probs, strict=True)
    ]
    names = [field.name for field in dataclasses.fields(Detections)]
    none = np.zeros(0, np.int64)
    columns = [np.concatenate([none, *(getattr(part, name) for part in parts)]) for name in names]
    found = Detections(*columns)
    return found.select(_published_order(found))


def _video_detections(probs: np.ndarray, video: int, frames_per_segment: int) -> Detections:
    probs = np.asarray(probs)
    num_top = len(probs) * frames_per_segment // TOP_SHARE
    if not num_top or np.isnan(probs).any():
        raise ValueError(f"video {video}: {probs.shape[0]} segments or NaN probabilities")
    highest = np.sort(probs, axis=0)[::-1][: -(-num_top // frames_per_segment)]
    # Frame by frame, because the published mean adds them up in this order.
    video_scores = np.repeat(highest, frames_per_segment, axis=0)[:num_top].mean(axis=0)

    top, bottom = probs.max(axis=0), probs.min(axis=0)
    above = probs > top - (top - bottom) * DEPTH
    runs, category = row_runs(above.T)
    kept = np.diff(runs)[:, 0] * frames_per_segment >= MIN_FRAMES
    runs, category = runs[kept], category[kept]

    # reduceat over (start, end) pairs of the joined columns: every second value is a run's.
    columns = np.append(probs.T.ravel(), probs.dtype.type(0))
    bounds = (category * len(probs))[:, None] + runs
    run_max = np.maximum.reduceat(columns, bounds.ravel())[::2] if len(bounds) else columns[:0]
    found = Detections(
        video=np.full(len(category), video),
        category=category,
        start=runs[:, 0] * frames_per_segment,
        end=runs[:, 1] * frames_per_segment,
        score=(run_max + VIDEO_WEIGHT * video_scores[category]).astype(np.float64),
    )
    return found.select(_published_order(found))


def _published_order(found: Detections) -> np.ndarray:
    """Positions by column, then by falling score, ties as NumPy's default sort leaves them.

    The published code sorts so within a video, and again over all of them.
    """
    order = np.argsort(found.category, kind="stable")
    ends = np.cumsum(np.bincount(found.category))
    for group in np.split(order, ends[:-1]):  # views: the order is changed in place
        group[:] = group[np.argsort(-found.score[group])]
    return order


def legacy_mean_average_precision(
    detections: Detections, average_precision: np.ndarray
) -> np.ndarray:
    """The published mAP@IoU over all columns, normal included. Returns [I] in [0, 1].

    average_precision: [columns, I] of the detections, as `localization.average_precisions` gives.
    A column without truth counts as 0. If one column has no detection, the whole mean is 0.
    """
    if len(np.unique(detections.category)) < len(average_precision):
        return np.zeros(average_precision.shape[1])
    return np.array([np.mean(column) for column in np.nan_to_num(average_precision).T])


def conventions(
    every: Detections, on_anomalous: Detections, truth: Truth, *, num_categories: int
) -> dict[str, np.ndarray]:
    """The mAP of detections under every convention, as docs/metrics.md says.

    every: detections in all videos; on_anomalous: those in videos labelled anomalous;
    num_categories: number of columns, normal included. Returns [5] for each mAP, and [C, 5] under
    "per_category" (those of "anomaly").
    """
    stepwise, restricted, smooth = (
        average_precisions(
            detections, truth, num_categories=num_categories, interpolated=interpolated
        )
        for detections, interpolated in ((every, False), (on_anomalous, False), (every, True))
    )
    return {
        "legacy": legacy_mean_average_precision(every, stepwise),
        "legacy_exclude_normal": legacy_mean_average_precision(on_anomalous, restricted),
        "anomaly": anomaly_mean_average_precision(stepwise),
        "anomaly_on_anomalous_videos": anomaly_mean_average_precision(restricted),
        "anomaly_interpolated": anomaly_mean_average_precision(smooth),
        "per_category": stepwise[1:],
    }
