"""Frame metrics of the field: arrays in, floats out.

Every function takes truth [F] bool (frame is anomalous) and scores [F] (higher is more anomalous),
over all evaluated frames of all videos, one after the other in any order. Frames with equal scores
share a threshold, as in scikit-learn, whose numbers these are.

A number that is not defined is `nan`, never 0: the ROC needs frames of both classes, precision and
recall need an anomalous frame, false alarms need a normal one.
"""

import dataclasses

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
        precision, recall, _ = self.precision_recall_curve()
        return float(np.trapezoid(precision, recall)) if self.num_positives else float("nan")

    def roc_curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """False positive rate [M], true positive rate [M] and thresholds [M], descending.

        Starts at (0, 0) with an infinite threshold. Points in the middle of a straight line are
        left out, which changes no area. All nan if a class is absent.
        """
        if not self.num_positives or not self.num_negatives:
            return np.array([np.nan]), np.array([np.nan]), np.array([np.nan])
        fp = np.concatenate(([0], self.false_positives))
        tp = np.concatenate(([0], self.true_positives))
        thresholds = np.concatenate(([np.inf], self.thresholds))
        bends = (np.diff(fp, 2) != 0) | (np.diff(tp, 2) != 0)
        kept = np.concatenate(([True], bends, [True]))
        return fp[kept] / fp[-1], tp[kept] / tp[-1], thresholds[kept]

    def precision_recall_curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Precision [M], recall [M] (ascending) and thresholds [M] (descending).

        Starts at recall 0, precision 1 with an infinite threshold. All nan if no frame is
        anomalous.
        """
        if not self.num_positives:
            return np.array([np.nan]), np.array([np.nan]), np.array([np.nan])
        precision = np.concatenate(([1.0], self.precision()))
        recall = np.concatenate(([0], self.true_positives)) / self.num_positives
        return precision, recall, np.concatenate(([np.inf], self.thresholds))

    def precision(self) -> np.ndarray:
        """[M], the anomalous share of the frames let through."""
        return self.true_positives / (self.true_positives + self.false_positives)


def rank(truth: np.ndarray, scores: np.ndarray) -> Ranking:
    """Sorts the frames once.

    Raises ValueError if the shapes differ or a score is NaN, which has no place in an order.
    """
    truth, scores = checked(truth, scores)
    # Frames of one segment share a score: one entry per run is enough to sort.
    new = (scores[1:] != scores[:-1]) | (truth[1:] != truth[:-1])
    starts = np.flatnonzero(np.append(True, new)[: len(scores)])
    descending = np.argsort(scores[starts])[::-1]
    order, counts = starts[descending], np.diff(starts, append=len(scores))[descending]
    values = scores[order]
    last_of_ties = np.append(values[1:] != values[:-1], True)[: len(values)]
    return Ranking(
        thresholds=values[last_of_ties],
        true_positives=np.cumsum(np.where(truth[order], counts, 0))[last_of_ties],
        false_positives=np.cumsum(np.where(truth[order], 0, counts))[last_of_ties],
    )


def areas(
    positives: np.ndarray, below: np.ndarray, at_or_below: np.ndarray, num_negatives: int
) -> tuple[float, float]:
    """AUC and AP of Ranking, from the P distinct scores of anomalous frames alone: they are few.

    positives: [P] anomalous frames with each of these scores, ascending; below, at_or_below: [P]
    normal frames with a lower score, and with this or a lower one.
    """
    num_positives = int(positives.sum())
    if not num_positives:
        return float("nan"), float("nan")
    auc = float("nan")
    if num_negatives:
        won_twice = int(np.dot(positives, below + at_or_below))
        auc = won_twice / (2 * num_positives * num_negatives)
    true_positives = np.cumsum(positives[::-1])[::-1]
    # If nothing is let through, no anomalous frame is gained either: any divisor will do.
    let_through = np.maximum(true_positives + num_negatives - below, 1)
    precision = true_positives / let_through
    # A plain sum: np.dot would wake BLAS threads for every draw of the bootstrap.
    return auc, float((positives * precision).sum() / num_positives)


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, in [0, 1]; nan if a class is absent."""
    return rank(truth, scores).roc_auc()


def average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Average precision as a sum of steps, in [0, 1]; nan if no frame is anomalous.

    VadCLIP, DSANet, LaGoVAD and AnomalyCLIP call this AP.
    """
    return rank(truth, scores).average_precision()


def false_alarm_rate(normal_scores: np.ndarray, threshold: float) -> float:
    """Share of the frames of normal videos with score >= threshold; nan without frames.

    normal_scores: [F]. PEL4VAD prints it in percent, for threshold 0.5.
    """
    normal_scores = np.asarray(normal_scores)
    if not normal_scores.size:
        return float("nan")
    return float(np.mean(normal_scores >= threshold))


def threshold_at_false_alarm_rate(normal_scores: np.ndarray, rate: float) -> float:
    """The lowest threshold whose false alarm rate on these frames is at most rate.

    normal_scores: [F]. Returns one of the scores, or the next number above the highest if even the
    highest lets too many frames through; nan without frames. Raises ValueError for a rate
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


def category_one_vs_rest(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """AUC and AP of one anomaly category against all other frames, normal ones included.

    truth: [F] bool, frame is of the category; scores: [F], such as the anomaly score times the
    category's probability. nan for a category without a frame. The means over the other categories
    are AnomalyCLIP's mAUC and mAP, which leave the normal category out of the mean.
    """
    truth, scores = checked(truth, scores)
    return _areas_of(scores[truth], np.sort(scores[~truth]))


def category_against_normal(
    truth: np.ndarray, scores: np.ndarray, in_category: np.ndarray, in_normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and AP of the anomaly score over the videos of one category and all normal videos.

    truth: [F] bool; scores: [F]; in_category: [C, F] bool, frame lies in a video that carries the
    category; in_normal: [F] bool, in a normal video. Returns AUC [C] and AP [C], nan for a category
    without an anomalous frame. UR-DMU and uws4vad report these; categories are told apart by
    their videos only, so that a video of two categories counts for both.
    """
    truth, scores = checked(truth, scores)
    in_normal = np.asarray(in_normal, bool)
    # The normal videos are most of the frames, and the same for every category.
    shared = np.sort(scores[in_normal & ~truth])
    found = []
    for kept in np.asarray(in_category, bool) | in_normal:
        own = np.sort(scores[kept & ~in_normal & ~truth])
        found.append(_areas_of(scores[kept & truth], own, shared))
    auc, average_precision = np.array(found, np.float64).reshape(-1, 2).T
    return auc, average_precision


def _areas_of(positive: np.ndarray, *negatives: np.ndarray) -> tuple[float, float]:
    """The areas of scores of anomalous frames against normal ones in parts, each ascending."""
    levels, counts = np.unique(positive, return_counts=True)
    below, at_or_below = (
        np.sum([np.searchsorted(part, levels, side=side) for part in negatives], axis=0)
        for side in ("left", "right")
    )
    return areas(counts, below, at_or_below, sum(map(len, negatives)))


def anomalous_videos_auc(truth: np.ndarray, scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Ano-AUC: ROC AUC over the frames of anomalous videos; nan if a class is absent.

    truth: [F] bool; scores: [F]; anomalous: [F] bool, frame lies in an anomalous video: by label
    (BN-WVAD, GlanceVAD), or by truth, at least one anomalous frame (PEL4VAD). `truth.per_frame`
    makes either mask. The two differ only if a video's spans are all cut away.
    """
    kept = np.asarray(anomalous, bool)
    return roc_auc(np.asarray(truth)[kept], np.asarray(scores)[kept])


def single_video_aucs(truth: np.ndarray, scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """ROC AUC inside each video: [K], nan for a video without frames of both classes.

    truth: [F] bool, scores: [F], one video after the other; lengths: [K] frames of each.
    """
    ends = np.cumsum(lengths)
    parts = [slice(*pair) for pair in zip(ends - lengths, ends, strict=True)]
    aucs = [roc_auc(truth[p], scores[p]) if truth[p].any() else np.nan for p in parts]
    return np.array(aucs, np.float64)


def middle_scores(lengths: np.ndarray) -> np.ndarray:
    """[F] scores that know a frame's place alone: 1 in the middle of its video, near 0 at its ends.

    lengths: [K] frames of each video. Any other bump that falls alike to both sides has the same
    order of frames, and so the same AUC and AP.
    """
    bumps = (1 - np.abs(2 * np.arange(n) + 1 - n) / n for n in lengths)
    return np.concatenate([np.zeros(0), *bumps])


def recall_at_false_alarm_rate(
    positive_scores: np.ndarray, normal_scores: np.ndarray, rate: float
) -> float:
    """Share of anomalous frames found by the threshold of `threshold_at_false_alarm_rate`.

    positive_scores: scores of the anomalous frames; normal_scores: of the frames of normal videos.
    nan if there are none of either.
    """
    positive_scores, normal_scores = np.asarray(positive_scores), np.asarray(normal_scores)
    if not positive_scores.size or not normal_scores.size:
        return float("nan")
    threshold = threshold_at_false_alarm_rate(normal_scores, rate)
    return float(np.mean(positive_scores >= threshold))


def checked(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays. Raises ValueError if the shapes differ or a score is NaN."""
    truth, scores = np.asarray(truth, bool), np.asarray(scores)
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise ValueError(f"truth {truth.shape} and scores {scores.shape}: both must be [F]")
    if np.isnan(scores).any():
        raise ValueError(f"score of frame {np.isnan(scores).argmax()} is NaN")
    return truth, scores
