"""Frame metrics of the field: arrays in, floats out.

Every function takes truth [F] bool (frame is anomalous) and scores [F] (higher is more anomalous),
over all evaluated frames of all videos, one after the other in any order. Frames with equal scores
share a threshold, as in scikit-learn, whose numbers these are.

A number that is not defined is `nan`, never 0: the ROC needs frames of both classes, precision and
recall need an anomalous frame, false alarms need a normal one.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

ALARM_THRESHOLD = 0.5  # of the false alarms that papers report, and of detection by default


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Frames counted from the highest score down: one sort that all metrics share.

    Entry i says what a threshold at thresholds[i] lets through (score >= threshold).

    Attributes:
        thresholds: [M] distinct scores, descending.
        true_positives: [M] int64, anomalous frames let through.
        false_positives: [M] int64, normal frames let through.
    """

    thresholds: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray

    @property
    def num_positives(self) -> int:
        """Anomalous frames in all."""
        return int(self.true_positives[-1]) if len(self.true_positives) else 0

    @property
    def num_negatives(self) -> int:
        """Normal frames in all."""
        return int(self.false_positives[-1]) if len(self.false_positives) else 0

    def roc_auc(self) -> float:
        """Area under the ROC curve by the trapezoid rule, summed in integers and so exact."""
        pairs = self.num_positives * self.num_negatives
        if not pairs:
            return float("nan")
        steps = np.diff(self.false_positives, prepend=0)
        heights = self.true_positives + np.concatenate(([0], self.true_positives[:-1]))
        return int(np.dot(steps, heights)) / (2 * pairs)

    def average_precision(self) -> float:
        """Sum of precision times step of recall (`average_precision_score`)."""
        if not self.num_positives:
            return float("nan")
        steps = np.diff(self.true_positives, prepend=0)
        return float((steps * self.precision()).sum() / self.num_positives)

    def precision_recall_auc(self) -> float:
        """Area under the precision-recall curve by the trapezoid rule, from (0, 1) on.

        RTFM, UR-DMU, BN-WVAD, XDVioDet, PEL4VAD and PLOVAD call this AP.
        """
        if not self.num_positives:
            return float("nan")
        precision = np.concatenate(([1.0], self.precision()))
        recall = np.concatenate(([0], self.true_positives)) / self.num_positives
        return float(np.trapezoid(precision, recall))

    def precision(self) -> np.ndarray:
        """[M], the anomalous share of the frames let through."""
        return self.true_positives / (self.true_positives + self.false_positives)


def rank(truth: np.ndarray, scores: np.ndarray) -> Ranking:
    """Sorts the frames once.

    Raises ValueError if the shapes differ or a score is NaN, which has no place in an order.
    """
    truth, scores = _checked(truth, scores)
    # Two sorts of values and a merge take half the time of one sort that returns positions.
    return _merged(_sorted_runs(scores[truth]), _sorted_runs(scores[~truth]))


@dataclasses.dataclass(frozen=True)
class _Runs:
    """Scores in ascending order, equal ones joined: values [M] and how many of each [M]."""

    values: np.ndarray
    counts: np.ndarray


def _sorted_runs(scores: np.ndarray) -> _Runs:
    # Frames of one segment share a score: one entry per run is enough to sort.
    starts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1])[: len(scores)])
    if 2 * len(starts) > len(scores):
        values = np.sort(scores)
        return _joined(values, np.ones(len(values), np.int64))
    lengths = np.diff(starts, append=len(scores))
    order = np.argsort(scores[starts])
    return _joined(scores[starts][order], lengths[order])


def _joined(values: np.ndarray, counts: np.ndarray) -> _Runs:
    """Joins equal neighbours of values in ascending order."""
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)])
    if len(ends) == len(values):
        return _Runs(values, counts)
    return _Runs(values[ends], np.diff(np.cumsum(counts)[ends], prepend=0))


def _merged(positive: _Runs, negative: _Runs) -> Ranking:
    """The ranking of anomalous and normal frames that were sorted apart."""
    values = np.concatenate([positive.values, negative.values])
    # Stable: it merges parts that are already in order instead of sorting again.
    order = np.argsort(values, kind="stable")[::-1]
    descending = values[order]
    last_of_ties = np.append(descending[1:] != descending[:-1], True)[: len(order)]
    counts = np.concatenate([positive.counts, negative.counts])[order]
    true_positives = np.cumsum(np.where(order < len(positive.values), counts, 0))[last_of_ties]
    return Ranking(
        thresholds=descending[last_of_ties],
        true_positives=true_positives,
        false_positives=np.cumsum(counts)[last_of_ties] - true_positives,
    )


def _areas(positive: _Runs, negatives: Sequence[_Runs]) -> tuple[float, float]:
    """AUC and AP of Ranking, from the scores of anomalous frames alone: they are few.

    negatives: the normal frames, sorted in any number of parts.
    """
    below = np.zeros(len(positive.values), np.int64)
    at_or_below, num_negatives = below.copy(), 0
    for part in negatives:
        counts = np.concatenate(([0], np.cumsum(part.counts)))
        below += counts[np.searchsorted(part.values, positive.values, side="left")]
        at_or_below += counts[np.searchsorted(part.values, positive.values, side="right")]
        num_negatives += int(counts[-1])
    num_positives = int(positive.counts.sum())
    if not num_positives:
        return float("nan"), float("nan")
    true_positives = np.cumsum(positive.counts[::-1])[::-1]
    precision = true_positives / (true_positives + num_negatives - below)
    average_precision = float((positive.counts * precision).sum() / num_positives)
    if not num_negatives:
        return float("nan"), average_precision
    won_twice = int(np.dot(positive.counts, below + at_or_below))
    return won_twice / (2 * num_positives * num_negatives), average_precision


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, in [0, 1]; nan if a class is absent."""
    return rank(truth, scores).roc_auc()


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Average precision as a sum of steps, in [0, 1]; nan if no frame is anomalous.

    VadCLIP, DSANet, LaGoVAD and AnomalyCLIP call this AP.
    """
    return rank(truth, scores).average_precision()


def roc_curve(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positive rate [M], true positive rate [M] and thresholds [M], descending.

    Starts at (0, 0) with an infinite threshold. Points in the middle of a straight line are left
    out, which changes no area. All nan if a class is absent.
    """
    ranking = rank(truth, scores)
    if not ranking.num_positives or not ranking.num_negatives:
        return np.array([np.nan]), np.array([np.nan]), np.array([np.nan])
    fp = np.concatenate(([0], ranking.false_positives))
    tp = np.concatenate(([0], ranking.true_positives))
    thresholds = np.concatenate(([np.inf], ranking.thresholds))
    bends = (np.diff(fp, 2) != 0) | (np.diff(tp, 2) != 0)
    kept = np.concatenate(([True], bends, [True]))
    return fp[kept] / fp[-1], tp[kept] / tp[-1], thresholds[kept]


def precision_recall_curve(
    truth: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision [M], recall [M] (ascending) and thresholds [M] (descending).

    Starts at recall 0, precision 1 with an infinite threshold. All nan if no frame is anomalous.
    """
    ranking = rank(truth, scores)
    if not ranking.num_positives:
        return np.array([np.nan]), np.array([np.nan]), np.array([np.nan])
    precision = np.concatenate(([1.0], ranking.precision()))
    recall = np.concatenate(([0], ranking.true_positives)) / ranking.num_positives
    return precision, recall, np.concatenate(([np.inf], ranking.thresholds))


def false_alarm_rate(normal_scores: np.ndarray, threshold: float) -> float:
    """Share of the frames of normal videos with score >= threshold; nan if there are none.

    normal_scores: [F]. PEL4VAD prints it in percent, for threshold 0.5.
    """
    normal_scores = np.asarray(normal_scores)
    if not normal_scores.size:
        return float("nan")
    return float(np.mean(normal_scores >= threshold))


def threshold_at_false_alarm_rate(normal_scores: np.ndarray, rate: float) -> float:
    """The lowest threshold whose false alarm rate on these frames is at most rate.

    normal_scores: [F]. Returns one of the scores, or the next number above the highest if even the
    highest lets too many frames through; nan if there are no frames. Raises ValueError for a rate
    outside [0, 1].
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"false alarm rate {rate} is not in [0, 1]")
    normal_scores = np.asarray(normal_scores)
    if not normal_scores.size:
        return float("nan")
    ranking = rank(np.zeros(normal_scores.shape, bool), normal_scores)
    allowed = np.flatnonzero(ranking.false_positives / ranking.num_negatives <= rate)
    if not allowed.size:
        # In the precision of the scores: a finer step would be lost when they are compared.
        return float(np.nextafter(ranking.thresholds[0], ranking.thresholds.dtype.type(np.inf)))
    return float(ranking.thresholds[allowed[-1]])


def category_one_vs_rest(
    category_truth: np.ndarray, category_scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and AP of every anomaly category against all other frames, normal ones included.

    category_truth: [C, F] bool; category_scores: [C, F], such as the anomaly score times the
    category's probability. Returns AUC [C] and AP [C], nan for a category without a frame. Their
    `np.nanmean` is AnomalyCLIP's mAUC and mAP, which leave the normal category out of the mean.
    """
    areas = []
    for truth, scores in zip(category_truth, category_scores, strict=True):
        truth, scores = _checked(truth, scores)
        areas.append(_areas(_sorted_runs(scores[truth]), [_sorted_runs(scores[~truth])]))
    return _columns(areas)


def category_against_normal(
    truth: np.ndarray, scores: np.ndarray, in_category: np.ndarray, in_normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and AP of the anomaly score over the videos of one category and all normal videos.

    truth: [F] bool; scores: [F]; in_category: [C, F] bool, frame lies in a video that carries the
    category; in_normal: [F] bool, in a normal video. Returns AUC [C] and AP [C], nan for a category
    without an anomalous frame. UR-DMU and uws4vad report these; categories are told apart by
    their videos only, so that a video of two categories counts for both.
    """
    truth, scores = _checked(truth, scores)
    in_normal = np.asarray(in_normal, bool)
    # The normal videos are most of the frames, and the same for every category.
    shared = _sorted_runs(scores[in_normal & ~truth])
    areas = []
    for kept in np.asarray(in_category, bool) | in_normal:
        own = _sorted_runs(scores[kept & ~in_normal & ~truth])
        areas.append(_areas(_sorted_runs(scores[kept & truth]), [own, shared]))
    return _columns(areas)


def anomalous_videos_auc(truth: np.ndarray, scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Ano-AUC: ROC AUC over the frames of anomalous videos; nan if a class is absent.

    truth: [F] bool; scores: [F]; anomalous: [F] bool, frame lies in an anomalous video: by label
    (BN-WVAD, GlanceVAD), or by truth, at least one anomalous frame (PEL4VAD). `truth.per_frame`
    makes either mask. The two differ only if a video's spans are all cut away.
    """
    kept = np.asarray(anomalous, bool)
    return roc_auc(np.asarray(truth)[kept], np.asarray(scores)[kept])


def _checked(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, scores = np.asarray(truth, bool), np.asarray(scores)
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise ValueError(f"truth {truth.shape} and scores {scores.shape}: both must be [F]")
    if np.isnan(scores).any():
        raise ValueError(f"score of frame {np.isnan(scores).argmax()} is NaN")
    return truth, scores


def _columns(areas: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    auc, average_precision = np.array(areas, np.float64).reshape(-1, 2).T
    return auc, average_precision
