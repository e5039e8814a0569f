"""A linear classifier of segments by multiple-instance learning, and one of pooled features.

Both are logistic regression of scikit-learn: the simplest systems that a network has to beat.
V videos, T segments, C categories, D channels.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax.data.bags import Bag
from refinevad_jax.metrics.calibration import sigmoid
from refinevad_jax.metrics.frames import rank

ROUNDS = 3
TOP_SHARE = 0.2  # of an anomalous video's segments, taken for anomalous
CLIP = 10.0  # deviations
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # C of scikit-learn: the inverse of the penalty
FOLDS = 5
CATEGORY_STRENGTH = 1e-2  # on text and ECG 0.01 to 0.1 are level in five folds of training videos
MAX_STEPS = 300


@dataclasses.dataclass(frozen=True)
class Standard:
    """Mean and deviation of every channel, [D] each."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Standard":
        """Over all segments of [V, T, D]; a channel that does not vary keeps its unit."""
        rows = features.reshape(-1, features.shape[-1]).astype(np.float64)
        deviation = rows.std(axis=0)
        return cls(rows.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """[..., D] float32 in deviations from the mean, clipped at ± 10."""
        values = (features - self.mean) / self.deviation
        return np.clip(values, -CLIP, CLIP).astype(np.float32)


def from_median(features: np.ndarray) -> np.ndarray:
    """[V, T, D] less the median over T of each video, as config.data.normalization="video"."""
    return features - np.median(features, axis=1, keepdims=True)


def top_mean(values: np.ndarray) -> np.ndarray:
    """[V] mean of the highest fifth of [V, T], of at least one segment."""
    return np.sort(values, axis=1)[:, -_num_top(values.shape[1]) :].mean(axis=1)


def _num_top(num_segments: int) -> int:
    return max(1, round(TOP_SHARE * num_segments))


def logits(model: Any, features: np.ndarray) -> np.ndarray:
    """[V, T] of a fitted logistic regression, for [V, T, D]."""
    found = model.decision_function(features.reshape(-1, features.shape[-1]))
    return np.asarray(found).reshape(features.shape[:2])


def fit(features: np.ndarray, anomalous: np.ndarray, strength: float) -> Any:
    """Logistic regression of segments: features [V, T, D], anomalous [V] bool.

    In the first round every segment has the label of its video. In each later one an anomalous
    video is its highest fifth by the round before; normal videos are taken whole.
    """
    from sklearn.linear_model import LogisticRegression

    kept = np.ones(features.shape[:2], bool)
    labels = np.broadcast_to(anomalous[:, None], kept.shape)
    model = LogisticRegression(C=strength, max_iter=MAX_STEPS, warm_start=True)
    for left in reversed(range(ROUNDS)):
        model.fit(features[kept], labels[kept])
        if left:
            found = logits(model, features)
            highest = np.argsort(-found, axis=1, kind="stable")[:, : _num_top(found.shape[1])]
            kept = np.repeat(~anomalous[:, None], found.shape[1], axis=1)
            np.put_along_axis(kept, highest, True, axis=1)
    return model


def smoothed(values: np.ndarray, beyond: float, share: float) -> np.ndarray:
    """Logits [V, T] after the network's smoothing by a share of the video; 0 leaves them.

    beyond: the logit before and after a video, that of a segment whose features are 0.
    """
    if not share:
        return values
    from refinevad_jax.model.scorer import exponential_smoothing

    valid = np.ones(values.shape, bool)
    edges = np.full(len(values), beyond)
    found = exponential_smoothing(values, valid, share=share, beyond=edges)
    return np.asarray(found, np.float64)


def groups_of(bags: Sequence[Bag]) -> np.ndarray:
    """[V] int, the recording of each video, or the video itself if none is stated."""
    names = [bag.recording or bag.video_id for bag in bags]
    return np.unique(names, return_inverse=True)[1]


def choose_strength(
    features: np.ndarray, anomalous: np.ndarray, groups: np.ndarray, share: float
) -> tuple[float, dict[float, float]]:
    """C by the video AUC of videos left out, all folds together; recordings are left out whole.

    features: [V, T, D]; groups: [V]; share: of the smoothing. Of equals the stronger penalty is
    taken. Returns it, and the AUC of each.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    folds = min(FOLDS, len(np.unique(groups)))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    parts = list(splitter.split(np.zeros(len(groups)), anomalous, groups))
    aucs = {}
    for strength in STRENGTHS:
        found = np.zeros(len(groups))
        for trained, left_out in parts:
            model = fit(features[trained], anomalous[trained], strength)
            values = logits(model, features[left_out])
            found[left_out] = top_mean(smoothed(values, model.intercept_[0], share))
        aucs[strength] = rank(anomalous, found).roc_auc()
    return max(aucs, key=lambda strength: aucs[strength]), aucs


def category_probs(features: np.ndarray, labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which category, by logistic regression on mean and maximum of each channel over a video.

    features: [V, T, D] of training videos, labels: [V, C] bool, of which anomalous ones are read;
    a video of several categories counts once for each. others: [W, T, D]. Returns [W, C], rows
    summing to 1.
    """
    from sklearn.linear_model import LogisticRegression

    train, held = _pooled(features), _pooled(others)
    standard = Standard.of(train[:, None])
    video, category = np.nonzero(labels)
    found = np.zeros((len(others), labels.shape[1]))
    if len(np.unique(category)) == 1:
        found[:, category[0]] = 1.0
        return found
    model = LogisticRegression(C=CATEGORY_STRENGTH, max_iter=MAX_STEPS)
    model.fit(standard(train)[video], category, sample_weight=1 / labels.sum(axis=1)[video])
    found[:, model.classes_] = model.predict_proba(standard(held))
    return found


def _pooled(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features.mean(axis=1), features.max(axis=1)], axis=1)


def scores(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores [V, T] and video scores [V] of logits [V, T]."""
    return sigmoid(values), sigmoid(top_mean(values))
