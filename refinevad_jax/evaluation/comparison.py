"""Evaluation folders side by side, with paired differences if they share their truth."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.numbers import without_nan
from refinevad_jax.evaluation.page_content import curves
from refinevad_jax.evaluation.scored_split import ScoredSplit, stored_split
from refinevad_jax.metrics import bootstrap, names
from refinevad_jax.runs.evaluations import damaged, read_evaluation


@dataclasses.dataclass(frozen=True)
class ComparedRun:
    """An evaluated run to compare.

    Attributes:
        name: for tables.
        folder: of its evaluation.
        metrics: content of metrics.json.
        categories: their names, in order.
        split: the videos with their scores.
    """

    name: str
    folder: pathlib.Path
    metrics: dict[str, Any]
    categories: list[str]
    split: ScoredSplit


def read_compared(name: str, folder: pathlib.Path) -> ComparedRun:
    """Reads an evaluation folder. Raises UserError if it is missing or damaged."""
    metrics, arrays = read_evaluation(folder)
    with damaged(folder):
        categories = [str(row["category"]) for row in metrics["per_category"]["categories"]]
        return ComparedRun(name, folder, metrics, categories, stored_split(metrics, arrays))


def comparison(runs: Sequence[ComparedRun]) -> dict[str, Any]:
    """What compare.html shows, as plain JSON values: the others are compared with the first run.

    Raises UserError for damaged folders, and for runs on different categories.
    """
    first = runs[0]
    shown, differences = [], []
    for number, run in enumerate(runs):
        if run.categories != first.categories:
            raise UserError(
                f"{run.name} knows the categories {', '.join(run.categories)}, {first.name} "
                f"{', '.join(first.categories)}; only runs on the same ones are compared"
            )
        with damaged(run.folder):
            roc = curves(run.split).get("roc")
            shown.append({"name": run.name, "metrics": run.metrics, "roc": roc})
            if number:
                differences.append(paired_by_video(first, run))
    return {
        "runs": shown,
        "categories": first.categories,
        "differences": differences,
    }


def paired_by_video(first: ComparedRun, second: ComparedRun) -> dict[str, Any]:
    """Second minus first on the same draws of videos, or why they cannot be paired."""
    found: dict[str, Any] = {"name": second.name, "against": first.name, "reason": "", "rows": {}}
    ids = [[bag.video_id for bag in run.split.bags] for run in (first, second)]
    if ids[0] != ids[1]:
        return found | {"reason": "other videos, or in another order"}
    one, other = first.split.arrays, second.split.arrays
    once = np.ones(len(one.labels), np.int64)
    found["rows"] = _differences(
        names.VIDEO, one.anomalous, one.video_scores, other.video_scores, once
    )
    if first.metrics["truth_hash"] != second.metrics["truth_hash"]:
        return found | {"reason": "other frame truth: video-level numbers only"}
    if len(one.lengths):
        found["rows"] |= _differences(names.FRAME, one.truth, one.scores, other.scores, one.lengths)
    return found


def _differences(
    level: str, truth: np.ndarray, one: np.ndarray, other: np.ndarray, lengths: np.ndarray
) -> dict[str, dict[str, float | None]]:
    """A row for every metric of a level that draws of videos give."""
    found = bootstrap.compare(truth, one, other, lengths)
    rows = {}
    for key, name in names.resampled(level).items():
        interval, p_value = found[name].difference, found[name].p_value
        ends = {"low": interval.low, "high": interval.high}
        rows[key] = without_nan({"value": interval.value, **ends, "p_value": p_value})
    return rows
