r"""Trains and evaluates rows of the ladder on every fold of a data set, into one table.

A fold is a data set of its own, NAME_0, NAME_1, ... (benchmarks.small_sets --set=ped2 makes ten);
--config.data.dataset is NAME. The same command goes on where it was stopped.

  python -m benchmarks.folds --config=configs/own.py --config.data.dataset=ped2 \
      --workdir=runs/ped2 --rows=base

Prints the mean and deviation over folds and seeds, and writes it to WORKDIR/folds.md. Training sets
of folds overlap, so the deviation of a mean is more than that over the root of their number.
"""

import copy
import itertools
import pathlib
from typing import Any

from absl import flags

from refinevad_jax.runtime import command_line

CONFIG = command_line.config_flag()
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of all runs; made if needed.", required=True)
ROWS = flags.DEFINE_list("rows", [], "Rows of the ladder in addition to full.")
CACHE = command_line.cache_flag()


def main() -> None:
    """Runs the folds and writes the table."""
    from refinevad_jax import config
    from refinevad_jax.data.bags import dataset_dir, read_info
    from refinevad_jax.experiments import grid, ladder_rows
    from refinevad_jax.files.staged import write_text
    from refinevad_jax.metrics import names
    from refinevad_jax.report.tables import markdown_table, spread
    from refinevad_jax.runtime.compiler import enable_cache

    settings = CONFIG.value
    config.validate(settings)
    enable_cache(CACHE.value)
    data_dir, name = settings.data.data_dir, settings.data.dataset
    every = (f"{name}_{fold}" for fold in itertools.count())
    folds = list(itertools.takewhile(lambda fold: dataset_dir(data_dir, fold).is_dir(), every))
    info = read_info(data_dir, folds[0] if folds else f"{name}_0")  # says what is missing
    rows = ladder_rows.ladder(
        settings, [one.name for one in info.modalities], ROWS.value or ["full"]
    )
    contents: dict[str, list[dict[str, Any]]] = {row.name: [] for row in rows}
    for fold in folds:
        own = copy.deepcopy(settings)
        own.data.dataset = fold
        found = grid.run_rows(own, rows, pathlib.Path(WORKDIR.value) / fold, split="test")
        for row, result in zip(rows, found, strict=True):
            contents[row.name] += result.contents
    shown = names.shown_in(names.RESULTS)
    cells = [
        [row, *(spread([metric.of(content) for content in found]) for metric in shown)]
        for row, found in contents.items()
    ]
    lines = markdown_table(["row", *(metric.title for metric in shown)], cells)
    lines += ["", f"{name}, {len(folds)} folds, split test, {settings.num_seeds} seeds each."]
    text = "\n".join(lines) + "\n"
    write_text(pathlib.Path(WORKDIR.value) / "folds.md", text)
    print(f"\n{text}", end="")


if __name__ == "__main__":
    command_line.run(main)
