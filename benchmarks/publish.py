r"""Publishes a run as a small folder that detects; part of `make detector`.

  python -m benchmarks.publish --workdir=runs/detector --about=benchmarks/survfight_card.md \
      --output=refinevad_jax/detectors/survfight

The calibration and the evaluations of the checkpoint go with it, and thresholds for streams:
evaluate it on val and on val with --stream before. Detection takes its threshold from the
evaluation on val, or from what training stored.
"""

import pathlib

from absl import flags

from refinevad_jax.errors import as_damaged
from refinevad_jax.evaluation.model_card import publish
from refinevad_jax.runtime.command_line import run

WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run", required=True)
OUTPUT = flags.DEFINE_string("output", None, "folder to write", required=True)
ABOUT = flags.DEFINE_string("about", None, "Markdown file: the card's first part", required=True)
STEP = flags.DEFINE_string("step", "best", "checkpoint: best, last, or a step number")


def main() -> None:
    """Writes the folder and says what is in it."""
    about, output = pathlib.Path(ABOUT.value), pathlib.Path(OUTPUT.value)
    with as_damaged(f"--about={about}: cannot be read", OSError):
        text = about.read_text(encoding="utf-8")
    publish(pathlib.Path(WORKDIR.value), output, step=STEP.value, about=text)
    for path in sorted(output.iterdir()):
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    run(main)
