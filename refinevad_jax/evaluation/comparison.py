"""Groups of seeds side by side, with differences on the same videos if they share their truth."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.numbers import proposals_map_on_draws, without_nan
from refinevad_jax.evaluation.page_content import curves
from refinevad_jax.evaluation.scored_split import ScoredSplit, stored_split
from refinevad_jax.metrics import bootstrap, names
from refinevad_jax.metrics.frames import single_video_aucs
from refinevad_jax.metrics.names import SplitArrays
from refinevad_jax.report.tables import check_same
from refinevad_jax.runs.evaluations import damaged, read_evaluation


@dataclasses.dataclass(frozen=True)
class ComparedRun:
    """The evaluations of a run to compare: of one seed, or of S.

    Attributes:
        name: for tables.
        folders: of each seed's evaluation.
        metrics: content of each metrics.json.
        categories: their names, in order.
        splits: the videos with the scores of each seed.
    """

    name: str
    folders: list[pathlib.Path]
    metrics: list[dict[str, Any]]
    categories: list[str]
    splits: list[ScoredSplit]

    @property
    def video_ids(self) -> list[str]:
        """Of every video, in order."""
        return [bag.video_id for bag in self.splits[0].bags]


def read_compared(name: str, folders: Sequence[pathlib.Path]) -> ComparedRun:
    """Reads the evaluation folders of a run, one per seed.

    Raises UserError if one is missing or damaged, or if they were measured on different things.
    """
    metrics, splits = [], []
    for folder in folders:
        content, arrays = read_evaluation(folder)
        with damaged(folder):
            categories = [str(row["category"]) for row in content["per_category"]["categories"]]
            splits.append(stored_split(content, arrays))
        metrics.append(content)
    check_same(name, dict(zip(folders, metrics, strict=True)))
    run = ComparedRun(name, list(folders), metrics, categories, splits)
    for folder, split in zip(folders, splits, strict=True):
        if [bag.video_id for bag in split.bags] != run.video_ids:
            raise UserError(f"{folder} has other videos than {folders[0]}; both are of {name!r}")
    return run


def comparison(runs: Sequence[ComparedRun]) -> dict[str, Any]:
    """What compare.html shows, as plain JSON values: the others are compared with the first run.

    Raises UserError for damaged folders, and for runs on different categories.
    """
    first = runs[0]
    shown, drawn = [], []
    for run in runs:
        if run.categories != first.categories:
            raise UserError(
                f"{run.name} knows the categories {', '.join(run.categories)}, {first.name} "
                f"{', '.join(first.categories)}; only runs on the same ones are compared"
            )
        with damaged(run.folders[0]):
            roc = [curves(split).get("roc") for split in run.splits]
            shown.append({"name": run.name, "metrics": run.metrics, "roc": roc})
            drawn.append(on_draws(run.splits))
    others = zip(runs[1:], drawn[1:], strict=True)
    differences = [_difference(first, drawn[0], run, values) for run, values in others]
    return {
        "runs": shown,
        "categories": first.categories,
        "differences": differences,
    }


def on_draws(splits: Sequence[ScoredSplit]) -> dict[str, np.ndarray]:
    """The metrics that draws of videos give, by key: [S, 1 + R], a row per seed.

    splits: the same videos in the same order, scored by each of S seeds. See `bootstrap.on_draws`.
    mAP@IoU is left out if a seed has no categories.
    """
    found: dict[str, list[np.ndarray]] = {}
    for split in splits:
        arrays = split.arrays
        once = np.ones(len(arrays.labels), np.int64)
        levels = {names.VIDEO: (arrays.anomalous, arrays.video_scores, once)}
        if len(arrays.lengths):
            levels[names.FRAME] = (arrays.truth, arrays.scores, arrays.lengths)
        for level, data in levels.items():
            values = bootstrap.on_draws(*data)
            for key, name in names.resampled(level).items():
                found.setdefault(key, []).append(values[name])
        for key, row in _inside_on_draws(arrays).items():
            found.setdefault(key, []).append(row)
        located = proposals_map_on_draws(split)
        if located is not None:
            found.setdefault(names.PROPOSALS_MAP, []).append(located)
    return {key: np.stack(rows) for key, rows in found.items() if len(rows) == len(splits)}


def _inside_on_draws(arrays: SplitArrays) -> dict[str, np.ndarray]:
    """The metrics of place inside videos on the draws of all videos with truth: [1 + R] each."""
    chosen = arrays.anomalous[arrays.with_truth]
    if not chosen.any():
        return {}
    draws = bootstrap.once_and_drawn(len(chosen))[:, chosen]
    kept = arrays.per_frame(arrays.anomalous)
    lengths = arrays.lengths[chosen]
    found = bootstrap.on_draws(arrays.truth[kept], arrays.scores[kept], lengths, draws=draws)
    inside = single_video_aucs(arrays.truth, arrays.scores, arrays.lengths)
    return {
        "anomalous_frame_auc": found["roc_auc"],
        "single_video_auc": bootstrap.mean_on_draws(inside),
    }


def _difference(
    first: ComparedRun,
    of_first: Mapping[str, np.ndarray],
    second: ComparedRun,
    of_second: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Second minus first on the same draws of videos, or why they cannot be paired."""
    seeds = [len(second.splits), len(first.splits)]
    found: dict[str, Any] = {"name": second.name, "against": first.name, "seeds": seeds}
    if first.video_ids != second.video_ids:
        return found | {"reason": "other videos, or in another order", "rows": {}}
    same = first.metrics[0]["truth_hash"] == second.metrics[0]["truth_hash"]
    keys = of_first if same else names.resampled(names.VIDEO)
    reason = "" if same else "other frame truth: video-level numbers only"
    rows = {key: _row(of_first[key], of_second[key]) for key in keys if key in of_second}
    return found | {"reason": reason, "rows": rows}


def _row(one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Two groups of seeds in one metric: [S, 1 + R] each."""
    found = bootstrap.difference(one, other)
    interval = found.difference
    return without_nan(
        {
            "values": other[:, 0].tolist(),
            "against": one[:, 0].tolist(),
            "value": interval.value,
            "low": interval.low,
            "high": interval.high,
            "p_value": found.p_value,
        }
    )
