"""What report.html and the figures show of an evaluation.

V videos, T scores of a video, C categories.
"""

import base64
import math
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refinevad_jax.evaluation.outcomes import OUTCOMES, Outcome
from refinevad_jax.evaluation.score_lengths import named
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.metrics.frames import Ranking
from refinevad_jax.report import figures, tables
from refinevad_jax.report.drawing import Drawing
from refinevad_jax.runtime import commands

CURVE_POINTS = 600  # of ROC and precision-recall curves: finer than a screen shows
MOST_SHOWN = 4096  # scores of a video; if there are more, one for every segment is drawn
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
    alarm = metrics["alarm_threshold"]
    return {
        "metrics": metrics,
        "categories": list(split.info.taxonomy.display_names),
        "outcomes": list(OUTCOMES),
        "curves": curves or video_curves(split),
        "curves_over": "frames" if curves else "videos",
        "missing_truth": " ".join(filter(None, (missing_truth(split), lost_truth(split)))),
        "threshold": alarm["threshold"],
        "score_range": _score_range(split),
        "projection": _projection(split),
        "videos": [_video(split, index, outcome, alarm) for index, outcome in enumerate(outcomes)],
    }


def missing_truth(split: ScoredSplit) -> str:
    """Why frame metrics are missing or leave videos out, and the cure; "" if nothing is missing."""
    unknown = len(split.bags) - len(split.known)
    if not unknown:
        return ""
    cure = commands.as_started(
        "To add it, write the start and end of every event to a file (docs/data.md has the "
        "formats), package the data set again with --annotations=FILE (python -m "
        "data_prep.package), and evaluate again."
    )
    if not split.known:
        return (
            "Frame metrics are missing: no video of this split has frame truth, so nothing says "
            f"which frames are anomalous. The numbers here are of whole videos. {cure}"
        )
    return (
        f"{unknown} of {len(split.bags)} videos have no frame truth. Frame metrics leave them out. "
        f"{cure}"
    )


def lost_truth(split: ScoredSplit) -> str:
    """Which anomalous videos count as normal throughout; "" if none does."""
    lost = [
        split.bags[i].video_id
        for i in split.known
        if split.bags[i].anomalous and not split.frame_truth(i).any()
    ]
    if not lost:
        return ""
    return (
        f"Frame metrics take every frame of {len(lost)} anomalous "
        f"{'video' if len(lost) == 1 else 'videos'} as normal, because no "
        f"annotated span lies in the frames that are evaluated: {named(lost)}."
    )


def curves(split: ScoredSplit) -> dict[str, Any]:
    """ROC and precision-recall over frames as x, y and threshold; empty if they are not defined."""
    return _curves(split.arrays.truth, lambda: split.arrays.ranking)


def video_curves(split: ScoredSplit) -> dict[str, Any]:
    """The same over whole videos, by label and video score."""
    return _curves(split.arrays.anomalous, lambda: split.arrays.video_ranking)


def _curves(truth: np.ndarray, ranking: Callable[[], Ranking]) -> dict[str, Any]:
    if not truth.any() or truth.all():
        return {}
    precision, recall, thresholds = ranking().precision_recall_curve()
    return {
        "roc": _thinned(*ranking().roc_curve()),
        "pr": _thinned(recall, precision, thresholds),
        "positive_share": float(truth.mean()),
    }


def _score_range(split: ScoredSplit) -> list[float]:
    """The range of the score axis of all videos: 0 to 1 unless a score lies outside."""
    scores = np.concatenate([result.scores for result in split.results])
    return [min(0.0, float(scores.min())), max(1.0, float(scores.max()))]


def _projection(split: ScoredSplit) -> dict[str, Any]:
    """Places of categories and videos, or the reason why they are not drawn."""
    if split.prototypes is None:
        return {"reason": "the scores come without category prototypes"}
    if len(split.prototypes) < 2:
        return {"reason": "there is one category alone"}
    weights = np.stack([result.category_weights for result in split.results])
    places, prototypes, share = project(split.prototypes, weights)
    farthest, spread = (np.linalg.norm(found, axis=1).max() for found in (prototypes, places))
    if spread <= 1e-6 * farthest:
        return {"reason": "all videos mix the categories alike"}
    closer = max(1.0, float(farthest / spread))
    return {
        "reason": "",
        "share": share,
        "closer": closer,
        "categories": (prototypes / closer).tolist(),
        "videos": places.tolist(),
    }


def project(
    prototypes: np.ndarray, category_weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Places of videos and prototypes by PCA of the videos, and the share of variance kept.

    A video lies where CORE puts it among the prototypes: v = sum_c w_c E_c (docs/method.md). Its
    weights are so even that all videos are close together, compared with the prototypes; the plane
    is therefore that of the videos.

    Args:
        prototypes: [C, H].
        category_weights: [V, C].

    Returns:
        [V, 2] with mean 0, [C, 2] relative to that mean, and a fraction.
    """
    videos = (category_weights @ prototypes).astype(np.float64)
    centre = videos.mean(axis=0)
    # All videos lie where the prototypes span: C columns instead of H.
    basis, _ = np.linalg.qr(prototypes.T.astype(np.float64))
    _, values, axes = np.linalg.svd((videos - centre) @ basis, full_matrices=False)
    axes = axes[:2] @ basis.T
    # The sign of an axis is arbitrary: its largest entry is made positive.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = np.where(largest < 0, -axes, axes)
    axes = np.pad(axes, ((0, 2 - len(axes)), (0, 0)))
    total = float((values**2).sum())
    share = float((values[:2] ** 2).sum()) / total if total else 1.0
    return (videos - centre) @ axes.T, (prototypes - centre) @ axes.T, share


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
    split: ScoredSplit, index: int, outcome: Outcome, alarm: Mapping[str, Any]
) -> dict[str, Any]:
    bag, result = split.bags[index], split.results[index]
    shift = _shown(split, result.shift_ratio) if np.ptp(result.shift_ratio) else None
    # Given maps alone: those that follow from the score and p_c of the video show nothing new.
    given = result.category_map
    return {
        "id": bag.video_id,
        "label": bag.label,
        "categories": np.flatnonzero(bag.labels).tolist(),
        "outcome": outcome.kind,
        "verdict": verdict(outcome, alarm, has_truth=bag.has_truth),
        "error": round(outcome.error, 4),
        "score": round(result.video_score, 4),
        "highest": float(result.scores.max()),
        "auc": None if math.isnan(outcome.frame_auc) else round(outcome.frame_auc, 4),
        "frames": split.evaluated_frames(index),
        "fps": bag.fps,
        "probs": np.round(result.category_probs, 4).tolist() or None,
        "spans": bag.spans.tolist() if bag.has_truth else None,
        "events": [
            [event.start, event.end, event.category, round(event.score, 4)]
            for event in outcome.events
        ],
        "scores": _packed(_shown(split, result.scores)),
        "shift": None if shift is None else _packed(shift),
        "by_segment": None if given is None else _packed_coarsely(_shown(split, given[:, 1:])),
    }


def verdict(outcome: Outcome, alarm: Mapping[str, Any], *, has_truth: bool) -> str:
    """What the outcome of a video says, with the threshold that it follows and its source."""
    if alarm["threshold"] is None:
        return f"No event is shown: {alarm['source']}."
    count = len(outcome.events)
    found = f"{count} event{'s' * (count != 1)}" if count else "no event"
    at = f"at the threshold {tables.threshold_text(alarm['threshold'])} ({alarm['source']})"
    meaning = {
        "detected": "an event overlaps an annotated stretch"
        if has_truth
        else "the video is anomalous; where is not annotated",
        "missed": "none overlaps an annotated stretch" if count else "the video is anomalous",
        "false alarm": "the video is normal",
        "quiet": "right, the video is normal",
    }
    return f"{outcome.kind.capitalize()}: {found} {at}; {meaning[outcome.kind]}."


def _shown(split: ScoredSplit, values: np.ndarray) -> np.ndarray:
    """[T] or [T, C] to draw; if there is one per frame, the highest of each segment's frames."""
    size = split.info.frames_per_segment
    if len(values) <= MOST_SHOWN or len(values) % size:
        return values
    return values.reshape(-1, size, *values.shape[1:]).max(axis=1)


def _packed(values: np.ndarray) -> str:
    """Little-endian float32 in base64: a third of the size of decimal text."""
    return base64.b64encode(np.asarray(values, "<f4").tobytes()).decode("ascii")


def _packed_coarsely(values: np.ndarray) -> str:
    """Probabilities [T, C] as bytes, 255 for 1, in base64: what a colour can show."""
    return base64.b64encode(
        (255 * np.clip(values, 0, 1)).round().astype(np.uint8).tobytes()
    ).decode("ascii")


def draw_metrics(
    metrics: Mapping[str, Any], curves: Mapping[str, Any], folder: pathlib.Path, draw: Drawing
) -> None:
    """Draws ROC, precision-recall and bars per class into a new folder, as PNG and SVG."""
    folder.mkdir()
    rows = metrics["per_category"]["categories"]
    series = {
        name: [row[key] for row in rows] for name, key in CLASS_MEASURES.items() if key in rows[0]
    }
    categories = [row["category"] for row in rows]
    for suffix in figures.SUFFIXES:
        bars = folder / f"classes{suffix}"
        draw(figures.save_class_bars, bars, categories, series, label="frame AUC")
        if curves:
            draw(figures.save_curves, folder / f"curves{suffix}", curves)


def draw_score_curves(
    split: ScoredSplit,
    outcomes: Sequence[Outcome],
    folder: pathlib.Path,
    draw: Drawing,
    *,
    num_curves: int,
) -> None:
    """Draws curves/<nn>_<video>.png for the chosen videos, and curves.png with the first twelve."""
    chosen = chosen_videos(split, num_curves)
    if not chosen:
        return
    panels = [_panel(split, index, outcomes[index]) for index in chosen]
    draw(figures.save_score_grid, folder / "curves.png", panels[: figures.MAX_GRID_PANELS])
    (folder / "curves").mkdir()
    for number, (index, panel) in enumerate(zip(chosen, panels, strict=True)):
        name = re.sub(r"[^A-Za-z0-9_.=-]", "_", split.bags[index].video_id)[:100]
        draw(figures.save_score_curve, folder / "curves" / f"{number:02d}_{name}.png", panel)


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
