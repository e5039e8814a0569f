"""Logistic regression by multiple-instance learning on the same bags as ours: what to be ahead of.

Features are standardised over the training segments (clip ± 10). The first round gives every
segment the label of its video, the next two take the highest fifth of an anomalous video for
anomalous. The strength of the penalty is chosen by the video AUC of training videos left out, five
folds, recordings left out whole; nothing is chosen on --split. Categories are a logistic regression
on the mean and maximum of each channel over a video. Of several crops the first is read.

    python -m benchmarks.linear --data_dir=data --dataset=mitbih --split=test

Prints a table and, as the last line, the same numbers as JSON. There are no seeds.
"""

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


def main() -> None:
    """Chooses, fits, prints."""
    info, train, held = peers.read_reported()
    features, others = train.features, held.features
    if STANDARDIZE.value:
        standard = linear_mil.Standard.of(features)
        features, others = standard(features), standard(others)
    share, anomalous = SMOOTHING.value, train.anomalous
    groups = linear_mil.groups_of(train.bags)
    strength, aucs = linear_mil.choose_strength(features, anomalous, groups, share)
    found = ", ".join(f"{value:g}: {auc:.3f}" for value, auc in aucs.items())
    print(f"video AUC of videos left out, by C: {found}", flush=True)
    model = linear_mil.fit(features, anomalous, strength)
    values = linear_mil.logits(model, others)
    values = linear_mil.smoothed(values, model.intercept_[0], share)
    probs = linear_mil.category_probs(train.features, train.labels, held.features)
    row = numbers(info, held.bags, *linear_mil.scores(values), probs)
    settings = {
        "system": "linear",
        "strength": strength,
        "video_auc_left_out": {str(value): auc for value, auc in aucs.items()},
        **{
            key: getattr(flags.FLAGS, key)
            for key in ("dataset", "split", "num_segments", "standardize", "smoothing")
        },
    }
    print(f"\n{info.name} {flags.FLAGS.split!r}, {flags.FLAGS.num_segments} bins, C {strength:g}\n")
    print(report("linear", {"logistic regression": [row]}, settings))


if __name__ == "__main__":
    run(main)
