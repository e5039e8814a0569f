r"""Trains and evaluates rows of the ladder on every fold of a data set, into one table.

Each fold is one data set: NAME_0, NAME_1, ... (benchmarks.small_sets --set=ped2 makes ten);
--config.data.dataset is NAME. The same command goes on where it was stopped.

  python -m benchmarks.folds --config=configs/own.py --config.data.dataset=ped2 \
      --workdir=runs/ped2 --rows=base

Prints the mean and deviation over folds and seeds, and writes it to WORKDIR/folds.md. Training sets
of folds overlap, so the deviation of a mean is more than that over the root of their number.
"""

import copy
import pathlib
from typing import Any

from absl import flags

from benchmarks.fold_table import folds_of, table
from refinevad_jax.runtime import command_line

CONFIG = command_line.config_flag()
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of all runs; made if needed.", required=True)
ROWS = flags.DEFINE_list("rows", [], "Rows of the ladder in addition to full.")
CACHE = command_line.cache_flag()


def main() -> None:
    """Runs the folds and writes the table."""
    from refinevad_jax import config
    from refinevad_jax.data.bags import read_info
    from refinevad_jax.experiments import grid, ladder_rows
    from refinevad_jax.files.staged import write_text
    from refinevad_jax.runtime.compiler import enable_cache

    settings = CONFIG.value
    config.validate(settings)
    folds = folds_of(settings.data.data_dir, settings.data.dataset)
    info = read_info(settings.data.data_dir, folds[0])
    only = ROWS.value or [ladder_rows.FULL]
    rows = ladder_rows.ladder(settings, [one.name for one in info.modalities], only)
    enable_cache(CACHE.value)
    contents: dict[str, list[dict[str, Any]]] = {row.name: [] for row in rows}
    for fold in folds:
        own = copy.deepcopy(settings)
        own.data.dataset = fold
        found = grid.run_rows(own, rows, pathlib.Path(WORKDIR.value) / fold, split="test")
        for row, result in zip(rows, found, strict=True):
            contents[row.name] += result.contents
    text = table(contents)
    write_text(pathlib.Path(WORKDIR.value) / "folds.md", text)
    print(f"\n{text}", end="")


if __name__ == "__main__":
    command_line.run(main)
