"""Writes a trained scoring function, weights included, as one file for other programs.

  python -m refinevad_jax.export --workdir=runs/ucf --output=ucf.bin

The file is StableHLO as written by jax.export: it runs with jax alone, on CPU, GPU and TPU, any
batch and 2 to 2048 segments. FILE.json beside it says what goes in and what comes out.
"""

import pathlib

from absl import flags

from refinevad_jax.errors import UserError
from refinevad_jax.runtime import command_line

WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run, as given to refinevad_jax.main.")
STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, last, or a step number.")
OUTPUT = flags.DEFINE_string("output", "", "File to write; an earlier one is replaced.")


def main() -> None:
    """Restores and exports."""
    if not WORKDIR.value or not OUTPUT.value:
        raise UserError("--workdir=FOLDER (a trained run) and --output=FILE are needed")
    from refinevad_jax.runs import exported

    output = pathlib.Path(OUTPUT.value)
    description = exported.export(pathlib.Path(WORKDIR.value), output, step=STEP.value)
    print(f"{output}: step {description['step']}, {output.stat().st_size / 1e6:.1f} MB")
    print(f"{output}.json: {description['inputs']['features']} in; see docs/scaling.md")


if __name__ == "__main__":
    command_line.run(main)
