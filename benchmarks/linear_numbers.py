"""What the linear system has on the splits of a task, as a table."""

import numpy as np

from benchmarks import linear_mil
from benchmarks.peer_numbers import numbers, report, resampled
from benchmarks.peers import Task, Videos, read_reported
from refinevad_jax.data.recordings import from_recordings, in_company

NORMALIZATIONS = ["none", "training", "video", "recording"]


def run_linear(
    task: Task,
    normalization: str = "training",
    smoothing: float = 0.0,
    strength: float | None = None,
) -> str:
    """The table; the choice of C is printed. The arguments are the flags."""
    info, train, held = read_reported(task)
    widths = [modality.width for modality in info.modalities]

    def inputs(videos: Videos) -> np.ndarray:
        """[V, T, D], not standardised yet."""
        if normalization == "recording":
            return resampled(from_recordings(videos.bags, widths), task.num_segments)
        by_video = normalization == "video"
        return linear_mil.from_median(videos.features) if by_video else videos.features

    if normalization == "recording" and not in_company(train.bags):
        print("no recording has two training videos: each is taken less its own median")
    given = inputs(train)
    standard = np.asarray if normalization == "none" else linear_mil.Standard.of(given)
    features, anomalous = standard(given), train.anomalous
    if strength is None:
        groups = linear_mil.groups_of(train.bags)
        strength, aucs = linear_mil.choose_strength(features, anomalous, groups, smoothing)
        found = ", ".join(f"{value:g}: {auc:.3f}" for value, auc in aucs.items())
        print(f"video AUC of training videos left out, by C: {found}", flush=True)
    model = linear_mil.fit(features, anomalous, strength)
    rows = {}
    for split, videos in held.items():
        values = linear_mil.logits(model, standard(inputs(videos)))
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
        "normalization": normalization,
        "smoothing": smoothing,
        "strength": strength,
    }
    title = f"\nlinear, {info.name}, {task.num_segments} bins, C {strength:g}\n\n"
    return title + report("linear", rows, settings)
