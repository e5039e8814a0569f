"""Evaluation folders side by side, with paired differences where they share their truth."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.metrics import bootstrap
from refinevad_jax.metrics.frames import roc_curve
from refinevad_jax.metrics.truth import frame_truth, resampled_to_frame_scores
from refinevad_jax.runs.run import refuse_several_seeds

NUM_RESAMPLES = 1000
CURVE_POINTS = 400


@dataclasses.dataclass(frozen=True)
class StoredEvaluation:
    """What an evaluation folder holds.

    Attributes:
        name: for tables.
        metrics: content of metrics.json.
        video_ids: V ids.
        anomalous: [V] bool, by label.
        video_scores: [V].
        truth: [F] bool over the videos with truth, one after the other.
        scores: [F] of the same frames.
        lengths: frames of each of these videos.
    """

    name: str
    metrics: dict[str, Any]
    video_ids: list[str]
    anomalous: np.ndarray
    video_scores: np.ndarray
    truth: np.ndarray
    scores: np.ndarray
    lengths: np.ndarray


def find_evaluation(path: pathlib.Path) -> pathlib.Path:
    """The evaluation folder that is meant: itself, or the only one of a workdir."""
    if (path / "metrics.json").is_file():
        return path
    found = sorted(entry.parent for entry in path.glob("eval/*/metrics.json"))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(folder) for folder in found)
        raise UserError(f"{path} has {len(found)} evaluations; name one of {names}")
    refuse_several_seeds(path)
    raise UserError(f"{path}: no metrics.json; run refinevad_jax.evaluate first")


def read_evaluation(name: str, folder: pathlib.Path) -> StoredEvaluation:
    """Reads metrics.json and scores.npz. Raises UserError where one is missing or damaged."""
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        arrays = load_packed(folder / "scores.npz")
        known = np.flatnonzero(arrays["has_truth"]).tolist()
        truth, scores = [np.zeros(0, bool)], [np.zeros(0, np.float32)]
        for i in known:
            length = int(arrays["evaluated_frames"][i])
            spans = arrays["spans"][slice(*arrays["span_offsets"][i : i + 2])]
            own = arrays["scores"][slice(*arrays["offsets"][i : i + 2])]
            truth.append(frame_truth(spans, length))
            scores.append(resampled_to_frame_scores(own, length))
        return StoredEvaluation(
            name=name,
            metrics=metrics,
            video_ids=arrays["video_ids"].tolist(),
            anomalous=np.asarray(arrays["labels"].any(axis=1)),
            video_scores=arrays["video_scores"],
            truth=np.concatenate(truth),
            scores=np.concatenate(scores),
            lengths=arrays["evaluated_frames"][known].astype(np.int64),
        )
    except (UserError, OSError, ValueError, LookupError, TypeError, MemoryError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{folder}: damaged or of an older release ({reason}); evaluate again"
        ) from (error)


def comparison(runs: Sequence[StoredEvaluation]) -> dict[str, Any]:
    """What compare.html shows, as plain JSON values: the first run is what others are held against.

    Raises UserError for runs on different categories.
    """
    with as_damaged("metrics.json of a run is damaged or of an older release; evaluate again"):
        names = [_categories(run.metrics) for run in runs]
    for run, found in zip(runs, names, strict=True):
        if found != names[0]:
            raise UserError(
                f"{run.name} knows the categories {', '.join(found)}, {runs[0].name} "
                f"{', '.join(names[0])}; only runs on the same ones are compared"
            )
    with as_damaged("files of an evaluation do not fit together; evaluate again"):
        return _compared(runs, names[0])


def _compared(runs: Sequence[StoredEvaluation], categories: list[str]) -> dict[str, Any]:
    return {
        "runs": [{"name": run.name, "metrics": run.metrics, "roc": _roc(run)} for run in runs],
        "categories": categories,
        "differences": [paired(runs[0], run) for run in runs[1:]],
    }


def paired(first: StoredEvaluation, second: StoredEvaluation) -> dict[str, Any]:
    """Second minus first on the same draws of videos, or why they cannot be paired."""
    found: dict[str, Any] = {"name": second.name, "against": first.name, "reason": "", "rows": {}}
    if first.video_ids != second.video_ids:
        return found | {"reason": "other videos, or in another order"}
    rows = bootstrap.compare(
        first.anomalous,
        first.video_scores,
        second.video_scores,
        np.ones(len(first.video_ids), np.int64),
        num_resamples=NUM_RESAMPLES,
    )
    found["rows"] = {
        "video_auc": _row(rows["roc_auc"]),
        "video_ap": _row(rows["average_precision"]),
    }
    if first.metrics["truth_hash"] != second.metrics["truth_hash"]:
        return found | {"reason": "other frame truth: video-level numbers only"}
    if len(first.lengths):
        rows = bootstrap.compare(
            first.truth, first.scores, second.scores, first.lengths, num_resamples=NUM_RESAMPLES
        )
        found["rows"] |= {
            "frame_auc": _row(rows["roc_auc"]),
            "frame_ap": _row(rows["average_precision"]),
        }
    return found


def _row(found: bootstrap.Comparison) -> dict[str, float | None]:
    interval = found.difference
    values = {
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "p_value": found.p_value,
    }
    return {key: None if np.isnan(value) else value for key, value in values.items()}


def _roc(run: StoredEvaluation) -> dict[str, list[float]] | None:
    if not run.truth.any() or run.truth.all():
        return None
    x, y, _ = roc_curve(run.truth, run.scores)
    grid = np.unique(np.linspace(0, len(x) - 1, CURVE_POINTS).astype(int))
    return {"x": x[grid].round(5).tolist(), "y": y[grid].round(5).tolist()}


def _categories(metrics: Mapping[str, Any]) -> list[str]:
    return [row["category"] for row in metrics["per_category"]["categories"]]
