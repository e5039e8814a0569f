"""Logistic regression by multiple-instance learning on the same bags as ours: what to be ahead of.

Features are standardised over the training segments (clip ± 10). The first round gives every
segment the label of its video, the next two take the highest fifth of an anomalous video for
anomalous. The strength of the penalty is chosen by the video AUC of training videos left out, five
folds, recordings left out whole; nothing is chosen on --split. Categories are a logistic regression
on the mean and maximum of each channel over a video. Of several crops the first is read.

    python -m benchmarks.linear --data_dir=data --dataset=mitbih --split=val,test

Prints a table and, as the last line, the same numbers as JSON. It has no seeds and no steps.
"""

from absl import flags

from benchmarks import peers
from benchmarks.linear_numbers import NORMALIZATIONS, run_linear
from refinevad_jax.runtime.command_line import run

peers.data_flags()
NORMALIZATION = flags.DEFINE_enum(
    "normalization",
    "training",
    NORMALIZATIONS,
    "training: standardise the features; video, recording: take each segment less the median of "
    "its video, or of all videos of its recording in the split, then standardise; none: neither.",
)
SMOOTHING = flags.DEFINE_float(
    "smoothing",
    0.0,
    "Share of a video by which logits are smoothed as config.model.score_smoothing does; 0: none.",
    lower_bound=0.0,
    upper_bound=1.0,
)
STRENGTH = flags.DEFINE_float(
    "strength", None, "C of scikit-learn; if not given, it is chosen.", lower_bound=1e-9
)


def main() -> None:
    """Chooses, fits, prints."""
    task = peers.Task.of_flags()
    found = run_linear(
        task,
        NORMALIZATION.value,
        SMOOTHING.value,
        STRENGTH.value,
    )
    print(found)


if __name__ == "__main__":
    run(main)
