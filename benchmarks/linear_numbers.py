"""What the linear system has on the splits of a task, as a table."""

import numpy as np

from benchmarks import linear_mil
from benchmarks.peer_numbers import numbers, report
from benchmarks.peers import Task, read_reported


def run_linear(
    task: Task,
    standardize: bool = True,
    smoothing: float = 0.0,
    strength: float | None = None,
    *,
    from_median: bool = False,
) -> str:
    """The table; the choice of C is printed. The arguments are the flags."""
    info, train, held = read_reported(task)
    deviations = linear_mil.from_median if from_median else np.asarray
    given = deviations(train.features)
    standard = linear_mil.Standard.of(given) if standardize else np.asarray
    features, anomalous = standard(given), train.anomalous
    if strength is None:
        groups = linear_mil.groups_of(train.bags)
        strength, aucs = linear_mil.choose_strength(features, anomalous, groups, smoothing)
        found = ", ".join(f"{value:g}: {auc:.3f}" for value, auc in aucs.items())
        print(f"video AUC of training videos left out, by C: {found}", flush=True)
    model = linear_mil.fit(features, anomalous, strength)
    rows = {}
    for split, videos in held.items():
        values = linear_mil.logits(model, standard(deviations(videos.features)))
        values = linear_mil.smoothed(values, model.intercept_[0], smoothing)
        probs = linear_mil.category_probs(train.features, train.labels, videos.features)
        scores, video_scores = linear_mil.scores(values)
        rows[split] = [numbers(info, videos.bags, scores, video_scores, probs)]
        task.save(f"linear-{info.name}-{split}", videos, scores)
    settings = {
        "system": "linear",
        "dataset": task.dataset,
        "split": task.split,
        "num_segments": task.num_segments,
        "standardize": standardize,
        "from_median": from_median,
        "smoothing": smoothing,
        "strength": strength,
    }
    title = f"\nlinear, {info.name}, {task.num_segments} bins, C {strength:g}\n\n"
    return title + report("linear", rows, settings)
