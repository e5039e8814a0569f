"""Writes a trained scoring function, weights included, as one file for other programs.

  python -m refinevad_jax.export --workdir=runs/ucf --output=ucf.bin

The file is StableHLO as jax.export writes it: it runs with jax alone, on CPU, GPU and TPU, for any
batch size and 2 to 2048 segments. FILE.json beside it says what goes in and what comes out.
"""

import pathlib

from absl import flags

from refinevad_jax.runtime import command_line

WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run, as given to refinevad_jax.main.", required=True
)
OUTPUT = flags.DEFINE_string(
    "output", None, "File to write; an earlier one is replaced.", required=True
)
STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, last, or a step number.")


def main() -> None:
    """Restores and exports."""
    from refinevad_jax.runs import exported

    output = pathlib.Path(OUTPUT.value)
    description = exported.export(pathlib.Path(WORKDIR.value), output, step=STEP.value)
    print(f"{output}: step {description['step']}, {output.stat().st_size / 1e6:.1f} MB")
    print(f"{output}.json: {description['inputs']['features']} in; see docs/scaling.md")


if __name__ == "__main__":
    command_line.run(main)
