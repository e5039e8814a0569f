"""From logits to probabilities: Platt scaling, the Brier score, reliability.

Arrays in, floats out. V videos.
"""

import math

import numpy as np

NUM_BINS = 10  # of reliability


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logits)) in float64, without overflow."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits, np.float64)))


def log_odds_of_mean(logits: np.ndarray) -> np.ndarray:
    """The logit of mean(sigmoid(logits)) over the first axis, also where the mean rounds to 1.

    logits: [N, ...]. Returns [...] float64.
    """
    logits = np.asarray(logits, np.float64)
    above = np.logaddexp.reduce(-np.logaddexp(0.0, -logits), axis=0)
    below = np.logaddexp.reduce(-np.logaddexp(0.0, logits), axis=0)
    return np.asarray(above - below)


def platt_scaling(logits: np.ndarray, anomalous: np.ndarray) -> tuple[float, float]:
    """Slope and offset such that sigmoid(slope * logit + offset) is a probability.

    Logistic regression of the label on the logit by Newton's method. The targets are (P + 1) /
    (P + 2) for the P anomalous videos and 1 / (N + 2) for the N normal ones, so that the solution
    is finite also if the logits separate them (Platt 1999; Lin, Lin and Weng 2007).
    logits: [V] finite; anomalous: [V] bool. Raises ValueError if all logits are equal.
    """
    logits, anomalous = np.asarray(logits, np.float64), np.asarray(anomalous, bool)
    center, spread = logits.mean(), logits.std()
    if not spread:
        raise ValueError("all logits are equal")
    design = np.stack([(logits - center) / spread, np.ones(len(logits))], axis=1)
    num_anomalous = int(anomalous.sum())
    num_normal = len(logits) - num_anomalous
    target = np.where(anomalous, (num_anomalous + 1) / (num_anomalous + 2), 1 / (num_normal + 2))

    def loss(weights: np.ndarray) -> float:
        values = design @ weights
        return float((np.logaddexp(0.0, values) - target * values).sum())

    weights = np.array([0.0, math.log((num_anomalous + 1) / (num_normal + 1))])
    for _ in range(100):
        probability = sigmoid(design @ weights)
        gradient = design.T @ (probability - target)
        if np.abs(gradient).max() < 1e-12 * len(logits):
            break
        curvature = probability * (1 - probability) + 1e-12
        step = np.linalg.solve((design * curvature[:, None]).T @ design, gradient)
        size = 1.0
        while loss(weights - size * step) > loss(weights) and size > 1e-9:
            size /= 2
        weights = weights - size * step
    slope = weights[0] / spread
    return float(slope), float(weights[1] - slope * center)


def brier_score(scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Mean of (score - label)^2 over videos, 0 is best; nan without videos.

    scores: [V] in [0, 1]; anomalous: [V] bool.
    """
    scores, anomalous = np.asarray(scores, np.float64), np.asarray(anomalous, bool)
    return float(np.mean((scores - anomalous) ** 2)) if len(scores) else math.nan


def reliability(scores: np.ndarray, anomalous: np.ndarray) -> list[dict[str, float]]:
    """What became of the videos whose score lies in each of ten equal bins of [0, 1].

    scores: [V] in [0, 1]; anomalous: [V] bool. Returns one row per bin: low, high, num_videos,
    mean_score and anomalous_share, the last two nan for an empty bin.
    """
    scores, anomalous = np.asarray(scores, np.float64), np.asarray(anomalous, bool)
    lies_in = np.minimum((scores * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    rows = []
    for index in range(NUM_BINS):
        inside = lies_in == index
        some = inside.any()
        rows.append(
            {
                "low": index / NUM_BINS,
                "high": (index + 1) / NUM_BINS,
                "num_videos": int(inside.sum()),
                "mean_score": float(scores[inside].mean()) if some else math.nan,
                "anomalous_share": float(anomalous[inside].mean()) if some else math.nan,
            }
        )
    return rows
