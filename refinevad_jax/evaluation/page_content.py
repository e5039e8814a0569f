"""What report.html shows of an evaluation, as plain JSON values for `report.page`."""

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax.evaluation.outcomes import OUTCOMES, Outcome
from refinevad_jax.evaluation.projection import WHY_NOT, project
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.metrics.frames import precision_recall_curve, roc_curve

CURVE_POINTS = 600  # of ROC and precision-recall curves: finer than a screen shows


def page_content(
    split: ScoredSplit, outcomes: Sequence[Outcome], content: dict[str, Any]
) -> dict[str, Any]:
    """content: what metrics.json holds. Returns what the page's template and script read."""
    return {
        "metrics": content,
        "categories": list(split.info.taxonomy.display_names),
        "outcomes": list(OUTCOMES),
        "curves": curves(split),
        "projection": _projection(split),
        "videos": [
            _video(split, index, outcome, content["operating_point"]["threshold"])
            for index, outcome in enumerate(outcomes)
        ],
    }


def curves(split: ScoredSplit) -> dict[str, Any]:
    """ROC and precision-recall as x, y and threshold; empty where they are not defined."""
    if not split.truth.any() or split.truth.all():
        return {}
    fpr, tpr, roc_thresholds = roc_curve(split.truth, split.scores)
    precision, recall, thresholds = precision_recall_curve(split.truth, split.scores)
    return {
        "roc": _thinned(fpr, tpr, roc_thresholds),
        "pr": _thinned(recall, precision, thresholds),
        "positive_share": float(split.truth.mean()),
    }


def _projection(split: ScoredSplit) -> dict[str, Any]:
    """Places of categories and videos, or the reason why there are none."""
    if split.prototypes is None:
        return {"reason": "the scores come without category prototypes"}
    weights = np.stack([result.category_weights for result in split.results])
    places = project(split.prototypes, weights)
    if places is None:
        return {"reason": WHY_NOT}
    places = places.round(2)
    count = len(split.prototypes)
    return {"reason": "", "categories": places[:count].tolist(), "videos": places[count:].tolist()}


def _thinned(x: np.ndarray, y: np.ndarray, threshold: np.ndarray) -> dict[str, list[Any]]:
    """At most CURVE_POINTS points, evenly along the curve."""
    way = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))))
    chosen = np.unique(np.searchsorted(way, np.linspace(0, way[-1], CURVE_POINTS)))
    finite = [None if math.isinf(value) else round(value, 6) for value in threshold[chosen]]
    return {
        "x": x[chosen].round(5).tolist(),
        "y": y[chosen].round(5).tolist(),
        "threshold": finite,
    }


def _video(
    split: ScoredSplit, index: int, outcome: Outcome, threshold: float | None
) -> dict[str, Any]:
    bag, result = split.bags[index], split.results[index]
    scores = _shown(split, result.scores)
    shift = _shown(split, result.shift_ratio) if np.ptp(result.shift_ratio) else None
    probs = result.category_probs
    return {
        "id": bag.video_id,
        "label": bag.label,
        "categories": np.flatnonzero(bag.labels).tolist(),
        "outcome": outcome.kind,
        "error": round(outcome.error, 4),
        "score": round(result.video_score, 4),
        "auc": None if math.isnan(outcome.frame_auc) else round(outcome.frame_auc, 4),
        "frames": split.evaluated_frames(index),
        "fps": bag.fps,
        "probs": np.round(probs, 4).tolist() if split.has_categories else None,
        "spans": bag.spans.tolist() if bag.has_truth else None,
        "events": [
            [event.start, event.end, event.category, round(event.score, 4)]
            for event in outcome.events
        ],
        "scores": _packed(scores),
        "shift": None if shift is None else _packed(shift),
    }


def _shown(split: ScoredSplit, values: np.ndarray) -> np.ndarray:
    """[T] to draw; where there is a score a frame, the highest of each segment's frames."""
    size = split.info.frames_per_segment
    if len(values) <= 4096 or len(values) % size:
        return values
    return values.reshape(-1, size).max(axis=1)


def _packed(values: np.ndarray) -> str:
    """Little-endian float32 in base64: a third of the size of decimal text."""
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode("ascii")
