r"""Trains and evaluates every row of the ablation ladder, several seeds each, into one table.

  python -m refinevad_jax.ladder --config=ucf_text --split=val
  python -m refinevad_jax.ladder --config=ucf_text --split=val --workdir=runs/ladder \
      --rows=base,constant-shift --config.num_seeds=5
  python -m refinevad_jax.ladder --config=ucf_text --list

The configuration is the full model; each row changes a part of it (docs/method.md, section 7). The
same command goes on where it was stopped. The workdir receives one run per row, and ladder.md,
ladder.csv and ladder.html: mean and spread, differences with intervals over seeds and videos, what
does not help, and probes of the full row (`evaluate --probes`).
"""

import pathlib

from absl import flags

from refinevad_jax.errors import UserError
from refinevad_jax.runtime import command_line

CONFIG = command_line.config_flag()
WORKDIR = flags.DEFINE_string(
    "workdir",
    "",
    "Folder of all runs; made if needed. If not given: runs/NAME_ladder for "
    "--config=configs/NAME.py, runs/NAME_DATASET_ladder if --config.data.dataset is not the "
    "file's own.",
)
ROWS = flags.DEFINE_list("rows", [], "Rows to run in addition to full; all if not given.")
SPLIT = flags.DEFINE_string("split", "test", "Split to evaluate; never used to select.")
LIST = flags.DEFINE_bool("list", False, "Print the rows and what they mean; needs no data.")
CACHE = command_line.cache_flag()


def main() -> None:
    """Runs the rows and writes the table."""
    from refinevad_jax import config
    from refinevad_jax.data.bags import read_info
    from refinevad_jax.evaluation.probed_seeds import probe_seeds
    from refinevad_jax.experiments import grid, ladder_rows
    from refinevad_jax.files.staged import require_writable
    from refinevad_jax.report import ladder_table
    from refinevad_jax.runtime.compiler import enable_cache

    settings = CONFIG.value
    config.validate(settings)
    if ROWS.present and not ROWS.value:
        raise UserError("--rows= names no row; leave the flag out for all, --list prints them")
    if LIST.value:
        listed = ladder_rows.ladder(settings, [], ROWS.value)
        print(ladder_rows.listing(listed, ladder_rows.left_out(settings, [])))
        return
    folder = pathlib.Path(WORKDIR.value or f"{command_line.default_workdir()}_ladder")
    require_writable("workdir", folder)
    info = read_info(settings.data.data_dir, settings.data.dataset)
    modalities = [item.name for item in info.modalities]
    rows = ladder_rows.ladder(settings, modalities, ROWS.value)
    enable_cache(CACHE.value)
    print(f"workdir: {folder}", flush=True)
    results = grid.run_rows(settings, rows, folder, split=SPLIT.value)
    found = [
        ladder_table.LadderRow(row.name, row.part, row.paper_auc, result.contents, result.drawn)
        for row, result in zip(rows, results, strict=True)
    ]
    base, full = ladder_rows.BASE, ladder_rows.FULL
    has_core = settings.model.injection != "none"
    probes = None
    if has_core:
        beside = grid.evaluation_name(settings, SPLIT.value)
        probes = probe_seeds(folder / full, split=SPLIT.value, beside=beside)
    note = ladder_rows.left_out(settings, modalities)
    print(ladder_table.write(folder, found, base=base, full=full, probes=probes, note=note))
    print(f"{folder}: ladder.md, ladder.csv, ladder.html")


if __name__ == "__main__":
    command_line.run(main)
