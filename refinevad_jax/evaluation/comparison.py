"""Evaluation folders side by side, with paired differences if they share their truth."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError
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
        split: the videos with their scores.
    """

    name: str
    folder: pathlib.Path
    metrics: dict[str, Any]
    split: ScoredSplit


def read_run(name: str, folder: pathlib.Path) -> ComparedRun:
    """Reads an evaluation folder. Raises UserError if it is missing or damaged."""
    metrics, arrays = read_evaluation(folder)
    with damaged(folder):
        return ComparedRun(name, folder, metrics, stored_split(metrics, arrays))


def comparison(runs: Sequence[ComparedRun]) -> dict[str, Any]:
    """What compare.html shows, as plain JSON values: the others are compared with the first run.

    Raises UserError for damaged folders, and for runs on different categories.
    """
    found = []
    for run in runs:
        with damaged(run.folder):
            found.append(_categories(run.metrics))
    for run, categories in zip(runs, found, strict=True):
        if categories != found[0]:
            raise UserError(
                f"{run.name} knows the categories {', '.join(categories)}, {runs[0].name} "
                f"{', '.join(found[0])}; only runs on the same ones are compared"
            )
    roc, differences = [], []
    for number, run in enumerate(runs):
        with damaged(run.folder):
            roc.append(curves(run.split).get("roc"))
            if number:
                differences.append(paired(runs[0], run))
    return {
        "runs": [
            {"name": run.name, "metrics": run.metrics, "roc": curve}
            for run, curve in zip(runs, roc, strict=True)
        ],
        "categories": found[0],
        "differences": differences,
    }


def paired(first: ComparedRun, second: ComparedRun) -> dict[str, Any]:
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
    return {key: _row(found[name]) for key, name in names.resampled(level).items()}


def _row(found: bootstrap.Comparison) -> dict[str, float | None]:
    interval = found.difference
    values = {
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "p_value": found.p_value,
    }
    return {key: None if np.isnan(value) else value for key, value in values.items()}


def _categories(metrics: Mapping[str, Any]) -> list[str]:
    return [str(row["category"]) for row in metrics["per_category"]["categories"]]
