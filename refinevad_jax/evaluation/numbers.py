"""The numbers of metrics.json, from a scored split.

The metrics of `metrics.names`, and what is not a single number: operating points, calibration,
tables by category, mAP@IoU, intervals, and what was measured. docs/metrics.md says what each one
means and who else reports it under which name. A number that is not defined, because a class is
absent, is None.

V videos, T segments, F frames, C categories.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from refinevad_jax.data.taxonomy import NORMAL_HAS_TRUTH
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.metrics import bootstrap, legacy_localization, localization, names
from refinevad_jax.metrics.calibration import brier_score, reliability, sigmoid
from refinevad_jax.metrics.events import RULE, Event, ProposalRule
from refinevad_jax.metrics.frames import (
    category_against_normal,
    category_one_vs_rest,
    false_alarm_rate,
    threshold_at_false_alarm_rate,
)
from refinevad_jax.metrics.localization import IOU_THRESHOLDS, Detections, Truth
from refinevad_jax.metrics.names import SplitArrays
from refinevad_jax.metrics.truth import frame_truth, truth_hash, truth_runs
from refinevad_jax.metrics.videos import category_average_precisions, mean_of_defined
from refinevad_jax.runs.scoring_rule import FALSE_ALARM_RATES

NO_CATEGORY = np.zeros(0)  # evidence
HIGH_IOU = 0.3  # from here on a mean is "high"


def measure(
    split: ScoredSplit, *, false_alarm_rates: Sequence[float] = FALSE_ALARM_RATES
) -> dict[str, Any]:
    """Every number of the evaluation and what it was measured on, as JSON values."""
    arrays = split.arrays
    undefined = {metric.key: math.nan for metric in names.METRICS if metric.function}
    return without_nan(
        {
            **(undefined | names.measured(arrays)),
            "operating_points": operating_points(split, false_alarm_rates),
            "calibration": calibration_numbers(split),
            "position_only": names.position_only(arrays),
            "mixture_target": mixture_target_numbers(split),
            "per_category": per_category(split),
            "localization": localization_metrics(split),
            "intervals": intervals(arrays),
            "num_videos": len(split.bags),
            "num_anomalous_videos": int(arrays.anomalous.sum()),
            "num_videos_with_truth": len(split.known),
            "num_frames": len(arrays.truth),
            "num_positive_frames": int(arrays.truth.sum()),
            "truth_hash": truth_hash(
                (split.bags[i].video_id, split.evaluated_frames(i), split.bags[i].spans)
                for i in split.known
            ),
            "gate": gate_statistics(split),
            "simulated": split.info.simulated,
            "frames_per_segment": split.info.frames_per_segment,
            "end_convention": split.info.end_convention,
            "num_crops": split.bags[0].features.shape[0],
            "encoder": split.info.encoder,
            "source": split.info.source,
        }
    )


def mixture_target_numbers(split: ScoredSplit) -> dict[str, float] | None:
    """The metrics of `names.POSITION_ONLY` for the target of L_GMM; None without that loss."""
    parts = [np.zeros(0)]
    for index in split.known:
        target = split.results[index].mixture_target
        if target is None:
            return None
        parts.append(split.on_frames(index, target))
    return names.of_other_scores(split.arrays, np.concatenate(parts))


def operating_points(split: ScoredSplit, rates: Sequence[float]) -> list[dict[str, float]]:
    """For each rate, ascending, the lowest threshold that keeps false alarms at or below it.

    False alarms are counted on the segments of normal videos. `refinevad_jax.detect` takes these
    thresholds. The detection rate is the share of the anomalous frames at or above the threshold,
    `anomalous_videos_found` the share of the anomalous videos that have such a segment. If the
    highest normal segment alone is more than the rate allows, as with fewer than 1 / rate of them,
    the threshold lies just above it.
    """
    arrays = split.arrays
    pairs = list(zip(split.bags, split.results, strict=True))
    highest = np.array([result.scores.max() for bag, result in pairs if bag.anomalous])
    # Bins of a short video repeat its segments; scores of others may have one per frame.
    counts = [
        min(bag.num_segments, len(result.scores)) for bag, result in pairs if not bag.anomalous
    ]
    points = []
    for rate in sorted(set(rates)):
        threshold = threshold_at_false_alarm_rate(arrays.normal_scores, rate)
        found = arrays.scores[arrays.truth] >= threshold
        defined = not math.isnan(threshold)
        points.append(
            {
                "target_false_alarm_rate": rate,
                "threshold": threshold,
                "false_alarm_rate": false_alarm_rate(arrays.normal_scores, threshold),
                "detection_rate": float(found.mean()) if defined and len(found) else math.nan,
                "anomalous_videos_found": (
                    float(np.mean(highest >= threshold)) if defined and len(highest) else math.nan
                ),
                "num_normal_segments": sum(counts),
            }
        )
    return points


def calibration_numbers(split: ScoredSplit) -> dict[str, Any]:
    """Under "calibration" in metrics.json: what was applied, and how well video scores are meant.

    "before" has the Brier score and the reliability of the video scores without calibration,
    "after" with it, None if the scores are not calibrated. Both are None if scores leave [0, 1].
    "note" names the videos that the calibration was fitted on, or says why there is none.
    """
    fitted, after = split.calibration, _as_probabilities(split, split.arrays.video_scores)
    before = after
    if fitted:
        logits = np.array([result.video_logit for result in split.results], np.float64)
        before = _as_probabilities(split, sigmoid(logits))
    return {
        "slope": fitted.slope if fitted else None,
        "offset": fitted.offset if fitted else None,
        "note": split.note,
        "before": before,
        "after": after if fitted else None,
    }


def _as_probabilities(split: ScoredSplit, scores: np.ndarray) -> dict[str, Any] | None:
    if scores.min() < 0 or scores.max() > 1:
        return None
    anomalous = split.arrays.anomalous
    return {
        "brier": brier_score(scores, anomalous),
        "reliability": reliability(scores, anomalous),
    }


def per_category(split: ScoredSplit) -> dict[str, Any]:
    """AUC and AP of every category, against normal videos and one-vs-rest, with their means.

    One-vs-rest needs spans with categories, and scores of them.
    """
    arrays = split.arrays
    columns: dict[str, np.ndarray] = {"num_videos": arrays.labels.sum(axis=0)}
    in_category = np.stack([arrays.per_frame(column) for column in arrays.labels.T])
    columns["against_normal_auc"], columns["against_normal_ap"] = category_against_normal(
        arrays.truth, arrays.scores, in_category, arrays.per_frame(~arrays.anomalous)
    )
    if split.has_categories:
        columns["one_vs_rest_auc"], columns["one_vs_rest_ap"] = _one_vs_rest(split)
        columns["video_ap"] = category_average_precisions(arrays.category_probs, arrays.labels)
    rows = [
        {"category": name} | {key: column[c].item() for key, column in columns.items()}
        for c, name in enumerate(split.info.taxonomy.display_names)
    ]
    means = {key: mean_of_defined(column) for key, column in columns.items() if key != "num_videos"}
    return {"categories": rows, "mean": means}


def _one_vs_rest(split: ScoredSplit) -> tuple[np.ndarray, np.ndarray]:
    """AUC [C] and AP [C]; category by category, so that [C, F] is never in memory."""
    maps = [split.category_map(i) for i in split.known]
    areas = []
    for category in range(split.info.taxonomy.num_categories):
        truth, scores = [np.zeros(0, bool)], [np.zeros(0, np.float32)]
        for index, probs in zip(split.known, maps, strict=True):
            spans = split.bags[index].spans
            own = spans[spans[:, 2] == category]
            truth.append(frame_truth(own, split.evaluated_frames(index)))
            scores.append(split.on_frames(index, probs[:, 1 + category]))
        areas.append(category_one_vs_rest(np.concatenate(truth), np.concatenate(scores)))
    auc, average_precision = np.array(areas).T
    return auc, average_precision


def localization_metrics(split: ScoredSplit) -> dict[str, Any]:
    """Everything under "localization" in metrics.json; fractions in [0, 1].

    By rule (`names.RULES`) and convention (`names.CONVENTIONS`) the mAP at each IoU and their mean,
    and the AP of every category. If the scores or the annotation name no category, numbers by
    category are left out and "no_categories" has the reason; it is empty otherwise.
    """
    reason = _why_no_categories(split)
    found: dict[str, Any] = {"iou_thresholds": list(IOU_THRESHOLDS), "no_categories": reason}
    if not split.known:
        return found
    for rule in names.RULES:
        values = mean_average_precisions(split, rule)
        found[rule] = {name: _with_mean(value) for name, value in values.items()}
    return found


def mean_average_precisions(
    split: ScoredSplit, rule: str, parameters: ProposalRule = RULE
) -> dict[str, np.ndarray]:
    """By convention, [5] mAP at each IoU; "per_category" is [C, 5].

    rule: a key of `names.RULES`, which makes the detections; parameters: of proposals. The
    conventions are those of `legacy_localization.conventions`, which need categories, and
    "class_agnostic", which measures localisation only.
    """
    values = {"class_agnostic": _class_agnostic(split, rule, parameters)}
    if _why_no_categories(split):
        return values
    every, on_anomalous = _detections(split, rule, parameters)
    return values | legacy_localization.conventions(
        every, on_anomalous, _truth(split), num_categories=split.info.taxonomy.num_categories + 1
    )


def proposals_map_on_draws(split: ScoredSplit) -> np.ndarray | None:
    """mAP@IoU of proposals (anomaly) on the draws of `bootstrap.on_draws`: [1 + R].

    None without categories.
    """
    if _why_no_categories(split):
        return None
    return localization.anomaly_map_on_draws(
        _detections(split, "proposals", RULE)[0],
        _truth(split),
        bootstrap.once_and_drawn(len(split.known)),
        num_categories=split.info.taxonomy.num_categories + 1,
    )


def _why_no_categories(split: ScoredSplit) -> str:
    if not split.known:
        return "no video has annotated frames"
    if not split.has_categories:
        return "the scores name no category"
    unnamed = [i for i in split.known if (split.bags[i].spans[:, 2] < 0).any()]
    if unnamed:
        return (
            f"{len(unnamed)} videos have annotated spans without a category, "
            f"{split.bags[unnamed[0]].video_id} the first"
        )
    return ""


def _truth(split: ScoredSplit) -> Truth:
    normal_lengths = None
    if split.info.taxonomy.name in NORMAL_HAS_TRUTH:
        normal_lengths = [
            split.evaluated_frames(i) * (not split.bags[i].anomalous) for i in split.known
        ]
    return localization.truth_from_spans([split.bags[i].spans for i in split.known], normal_lengths)


def _detections(
    split: ScoredSplit, rule: str, parameters: ProposalRule
) -> tuple[Detections, Detections]:
    """Detections by category in all known videos, and in those labelled anomalous."""
    if rule == "legacy":
        return _legacy(split, [split.category_map(i) for i in split.known])
    rows = []
    for number, index in enumerate(split.known):
        quiet = 1 - split.results[index].uncalibrated
        normal = split.events(index, scores=quiet, evidence=NO_CATEGORY, rule=parameters)
        found = split.events(index, rule=parameters)
        named = [event for event in found if event.category >= 0]
        rows.append(_rows(number, [*normal, *named]))
    every = _joined(rows)
    return every, every.select(split.arrays.anomalous[split.known][every.video])


def _class_agnostic(split: ScoredSplit, rule: str, parameters: ProposalRule) -> np.ndarray:
    """[5] AP of one category, "anomalous", against the runs of anomalous frames."""
    if rule == "legacy":
        scores = (split.results[i].uncalibrated for i in split.known)
        every, _ = _legacy(split, [np.stack([1 - s, s], axis=1) for s in scores])
    else:
        every = _joined(
            _rows(number, split.events(index, evidence=NO_CATEGORY, rule=parameters))
            for number, index in enumerate(split.known)
        )
        every = dataclasses.replace(every, category=np.ones_like(every.category))
    spans = [
        np.pad(truth_runs(split.frame_truth(index)), ((0, 0), (0, 1))) for index in split.known
    ]
    truth = localization.truth_from_spans(spans)
    return localization.average_precisions(every, truth, num_categories=2)[1]


def _legacy(split: ScoredSplit, maps: list[np.ndarray]) -> tuple[Detections, Detections]:
    """The published detections, from one [T, columns] per known video, in their order."""
    frames = split.info.frames_per_segment
    if split.resampled:
        maps = [split.on_frames(i, m) for i, m in zip(split.known, maps, strict=True)]
        frames = 1
    chosen = np.flatnonzero(split.arrays.anomalous[split.known])
    return (
        legacy_localization.legacy_detections(maps, frames_per_segment=frames),
        legacy_localization.legacy_detections(
            [maps[v] for v in chosen], videos=chosen.tolist(), frames_per_segment=frames
        ),
    )


def _rows(video: int, events: list[Event]) -> np.ndarray:
    """[E, 5] video, column, start, end, score; events without a category are in column 0."""
    rows = [(video, event.category + 1, event.start, event.end, event.score) for event in events]
    return np.array(rows, np.float64).reshape(-1, 5)


def _joined(rows: Iterable[np.ndarray]) -> Detections:
    """Detections of all videos from the rows of each."""
    *places, score = np.concatenate([*rows]).T
    video, category, start, end = (column.astype(np.int64) for column in places)
    return Detections(video, category, start, end, score)


def _with_mean(values: np.ndarray) -> Any:
    """[5] as {"at": [...], "mean": ..., "high": that from HIGH_IOU on}; [C, 5]: a list of those."""
    if values.ndim == 2:
        return [_with_mean(row) for row in values]
    # A mean is nan if one of its values is.
    high = values[np.array(IOU_THRESHOLDS) >= HIGH_IOU]
    return {"at": values.tolist(), "mean": float(values.mean()), "high": float(high.mean())}


def intervals(arrays: SplitArrays) -> dict[str, dict[str, float]]:
    """95 % bootstrap intervals over videos, by the key of the metric."""
    truth, scores, lengths = arrays.truth, arrays.scores, arrays.lengths
    found = _resampled(names.FRAME, truth, scores, lengths)
    chosen = arrays.per_frame(arrays.anomalous)
    own_lengths = lengths[arrays.anomalous[arrays.with_truth]]
    if len(own_lengths):
        found["anomalous_frame_auc"] = bootstrap.confidence_intervals(
            truth[chosen], scores[chosen], own_lengths
        )["roc_auc"]
    found["single_video_auc"] = bootstrap.mean_interval(arrays.single_video_aucs)
    once = np.ones(len(arrays.labels), np.int64)
    found |= _resampled(names.VIDEO, arrays.anomalous, arrays.video_scores, once)
    if arrays.category_probs.shape[1]:
        right = arrays.labels[np.arange(len(once)), arrays.category_probs.argmax(axis=1)]
        found["category_accuracy"] = bootstrap.mean_interval(right[arrays.anomalous])
    return {key: dataclasses.asdict(interval) for key, interval in found.items()}


def _resampled(
    level: str, truth: np.ndarray, scores: np.ndarray, lengths: np.ndarray
) -> dict[str, bootstrap.Interval]:
    """Intervals of the metrics of a level; none without videos."""
    if not len(lengths):
        return {}
    found = bootstrap.confidence_intervals(truth, scores, lengths)
    return {key: found[name] for key, name in names.resampled(level).items()}


def gate_statistics(split: ScoredSplit) -> dict[str, float]:
    """Whether the shift adapts: mean, spread, span inside a video, and tie to the truth.

    The correlation is Pearson's of r_t with the segment's share of anomalous frames, over the
    segments of the anomalous videos with truth; NaN for a constant gate.
    """
    ratios = [result.shift_ratio for result in split.results]
    joined = np.concatenate(ratios)
    gate, share = [np.zeros(0)], [np.zeros(0)]
    for index in split.known:
        if split.bags[index].anomalous:
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


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or not a.std() or not b.std():
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def without_nan(value: Any) -> Any:
    """NaN to None, through dicts and lists: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
