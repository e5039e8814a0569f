"""mAP@IoU of a scored split: two rules for detections, every convention for their mean.

The conventions are those of `legacy_localization.conventions`; besides them, "class_agnostic" asks
for the place alone, and so needs no category.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from refinevad_jax.data.taxonomy import NORMAL_HAS_TRUTH
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.metrics import legacy_localization, localization
from refinevad_jax.metrics.events import RULE, Event, ProposalRule, propose_events
from refinevad_jax.metrics.localization import IOU_THRESHOLDS, Detections, Truth
from refinevad_jax.metrics.truth import truth_runs

RULES = ("legacy", "proposals")


def localization_metrics(split: ScoredSplit) -> dict[str, Any]:
    """Everything under "localization" in metrics.json; fractions in [0, 1].

    By rule and convention the mAP at each IoU and their mean, the number of detections, and the AP
    of every category. Numbers by category are left out, with the reason under "no_categories"
    (else empty), where the network or the annotation does not name any.
    """
    reason = _why_no_categories(split)
    found: dict[str, Any] = {"iou_thresholds": list(IOU_THRESHOLDS), "no_categories": reason}
    if not split.known:
        return found
    for rule in RULES:
        values = mean_average_precisions(split, rule)
        found[rule] = {name: _with_mean(value) for name, value in values.items()}
    return found


def mean_average_precisions(
    split: ScoredSplit, rule: str, parameters: ProposalRule = RULE
) -> dict[str, np.ndarray]:
    """By convention, [5] mAP at each IoU; "per_category" is [C, 5].

    rule: of RULES; parameters: of proposals. Only "class_agnostic" where no category is named.
    """
    values = {"class_agnostic": _class_agnostic(split, rule, parameters)}
    if _why_no_categories(split):
        return values
    every, on_anomalous = _detections(split, rule, parameters)
    return values | legacy_localization.conventions(
        every, on_anomalous, _truth(split), num_categories=split.info.taxonomy.num_categories + 1
    )


def proposals(
    split: ScoredSplit, index: int, threshold: float | None = None, rule: ProposalRule = RULE
) -> list[Event]:
    """Our rule on one video of a split; threshold as in `propose_events`."""
    return propose_events(
        split.results[index].scores,
        split.category_evidence(index),
        frames_per_segment=split.frames_per_score(index),
        num_frames=split.evaluated_frames(index),
        threshold=threshold,
        rule=rule,
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
        normal_lengths = [split.evaluated_frames(i) * (not split.anomalous[i]) for i in split.known]
    return localization.truth_from_spans([split.bags[i].spans for i in split.known], normal_lengths)


def _detections(
    split: ScoredSplit, rule: str, parameters: ProposalRule
) -> tuple[Detections, Detections]:
    """Detections by category in all known videos, and in those labelled anomalous."""
    if rule == "legacy":
        return _legacy(split, [split.category_map(i) for i in split.known])
    rows = []
    for number, index in enumerate(split.known):
        normal = propose_events(
            1 - split.results[index].scores,
            np.zeros(0),
            frames_per_segment=split.frames_per_score(index),
            num_frames=split.evaluated_frames(index),
            rule=parameters,
        )
        found = proposals(split, index, rule=parameters)
        named = [event for event in found if event.category >= 0]
        rows.append(_rows(number, [*normal, *named]))
    return _both(split, np.concatenate(rows))


def _class_agnostic(split: ScoredSplit, rule: str, parameters: ProposalRule) -> np.ndarray:
    """[5] AP of one category, "anomalous", against the runs of anomalous frames."""
    if rule == "legacy":
        scores = (split.results[i].scores for i in split.known)
        every, _ = _legacy(split, [np.stack([1 - s, s], axis=1) for s in scores])
    else:
        rows = [
            _rows(
                number,
                propose_events(
                    split.results[index].scores,
                    np.zeros(0),
                    frames_per_segment=split.frames_per_score(index),
                    num_frames=split.evaluated_frames(index),
                    rule=parameters,
                ),
            )
            for number, index in enumerate(split.known)
        ]
        every, _ = _both(split, np.concatenate(rows))
        every = dataclasses.replace(every, category=np.ones_like(every.category))
    spans = [
        np.pad(truth_runs(split.frame_truth(index)), ((0, 0), (0, 1))) for index in split.known
    ]
    truth = localization.truth_from_spans(spans)
    return localization.average_precisions(every, truth, num_categories=2)[1]


def _legacy(split: ScoredSplit, maps: list[np.ndarray]) -> tuple[Detections, Detections]:
    """The published detections of [T, columns] a video; the order of equal scores matters there."""
    frames = split.info.frames_per_segment
    if split.resampled:
        maps = [split.on_frames(i, m) for i, m in zip(split.known, maps, strict=True)]
        frames = 1
    chosen = np.flatnonzero(split.anomalous[split.known])
    return (
        legacy_localization.legacy_detections(maps, frames_per_segment=frames),
        legacy_localization.legacy_detections(
            [maps[v] for v in chosen], videos=chosen.tolist(), frames_per_segment=frames
        ),
    )


def _both(split: ScoredSplit, rows: np.ndarray) -> tuple[Detections, Detections]:
    video, category, start, end = rows[:, :4].T.astype(np.int64)
    every = Detections(video, category, start, end, rows[:, 4])
    return every, every.select(split.anomalous[split.known][video])


def _rows(video: int, events: list[Event]) -> np.ndarray:
    """[E, 5] video, column, start, end, score; events without a category stand in column 0."""
    rows = [(video, event.category + 1, event.start, event.end, event.score) for event in events]
    return np.array(rows, np.float64).reshape(-1, 5)


def _with_mean(values: np.ndarray) -> Any:
    """[5] as {"at": [...], "mean": ...}; [C, 5] as a list of those."""
    if values.ndim == 2:
        return [_with_mean(row) for row in values]
    mean = float(values.mean()) if not np.isnan(values).any() else math.nan
    return {"at": values.tolist(), "mean": mean}
