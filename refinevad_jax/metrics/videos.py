"""Video-level category metrics: arrays in, floats out.

V videos, C anomaly categories; a normal video has no True label. Video-level AUC and AP need no
function of their own: they are `frame_metrics.roc_auc` and `average_precision` with one truth and
one score per video.
"""

import numpy as np

from refinevad_jax.metrics.frames import average_precision


def category_accuracy(category_probs: np.ndarray, labels: np.ndarray) -> float:
    """Share of the anomalous videos whose most probable category is among their labels.

    category_probs: [V, C]; labels: [V, C] bool. Normal videos do not count; nan where no video is
    anomalous. A tie goes to the first category.
    """
    category_probs, labels = _checked(category_probs, labels)
    anomalous = labels.any(axis=1)
    if not anomalous.any():
        return float("nan")
    chosen = category_probs[anomalous].argmax(axis=1)
    return float(np.mean(labels[anomalous, chosen]))


def category_average_precisions(category_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Average precision of every category over all videos, normal ones being negatives.

    category_probs: [V, C]; labels: [V, C] bool. Returns [C], nan for a category without a video.
    """
    category_probs, labels = _checked(category_probs, labels)
    pairs = zip(labels.T, category_probs.T, strict=True)
    return np.array([average_precision(truth, probs) for truth, probs in pairs])


def category_mean_average_precision(category_probs: np.ndarray, labels: np.ndarray) -> float:
    """Mean of category_average_precisions over the categories that have a video.

    category_probs: [V, C]; labels: [V, C] bool. nan where no video is anomalous.
    """
    values = category_average_precisions(category_probs, labels)
    present = ~np.isnan(values)
    return float(values[present].mean()) if present.any() else float("nan")


def confusion_matrix(category_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts label (row) against most probable category (column).

    category_probs: [V, C]; labels: [V, C] bool. Returns [C, C] int. Only videos with exactly one
    label are counted: normal and multi-label videos have no single row.
    """
    category_probs, labels = _checked(category_probs, labels)
    num_categories = labels.shape[1]
    single = labels.sum(axis=1) == 1
    rows, columns = labels[single].argmax(axis=1), category_probs[single].argmax(axis=1)
    cells = np.bincount(rows * num_categories + columns, minlength=num_categories**2)
    return cells.reshape(num_categories, num_categories)


def _checked(category_probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    category_probs, labels = np.asarray(category_probs), np.asarray(labels, bool)
    if labels.ndim != 2 or category_probs.shape != labels.shape:
        raise ValueError(
            f"category_probs {category_probs.shape} and labels {labels.shape}: both must be [V, C]"
        )
    if np.isnan(category_probs).any():
        raise ValueError(f"video {np.isnan(category_probs).any(axis=1).argmax()}: NaN probability")
    return category_probs, labels
