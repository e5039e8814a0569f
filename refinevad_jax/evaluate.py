"""Evaluates a trained run on a split.

  python -m refinevad_jax.evaluate --workdir=runs/ucf
  python -m refinevad_jax.evaluate --workdir=runs/ucf --split=val --step=last
  python -m refinevad_jax.evaluate --workdir=runs/ucf --dataset=other --data_dir=data

The run remembers its data set and settings. Results go to
WORKDIR/eval/<dataset>-<split>-<step>/: metrics.json, scores.npz, videos.csv, and score curves.
"""

import pathlib

from absl import flags

from refinevad_jax import command_line
from refinevad_jax.errors import UserError

WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run, as given to refinevad_jax.main.")
SPLIT = flags.DEFINE_string("split", "test", "Split to evaluate.")
STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, last, or a step number.")
DATASET = flags.DEFINE_string("dataset", "", "Data set; that of the run when not given.")
DATA_DIR = flags.DEFINE_string("data_dir", "", "Where it lies; as in the run when not given.")
NUM_SEGMENTS = flags.DEFINE_integer(
    "num_segments",
    None,
    "Segments each video is resampled to, 0 for the full sequence; as in the run when not given.",
    lower_bound=0,
    upper_bound=100_000,
)
NUM_CURVES = flags.DEFINE_integer("num_curves", 12, "Score curves to draw.", lower_bound=0)
ALLOW_MISMATCH = flags.DEFINE_bool(
    "allow_mismatch", False, "Accept features of another encoder than the run was trained on."
)


def main() -> None:
    """Restores, scores, measures and writes."""
    from refinevad_jax import compilation_cache
    from refinevad_jax.evaluation import run_evaluation

    if not WORKDIR.value:
        raise UserError("--workdir=FOLDER is needed: the folder of a trained run")
    compilation_cache.enable()
    run_evaluation.evaluate(
        pathlib.Path(WORKDIR.value),
        split=SPLIT.value,
        step=STEP.value,
        dataset=DATASET.value,
        data_dir=DATA_DIR.value,
        num_segments=NUM_SEGMENTS.value,
        num_curves=NUM_CURVES.value,
        allow_mismatch=ALLOW_MISMATCH.value,
    )


if __name__ == "__main__":
    command_line.run(main)
