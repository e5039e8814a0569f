"""What report.html and the figures show of an evaluation.

V videos, T scores of a video, C categories.
"""

import base64
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refinevad_jax.evaluation.outcomes import OUTCOMES, Outcome
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.report import figures

CURVE_POINTS = 600  # of ROC and precision-recall curves: finer than a screen shows
# Of t-SNE, which places categories and videos in the plane.
PERPLEXITY = 30.0
MIN_POINTS = 5
MAX_EXACT_POINTS = 500
WHY_NOT = "t-SNE needs scikit-learn: pip install scikit-learn, then evaluate again"
# Measures of the per-class figure: name in the legend, key in metrics.json.
CLASS_MEASURES = {"against normal videos": "against_normal_auc", "one-vs-rest": "one_vs_rest_auc"}


def page_content(
    split: ScoredSplit,
    outcomes: Sequence[Outcome],
    metrics: Mapping[str, Any],
    curves: Mapping[str, Any],
) -> dict[str, Any]:
    """What the template and the script of report.html read, as plain JSON values.

    metrics: what metrics.json holds; curves: of the function of that name.
    """
    return {
        "metrics": metrics,
        "categories": list(split.info.taxonomy.display_names),
        "outcomes": list(OUTCOMES),
        "curves": curves,
        "projection": _projection(split),
        "videos": [_video(split, index, outcome) for index, outcome in enumerate(outcomes)],
    }


def curves(split: ScoredSplit) -> dict[str, Any]:
    """ROC and precision-recall as x, y and threshold; empty if they are not defined."""
    truth, ranking = split.arrays.truth, split.arrays.ranking
    if not truth.any() or truth.all():
        return {}
    precision, recall, thresholds = ranking.precision_recall_curve()
    return {
        "roc": _thinned(*ranking.roc_curve()),
        "pr": _thinned(recall, precision, thresholds),
        "positive_share": float(truth.mean()),
    }


def _projection(split: ScoredSplit) -> dict[str, Any]:
    """Places of categories and videos, or the reason why they are not known."""
    if split.prototypes is None:
        return {"reason": "the scores come without category prototypes"}
    weights = np.stack([result.category_weights for result in split.results])
    try:
        places = project(split.prototypes, weights)
    except ImportError:
        return {"reason": WHY_NOT}
    if places is None:
        return {"reason": f"t-SNE needs {MIN_POINTS} categories and videos or more"}
    places = places.round(2)
    count = len(split.prototypes)
    return {"reason": "", "categories": places[:count].tolist(), "videos": places[count:].tolist()}


def project(prototypes: np.ndarray, category_weights: np.ndarray) -> np.ndarray | None:
    """Places of C prototypes, then V videos, by t-SNE: [C + V, 2], the same for the same input.

    A video lies where CORE puts it among the prototypes: v = sum_c w_c E_c (docs/method.md).
    prototypes: [C, H]; category_weights: [V, C]. None for fewer than 5 points. Distances inside a
    neighbourhood mean something, those across the plane do not. Raises ImportError without
    scikit-learn, which is optional.
    """
    from sklearn.manifold import TSNE

    points = np.concatenate([prototypes, category_weights @ prototypes]).astype(np.float64)
    if len(points) < MIN_POINTS:
        return None
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    # The approximation of Barnes and Hut pays above a few hundred points. Half of the default
    # iterations are enough: what more would change cannot be seen.
    method = "exact" if len(points) <= MAX_EXACT_POINTS else "barnes_hut"
    tsne = TSNE(
        2, perplexity=perplexity, max_iter=500, init="random", random_state=0, method=method
    )
    return tsne.fit_transform(points)


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


def _video(split: ScoredSplit, index: int, outcome: Outcome) -> dict[str, Any]:
    bag, result = split.bags[index], split.results[index]
    scores = _shown(split, result.scores)
    shift = _shown(split, result.shift_ratio) if np.ptp(result.shift_ratio) else None
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
        "probs": np.round(result.category_probs, 4).tolist() or None,
        "spans": bag.spans.tolist() if bag.has_truth else None,
        "events": [
            [event.start, event.end, event.category, round(event.score, 4)]
            for event in outcome.events
        ],
        "scores": _packed(scores),
        "shift": None if shift is None else _packed(shift),
    }


def _shown(split: ScoredSplit, values: np.ndarray) -> np.ndarray:
    """[T] to draw; if there is one score per frame, the highest of each segment's frames."""
    size = split.info.frames_per_segment
    if len(values) <= 4096 or len(values) % size:
        return values
    return values.reshape(-1, size).max(axis=1)


def _packed(values: np.ndarray) -> str:
    """Little-endian float32 in base64: a third of the size of decimal text."""
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode("ascii")


def draw_metrics(
    metrics: Mapping[str, Any], curves: Mapping[str, Any], folder: pathlib.Path
) -> None:
    """Draws ROC, precision-recall and bars per class into a new folder, as PNG and SVG."""
    folder.mkdir()
    rows = metrics["per_category"]["categories"]
    series = {
        name: [row[key] for row in rows] for name, key in CLASS_MEASURES.items() if key in rows[0]
    }
    categories = [row["category"] for row in rows]
    for suffix in figures.SUFFIXES:
        figures.save_class_bars(folder / f"classes{suffix}", categories, series, label="frame AUC")
        if curves:
            figures.save_curves(folder / f"curves{suffix}", curves)


def draw_score_curves(
    split: ScoredSplit, outcomes: Sequence[Outcome], folder: pathlib.Path, *, num_curves: int
) -> None:
    """Draws curves/<nn>_<video>.png for the chosen videos, and curves.png with the first twelve."""
    chosen = chosen_videos(split, num_curves)
    if not chosen:
        return
    panels = [_panel(split, index, outcomes[index]) for index in chosen]
    (folder / "curves").mkdir()
    for number, (index, panel) in enumerate(zip(chosen, panels, strict=True)):
        name = re.sub(r"[^A-Za-z0-9_.=-]", "_", split.bags[index].video_id)[:100]
        figures.save_score_curve(folder / "curves" / f"{number:02d}_{name}.png", panel)
    figures.save_score_grid(folder / "curves.png", panels[: figures.MAX_GRID_PANELS])


def chosen_videos(split: ScoredSplit, count: int) -> list[int]:
    """Indices of the videos to draw.

    They are anomalous ones with truth, from each category in turn, and for every three of them one
    normal video: those with the highest scores, which are the worst false alarms.
    """
    groups: dict[str, list[int]] = {}
    normal: list[int] = []
    for index, bag in enumerate(split.bags):
        if bag.anomalous and bag.has_truth:
            groups.setdefault(bag.label, []).append(index)
        elif not bag.anomalous:
            normal.append(index)
    normal.sort(key=lambda index: -split.results[index].video_score)
    rounds = max(map(len, groups.values()), default=0)
    anomalous = [group[i] for i in range(rounds) for group in groups.values() if i < len(group)]
    num_normal = min(len(normal), max(count // 4, count - len(anomalous)))
    return anomalous[: count - num_normal] + normal[:num_normal]


def _panel(split: ScoredSplit, index: int, outcome: Outcome) -> figures.Panel:
    bag, result = split.bags[index], split.results[index]
    unit, frame = ("seconds", 1 / bag.fps) if bag.fps else ("frames", 1.0)
    names = split.info.taxonomy.display_names
    title = f"{bag.video_id} ({bag.label})"

    def intervals(rows: list[Any]) -> list[figures.Interval]:
        return [
            figures.Interval(
                start * frame, end * frame, names[category] if category >= 0 else "anomaly"
            )
            for start, end, category in rows
        ]

    return figures.Panel(
        title=f"simulated: {title}" if split.info.simulated else title,
        scores=result.scores,
        step=split.evaluated_frames(index) / len(result.scores) * frame,
        unit=unit,
        truth=intervals(bag.spans.tolist()),
        events=intervals([(event.start, event.end, event.category) for event in outcome.events]),
        shift_ratio=result.shift_ratio if np.ptp(result.shift_ratio) else None,
    )
