"""Video-level category metrics: arrays in, floats out.

V videos, C anomaly categories; a normal video has no True label. Video-level AUC and AP are
`frames.roc_auc` and `frames.average_precision` with one truth and one score per video.
"""

import numpy as np

from refinevad_jax.metrics.frames import average_precision


def category_accuracy(category_probs: np.ndarray, labels: np.ndarray) -> float:
    """Share of the anomalous videos whose most probable category is among their labels.

    category_probs: [V, C]; labels: [V, C] bool. Normal videos do not count; nan if no video is
    anomalous. A tie goes to the first category. Raises ValueError for other shapes and for NaN.
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
    Raises ValueError as category_accuracy does.
    """
    category_probs, labels = _checked(category_probs, labels)
    pairs = zip(labels.T, category_probs.T, strict=True)
    return np.array([average_precision(truth, probs) for truth, probs in pairs])


def category_mean_average_precision(category_probs: np.ndarray, labels: np.ndarray) -> float:
    """Mean of category_average_precisions over the categories that have a video.

    category_probs: [V, C]; labels: [V, C] bool. nan if no video is anomalous. Raises ValueError as
    category_accuracy does.
    """
    return mean_of_defined(category_average_precisions(category_probs, labels))


def mean_of_defined(values: np.ndarray) -> float:
    """Mean of what is not nan; nan if nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _checked(category_probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    category_probs, labels = np.asarray(category_probs), np.asarray(labels, bool)
    if labels.ndim != 2 or category_probs.shape != labels.shape:
        raise ValueError(
            f"category_probs {category_probs.shape} and labels {labels.shape}: both must be [V, C]"
        )
    if np.isnan(category_probs).any():
        raise ValueError(f"video {np.isnan(category_probs).any(axis=1).argmax()}: NaN probability")
    return category_probs, labels
