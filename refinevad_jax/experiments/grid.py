"""Trains and evaluates rows of configurations, several seeds each; finished rows are kept."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from refinevad_jax.data.bags import read_info, require_split
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.comparison import on_draws, read_compared
from refinevad_jax.evaluation.run import Settings, evaluate_seeds
from refinevad_jax.experiments.ladder_rows import Row, changed
from refinevad_jax.files.staged import locked
from refinevad_jax.runs.checkpoints import Checkpoints
from refinevad_jax.runs.evaluations import evaluation_folder, stored_seeds
from refinevad_jax.runs.metric_rows import read_rows
from refinevad_jax.runs.run import Run, write_run
from refinevad_jax.training import loop
from refinevad_jax.training.members import seed_configs


@dataclasses.dataclass(frozen=True)
class RowResult:
    """What a row gives: metrics.json of each of its S seeds, and its metrics on draws of videos.

    Attributes:
        contents: one per seed.
        drawn: by key [S, 1 + R], see `comparison.on_draws`; the same draws in every row.
    """

    contents: list[dict[str, Any]]
    drawn: dict[str, np.ndarray]


def run_rows(
    config: ConfigDict, rows: Sequence[Row], workdir: pathlib.Path, *, split: str
) -> list[RowResult]:
    """Runs every row in WORKDIR/<row>. Returns the results in the same order.

    Raises UserError if the data set does not have the split, if a folder holds a run with other
    settings, or if a row was evaluated before on other videos or another truth.
    """
    info = read_info(config.data.data_dir, config.data.dataset)
    require_split(config.data.data_dir, config.data.dataset, split)
    name = evaluation_name(config, split)
    results: list[RowResult] = []
    measured: tuple[list[str], str] | None = None
    with locked(workdir):
        for number, row in enumerate(rows):
            folder, own = workdir / row.name, changed(config, row)
            print(f"\n[{number + 1}/{len(rows)}] {row.name}", flush=True)
            if not _is_finished(own, folder, info, name):
                loop.train(own, folder)
                evaluate_seeds(
                    folder,
                    split=split,
                    step="best",
                    settings=Settings(num_curves=0, report=False, verbose=False),
                )
            seeds = [workdir for _, workdir in seed_configs(own, folder)]
            run = read_compared(row.name, [evaluation_folder(seed, name) for seed in seeds])
            found = (run.video_ids, run.metrics[0]["truth_hash"])
            measured = measured or found
            if found != measured:
                raise UserError(
                    f"{run.folders[0]}: other videos or another truth than {rows[0].name}; "
                    "evaluate it again"
                )
            results.append(RowResult(run.metrics, on_draws(run.splits)))
    return results


def evaluation_name(config: ConfigDict, split: str) -> str:
    """Of the evaluation of a row."""
    return f"{config.data.dataset}-{split}-best"


def _is_finished(config: ConfigDict, folder: pathlib.Path, info: Any, name: str) -> bool:
    """Whether all seeds of a row are trained to the end and evaluated, under this name."""
    for own, workdir in seed_configs(config, folder):
        if not (workdir / "config.json").exists():
            return False
        write_run(workdir, Run(own, info))  # refuses other settings
    contents = stored_seeds(folder, name)
    best = [best_of_finished(own, workdir) for own, workdir in seed_configs(config, folder)]
    if [content["step"] for content in contents] != best:
        return False
    print(f"done before, in {folder}", flush=True)
    return True


def best_of_finished(config: ConfigDict, workdir: pathlib.Path) -> int | None:
    """The best step of a run that was trained to its last epoch, None before that."""
    rows = read_rows(workdir / "metrics.jsonl")
    if not rows or rows[-1].get("epoch") != config.train.num_epochs:
        return None
    checkpoints = Checkpoints(workdir, metric=config.train.selection_metric)
    best = checkpoints.resolve("best")
    checkpoints.close()
    return best
