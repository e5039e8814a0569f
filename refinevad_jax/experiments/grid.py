"""Trains and evaluates rows of configurations, several seeds each; finished rows are kept."""

import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from refinevad_jax.data.bags import read_info, require_split
from refinevad_jax.evaluation.run import Settings, evaluate_seeds
from refinevad_jax.experiments.ladder_rows import Row, changed
from refinevad_jax.files.staged import locked
from refinevad_jax.runs.checkpoints import Checkpoints
from refinevad_jax.runs.evaluations import stored_seeds
from refinevad_jax.runs.metric_rows import read_rows
from refinevad_jax.runs.run import Run, write_run
from refinevad_jax.training import loop
from refinevad_jax.training.members import seed_configs


def run_rows(
    config: ConfigDict, rows: Sequence[Row], workdir: pathlib.Path, *, split: str
) -> dict[str, list[dict[str, Any]]]:
    """Runs every row in WORKDIR/<row>. Returns the metrics.json of each seed by row name.

    Raises UserError if the data set does not have the split, or a folder holds a run with other
    settings.
    """
    info = read_info(config.data.data_dir, config.data.dataset)
    require_split(config.data.data_dir, config.data.dataset, split)
    with locked(workdir):
        found = {}
        for number, row in enumerate(rows):
            folder, own = workdir / row.name, changed(config, row)
            print(f"\n[{number + 1}/{len(rows)}] {row.name}", flush=True)
            contents = _finished(own, folder, info, split)
            if contents is None:
                loop.train(own, folder)
                contents = evaluate_seeds(
                    folder,
                    split=split,
                    step="best",
                    settings=Settings(num_curves=0, report=False, verbose=False),
                )
            found[row.name] = contents
    return found


def _finished(
    config: ConfigDict, folder: pathlib.Path, info: Any, split: str
) -> list[dict[str, Any]] | None:
    """The stored results of a row, if all its seeds are trained to the end and evaluated."""
    for own, workdir in seed_configs(config, folder):
        if not (workdir / "config.json").exists():
            return None
        write_run(workdir, Run(own, info))  # refuses other settings
    contents = stored_seeds(folder, f"{config.data.dataset}-{split}-best")
    best = [best_of_finished(own, workdir) for own, workdir in seed_configs(config, folder)]
    if [content["step"] for content in contents] != best:
        return None
    print(f"done before, in {folder}", flush=True)
    return contents


def best_of_finished(config: ConfigDict, workdir: pathlib.Path) -> int | None:
    """The best step of a run that was trained to its last epoch, None before that."""
    rows = read_rows(workdir / "metrics.jsonl")
    if not rows or rows[-1].get("epoch") != config.train.num_epochs:
        return None
    checkpoints = Checkpoints(workdir, metric=config.train.selection_metric)
    best = checkpoints.resolve("best")
    checkpoints.close()
    return best
