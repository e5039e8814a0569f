"""Every number of metrics.json, from a scored split.

C categories. A number that is not defined, because a class is absent, is NaN here and null in the
file. docs/metrics.md says what each one means and who else reports it under which name.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from refinevad_jax.evaluation.event_metrics import localization_metrics
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.metrics import bootstrap
from refinevad_jax.metrics.frames import (
    anomalous_videos_auc,
    average_precision,
    category_against_normal,
    category_one_vs_rest,
    false_alarm_rate,
    rank,
    roc_auc,
    threshold_at_false_alarm_rate,
)
from refinevad_jax.metrics.truth import frame_truth, has_anomalous_frame, per_frame, truth_hash
from refinevad_jax.metrics.videos import (
    category_accuracy,
    category_average_precisions,
    category_mean_average_precision,
)

FALSE_ALARM_THRESHOLD = 0.5
TARGET_FALSE_ALARM_RATE = 0.01
NUM_RESAMPLES = 1000


def metrics(
    split: ScoredSplit, *, target_false_alarm_rate: float = TARGET_FALSE_ALARM_RATE
) -> dict[str, Any]:
    """Every number of the evaluation, and what it was measured on."""
    return {
        **frame_level(split),
        **video_level(split),
        "operating_point": operating_point(split, target_false_alarm_rate),
        "per_category": per_category(split),
        "localization": localization_metrics(split),
        "intervals": intervals(split),
        "num_videos": len(split.bags),
        "num_anomalous_videos": int(split.anomalous.sum()),
        "num_videos_with_truth": len(split.known),
        "num_frames": len(split.truth),
        "num_positive_frames": int(split.truth.sum()),
        "truth_hash": truth_hash(
            (split.bags[i].video_id, split.evaluated_frames(i), split.bags[i].spans)
            for i in split.known
        ),
        "gate": gate_statistics(split),
    }


def frame_level(split: ScoredSplit) -> dict[str, float]:
    """AUC, both AP, AUC on anomalous videos by label and by truth, false alarms at 0.5."""
    truth, scores = split.truth, split.scores
    ranking = rank(truth, scores)
    by_label = split.of_known(split.anomalous)
    by_truth = per_frame(
        has_anomalous_frame(truth, split.lengths) if split.known else np.zeros(0, bool),
        split.lengths,
    )
    in_anomalous = anomalous_videos_auc(truth, scores, by_label)
    same = np.array_equal(by_label, by_truth)
    return {
        "frame_auc": ranking.roc_auc(),
        "frame_ap": ranking.average_precision(),
        "frame_pr_auc": ranking.precision_recall_auc(),
        "anomalous_frame_auc": in_anomalous,
        "anomalous_frame_auc_by_truth": in_anomalous
        if same
        else anomalous_videos_auc(truth, scores, by_truth),
        "false_alarm_rate": false_alarm_rate(split.normal_scores, FALSE_ALARM_THRESHOLD),
    }


def video_level(split: ScoredSplit) -> dict[str, float]:
    """Numbers that need video-level labels only; all videos count."""
    found = {
        "video_auc": roc_auc(split.anomalous, split.video_scores),
        "video_ap": average_precision(split.anomalous, split.video_scores),
        "category_accuracy": math.nan,
        "category_map": math.nan,
    }
    if split.has_categories:
        probs, labels = split.category_probs, split.labels
        found["category_accuracy"] = category_accuracy(probs, labels)
        found["category_map"] = category_mean_average_precision(probs, labels)
    return found


def operating_point(split: ScoredSplit, target: float) -> dict[str, float]:
    """The lowest threshold that keeps false alarms on normal videos at or below a target rate.

    What `refinevad_jax.detect` takes as its threshold. The detection rate is the share of the
    anomalous frames at or above it.
    """
    threshold = threshold_at_false_alarm_rate(split.normal_scores, target)
    detected = split.scores[split.truth] >= threshold
    return {
        "threshold": threshold,
        "target_false_alarm_rate": target,
        "false_alarm_rate": false_alarm_rate(split.normal_scores, threshold),
        "detection_rate": float(detected.mean()) if len(detected) else math.nan,
        "num_normal_frames": len(split.normal_scores),
    }


def per_category(split: ScoredSplit) -> dict[str, Any]:
    """AUC and AP of every category, against normal videos and one-vs-rest, with their means.

    One-vs-rest needs spans with categories, and scores of them.
    """
    names = split.info.taxonomy.display_names
    columns: dict[str, np.ndarray] = {"num_videos": split.labels.sum(axis=0)}
    in_category = np.stack([split.of_known(column) for column in split.labels.T])
    columns["against_normal_auc"], columns["against_normal_ap"] = category_against_normal(
        split.truth, split.scores, in_category, split.of_known(~split.anomalous)
    )
    if split.has_categories:
        columns["one_vs_rest_auc"], columns["one_vs_rest_ap"] = _one_vs_rest(split)
        columns["video_ap"] = category_average_precisions(split.category_probs, split.labels)
    rows = [
        {"category": name} | {key: column[c].item() for key, column in columns.items()}
        for c, name in enumerate(names)
    ]
    means = {key: _mean(column) for key, column in columns.items() if key != "num_videos"}
    return {"categories": rows, "mean": means}


def _one_vs_rest(split: ScoredSplit) -> tuple[np.ndarray, np.ndarray]:
    """AUC [C] and AP [C]; category by category, so that [C, F] never lies in memory."""
    maps = [split.category_map(i) for i in split.known]
    aucs, aps = [], []
    for category in range(split.info.taxonomy.num_categories):
        truth, scores = [np.zeros(0, bool)], [np.zeros(0, np.float32)]
        for index, probs in zip(split.known, maps, strict=True):
            spans = split.bags[index].spans
            own = spans[spans[:, 2] == category]
            truth.append(frame_truth(own, split.evaluated_frames(index)))
            scores.append(split.on_frames(index, probs[:, 1 + category]))
        auc, ap = category_one_vs_rest(np.concatenate(truth)[None], np.concatenate(scores)[None])
        aucs.append(auc[0])
        aps.append(ap[0])
    return np.array(aucs), np.array(aps)


def intervals(split: ScoredSplit) -> dict[str, dict[str, float]]:
    """95 % bootstrap intervals over videos of the headline numbers, by their name."""
    found: dict[str, bootstrap.Interval] = {}
    chosen = split.of_known(split.anomalous)
    in_anomalous = split.anomalous[split.known]
    frames = (
        ("frame_auc", "frame_ap", split.truth, split.scores, split.lengths),
        (
            "anomalous_frame_auc",
            "",
            split.truth[chosen],
            split.scores[chosen],
            split.lengths[in_anomalous],
        ),
        (
            "video_auc",
            "video_ap",
            split.anomalous,
            split.video_scores,
            np.ones(len(split.bags), np.int64),
        ),
    )
    for auc, ap, truth, scores, lengths in frames:
        if len(lengths):
            both = bootstrap.confidence_intervals(
                truth, scores, lengths, num_resamples=NUM_RESAMPLES
            )
            found[auc] = both["roc_auc"]
            if ap:
                found[ap] = both["average_precision"]
    if split.has_categories:
        right = split.labels[np.arange(len(split.bags)), split.category_probs.argmax(axis=1)]
        found["category_accuracy"] = bootstrap.mean_interval(
            right[split.anomalous], num_resamples=NUM_RESAMPLES
        )
    return {name: dataclasses.asdict(interval) for name, interval in found.items()}


def gate_statistics(split: ScoredSplit) -> dict[str, float]:
    """Whether the shift adapts: its mean, spread, span inside a video, and tie to the truth.

    The correlation is Pearson's of r_t with the segment's share of anomalous frames, over the
    segments of the anomalous videos with truth; NaN for a constant gate.
    """
    ratios = [result.shift_ratio for result in split.results]
    joined = np.concatenate(ratios)
    gate, share = [np.zeros(0)], [np.zeros(0)]
    for index in split.known:
        if split.anomalous[index]:
            truth, ratio = split.frame_truth(index), ratios[index]
            gate.append(ratio)
            edges = np.linspace(0, len(truth), len(ratio) + 1).astype(int)
            counts = np.diff(np.concatenate(([0], np.cumsum(truth)))[edges])
            share.append(counts / np.maximum(np.diff(edges), 1))
    return {
        "ratio_mean": float(joined.mean()),
        "ratio_spread": float(joined.std()),
        "ratio_span_within_video": float(np.mean([np.ptp(ratio) for ratio in ratios])),
        "correlation_with_truth": _correlation(np.concatenate(gate), np.concatenate(share)),
    }


def _mean(values: np.ndarray) -> float:
    """Mean of what is defined; nan where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or not a.std() or not b.std():
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
