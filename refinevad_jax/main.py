"""Trains RefineVAD.

  python -m refinevad_jax.main --config=ucf --workdir=runs/ucf
  python -m refinevad_jax.main --config=ucf --workdir=runs/ucf_seed1 --config.seed=1

The same command continues an interrupted run from its last checkpoint and ends with the same
numbers. Every key of refinevad_jax/config.py can be set by --config.<group>.<key>=<value>.
The workdir receives config.json, metrics.jsonl and checkpoints/; evaluate it with
python -m refinevad_jax.evaluate --workdir=WORKDIR.
"""

import pathlib

from absl import flags

from refinevad_jax.runtime import command_line

CONFIG = command_line.config_flag()
WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Folder of the run, for checkpoints and metrics; made if needed.",
    required=True,
)
COORDINATOR = flags.DEFINE_string(
    "coordinator", "", 'With several processes: HOST:PORT of the first, or "auto" on a cluster.'
)
NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes train together.", 1)
PROCESS_ID = flags.DEFINE_integer("process_id", None, "This one's number, from 0; 0 writes.", 0)
CACHE = command_line.cache_flag()


def main() -> None:
    """Checks the configuration and trains."""
    from refinevad_jax import config
    from refinevad_jax.runtime import processes
    from refinevad_jax.runtime.compiler import enable_cache
    from refinevad_jax.training import loop

    settings = CONFIG.value
    config.validate(settings)
    enable_cache(CACHE.value)
    processes.connect(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
    loop.train(settings, pathlib.Path(WORKDIR.value))
    print(f"next: {loop.next_command(settings, WORKDIR.value)}")


if __name__ == "__main__":
    command_line.run(main)
