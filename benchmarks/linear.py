"""Logistic regression by multiple-instance learning on the same bags as ours: what to be ahead of.

Features are standardised over the training segments (clip ± 10). The first round gives every
segment the label of its video, the next two take the highest fifth of an anomalous video for
anomalous. The strength of the penalty is chosen by the video AUC of training videos left out, five
folds, recordings left out whole; nothing is chosen on --split. Categories are a logistic regression
on the mean and maximum of each channel over a video. Of several crops the first is read.

    python -m benchmarks.linear --data_dir=data --dataset=mitbih --split=val,test

Prints a table and, as the last line, the same numbers as JSON. It has no seeds and no steps.
"""

import numpy as np
from absl import flags

from benchmarks import linear_mil, peers
from benchmarks.peer_numbers import numbers, report
from refinevad_jax.runtime.command_line import run

peers.data_flags()
STANDARDIZE = flags.DEFINE_bool("standardize", True, "Standardise the features.")
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
    print(run_linear(task, STANDARDIZE.value, SMOOTHING.value, STRENGTH.value))


def run_linear(
    task: peers.Task,
    standardize: bool = True,
    smoothing: float = 0.0,
    strength: float | None = None,
) -> str:
    """The table; the choice of C is printed. The arguments are the flags."""
    info, train, held = peers.read_reported(task)
    standard = linear_mil.Standard.of(train.features) if standardize else np.asarray
    features, anomalous = standard(train.features), train.anomalous
    if strength is None:
        groups = linear_mil.groups_of(train.bags)
        strength, aucs = linear_mil.choose_strength(features, anomalous, groups, smoothing)
        found = ", ".join(f"{value:g}: {auc:.3f}" for value, auc in aucs.items())
        print(f"video AUC of training videos left out, by C: {found}", flush=True)
    model = linear_mil.fit(features, anomalous, strength)
    rows = {}
    for split, videos in held.items():
        values = linear_mil.logits(model, standard(videos.features))
        values = linear_mil.smoothed(values, model.intercept_[0], smoothing)
        probs = linear_mil.category_probs(train.features, train.labels, videos.features)
        rows[split] = [numbers(info, videos.bags, *linear_mil.scores(values), probs)]
    settings = {
        "system": "linear",
        "dataset": task.dataset,
        "split": task.split,
        "num_segments": task.num_segments,
        "standardize": standardize,
        "smoothing": smoothing,
        "strength": strength,
    }
    title = f"\nlinear, {info.name}, {task.num_segments} bins, C {strength:g}\n\n"
    return title + report("linear", rows, settings)


if __name__ == "__main__":
    run(main)
