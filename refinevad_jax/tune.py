r"""Fits a configuration to a data set by one rule, and writes it as a file.

  python -m refinevad_jax.tune --config=own --config.data.dataset=NAME
  python -m refinevad_jax.main --config=runs/own_NAME_tune/tuned.py --workdir=runs/NAME

Trains on the training split alone, in folds of whole recordings, and compares a few candidates by
the video-level AUC of the folds left out: how features are scaled, or, where most videos state a
recording (camera, film) that others share, compared with it; whether neighbouring segments are
mixed; a linear scorer in place of the network; how many steps. A candidate is taken if it is better
by a standard error, and not worse by one within single recordings. Frame truth and other splits are
not read. The same command goes on where it was stopped. The workdir receives tune.md, what was
tried and how sure it is, and tuned.py.
"""

import pathlib

from absl import flags

from refinevad_jax.runtime import command_line

CONFIG = command_line.config_flag()
WORKDIR = flags.DEFINE_string(
    "workdir",
    "",
    "Folder of the results; made if needed. If not given: runs/NAME_tune for "
    "--config=configs/NAME.py, runs/NAME_DATASET_tune if --config.data.dataset is not the file's "
    "own.",
)
FOLDS = flags.DEFINE_integer("folds", 5, "Parts that are left out in turn.", lower_bound=2)
REPEATS = flags.DEFINE_integer(
    "repeats", 2, "Times that folds and first parameters are drawn.", lower_bound=1
)
CACHE = command_line.cache_flag()


def main() -> None:
    """Tries the candidates and writes what was chosen."""
    from refinevad_jax import config as config_lib
    from refinevad_jax.data.bags import read_info, read_split
    from refinevad_jax.experiments import tune_table
    from refinevad_jax.experiments.tuning import Tuning
    from refinevad_jax.files.staged import locked, require_writable
    from refinevad_jax.runs.run import Run
    from refinevad_jax.runtime import commands
    from refinevad_jax.runtime.compiler import enable_cache

    config = CONFIG.value
    config_lib.validate(config)
    data = config.data
    info = read_info(data.data_dir, data.dataset)
    bags = read_split(data.data_dir, data.dataset, data.train_split, memory_gb=data.host_limit_gb)
    if note := Run(config, info).inputs_note(bags, data.train_split):
        print(note, flush=True)
    folder = pathlib.Path(WORKDIR.value or f"{command_line.default_workdir()}_tune")
    require_writable("workdir", folder)
    enable_cache(CACHE.value)
    print(f"workdir: {folder}", flush=True)
    with locked(folder):
        tuning = Tuning(
            config,
            info,
            bags,
            folder / "tried",
            num_folds=FOLDS.value,
            num_repeats=REPEATS.value,
        )
        chosen, tried = tuning.run()
        config_lib.validate(chosen)
        print(tune_table.write(folder, config, chosen, tried, tuning))
    print(f"{folder}: tune.md, tuned.py")
    run = folder.resolve().with_name(f"{folder.name.removesuffix('_tune')}_tuned")
    words = [f"--config={folder / 'tuned.py'}", f"--workdir={run}"]
    print(f"next: {commands.spell('train', *words)}")


if __name__ == "__main__":
    command_line.run(main)
