"""The numbers of another system on a split: by the functions of `evaluate`, so that rows compare.

V videos, T bins, C categories, D channels.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.data.batches import resample
from refinevad_jax.evaluation.numbers import mean_average_precisions, without_nan
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.metrics.localization import IOU_THRESHOLDS
from refinevad_jax.metrics.names import measured
from refinevad_jax.report.tables import markdown_table, spread

# Keys of metrics.json, with the title of the column.
COLUMNS = {
    "video_auc": "video AUC",
    "frame_auc": "frame AUC",
    "frame_ap": "frame AP",
    "anomalous_frame_auc": "AUC, anomalous videos",
    "single_video_auc": "AUC inside videos",
    "map": "mAP@IoU",
    "map_at_0.3": "at 0.3",
    "map_at_0.5": "at 0.5",
    "map_place_alone": "mAP, place alone",
    "false_alarm_rate": "false alarms at 0.5",
    "category_accuracy": "categories",
}


def resampled(bags: Sequence[Bag], num_segments: int) -> np.ndarray:
    """[V, T, D] float32: the first crop of every video in so many bins."""
    rows = [resample(bag.features[:1], num_segments)[0].astype(np.float32) for bag in bags]
    return np.stack(rows)


def as_split(
    info: BagsInfo,
    bags: list[Bag],
    scores: np.ndarray,
    video_scores: np.ndarray | None = None,
    category_probs: np.ndarray | None = None,
) -> ScoredSplit:
    """What `evaluate` makes its numbers of, for scores [V, T] spread evenly over the frames.

    video_scores: [V], and category_probs: [V, C], for the numbers that need them.
    """
    none = np.zeros(0)
    videos = np.zeros(len(bags)) if video_scores is None else video_scores
    probs = np.zeros((len(bags), 0)) if category_probs is None else category_probs
    results = [
        VideoScores(row, float(video), own, none, none)
        for row, video, own in zip(scores, videos, probs, strict=True)
    ]
    return ScoredSplit(info, bags, results, resampled=True)


def numbers(
    info: BagsInfo,
    bags: list[Bag],
    scores: np.ndarray,
    video_scores: np.ndarray,
    category_probs: np.ndarray,
) -> dict[str, float]:
    """Every number of a system, by key; NaN if it is not defined.

    scores: [V, T] in [0, 1]; the others as for `as_split`. mAP is that of our proposals: "map", the
    mean over IoU 0.1 to 0.5 and the anomaly categories, with the values at each IoU; and the same
    without categories, place alone.
    """
    split = as_split(info, bags, scores, video_scores, category_probs)
    found = dict(measured(split.arrays))
    localized = mean_average_precisions(split, "proposals")
    # Spans without a category leave place alone.
    named = localized.get("anomaly", np.full(len(IOU_THRESHOLDS), np.nan))
    found |= {f"map_at_{iou}": float(v) for iou, v in zip(IOU_THRESHOLDS, named, strict=True)}
    found["map"] = float(named.mean())
    found["map_place_alone"] = float(localized["class_agnostic"].mean())
    return found


def report(
    title: str, rows: Mapping[str, Sequence[Mapping[str, float]]], settings: Mapping[str, object]
) -> str:
    """A Markdown table, mean ± deviation over seeds, and the same numbers as one line of JSON.

    rows: by name, the `numbers` of every seed; settings: what was run, for the JSON.
    """
    plain = without_nan({name: [dict(seed) for seed in seeds] for name, seeds in rows.items()})
    cells = [
        [name, *(spread([seed[key] for seed in seeds]) for key in COLUMNS)]
        for name, seeds in plain.items()
    ]
    table = markdown_table([title, *COLUMNS.values()], cells)
    return "\n".join([*table, "", json.dumps({**settings, "rows": plain})])
