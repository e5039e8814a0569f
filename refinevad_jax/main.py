"""Trains RefineVAD.

  python -m refinevad_jax.main --config=ucf
  python -m refinevad_jax.main --config=ucf --workdir=runs/ucf_seed1 --config.seed=1

The same command continues an interrupted run from its last checkpoint and ends with the same
numbers. A finished run goes on if --config.train.num_epochs grows. Every key of
refinevad_jax/config.py can be set by --config.<group>.<key>=<value>.
The workdir, runs/<configuration> if none is given, receives config.json, metrics.jsonl and
checkpoints/; evaluate it with python -m refinevad_jax.evaluate --workdir=WORKDIR.
"""

import gc
import pathlib

from absl import flags

from refinevad_jax.runs.trackers import TRACKERS, require_trackers
from refinevad_jax.runtime import command_line

CONFIG = command_line.config_flag()
WORKDIR = flags.DEFINE_string(
    "workdir",
    "",
    "Folder of the run, for checkpoints and metrics; made if needed. If not given: runs/NAME for "
    "--config=configs/NAME.py, runs/NAME_DATASET if --config.data.dataset is not the file's own.",
)
COORDINATOR = flags.DEFINE_string(
    "coordinator", "", 'With several processes: HOST:PORT of the first, or "auto" on a cluster.'
)
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes train together.", 1)
PROCESS_ID = flags.DEFINE_integer(
    "process_id", None, "Index of this process, from 0; process 0 writes checkpoints.", 0
)
TRACKER = flags.DEFINE_multi_enum(
    "trackers",
    [],
    TRACKERS,
    "Send the rows of metrics.jsonl to wandb (an offline run in the workdir) or mlflow (a local "
    "store in the workdir) too; may be given several times. TensorBoard needs no flag.",
)
CACHE = command_line.cache_flag()


def main() -> None:
    """Checks the configuration and trains."""
    gc.disable()  # until the first step: what is made before it stays, and is made faster
    from refinevad_jax import config
    from refinevad_jax.runtime import processes
    from refinevad_jax.runtime.compiler import enable_cache
    from refinevad_jax.training import kept_step, loop

    settings = CONFIG.value
    config.validate(settings)
    trackers = tuple(dict.fromkeys(TRACKER.value))
    require_trackers(trackers)
    enable_cache(CACHE.value)
    kept_step.keep()
    processes.connect(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
    workdir = WORKDIR.value or command_line.default_workdir()
    loop.train(settings, pathlib.Path(workdir), trackers)
    print(f"next: {loop.next_command(settings, workdir)}")


if __name__ == "__main__":
    command_line.run(main)
