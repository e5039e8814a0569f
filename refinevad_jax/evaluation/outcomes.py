"""What became of each video at the alarm threshold: events, hit or miss, and how far off.

Also the content of videos.csv and events.json, which say it.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.metrics.events import Event
from refinevad_jax.metrics.frames import roc_auc

OUTCOMES = ("detected", "missed", "false alarm", "quiet")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One video at a threshold.

    Attributes:
        events: disjoint, in the order of time.
        kind: an anomalous video is "detected" if an event overlaps an annotated span (if spans are
            not known: if there is an event), else "missed"; a normal one is a "false alarm" if
            there is an event, else "quiet".
        error: how far the highest score is from what it should be, in [0, 1] for scores in [0, 1]:
            highest score (normal videos), or 1 - highest score inside the spans (anomalous videos).
        frame_auc: of the video alone; nan if it has frames of one class only.
    """

    events: list[Event]
    kind: str
    error: float
    frame_auc: float


def outcomes(split: ScoredSplit, threshold: float | None) -> list[Outcome]:
    """One per video of the split. If the threshold is None, no video has events."""
    return [_outcome(split, index, threshold) for index in range(len(split.bags))]


def _outcome(split: ScoredSplit, index: int, threshold: float | None) -> Outcome:
    bag = split.bags[index]
    events = [] if threshold is None else split.events(index, threshold=threshold)
    scores = split.on_frames(index, split.results[index].scores)
    truth = split.frame_truth(index) if bag.has_truth else np.zeros(0, bool)
    inside = scores[truth] if truth.any() else scores
    highest = float(inside.max())
    if bag.anomalous:
        hit = [event for event in events if not truth.any() or truth[event.start : event.end].any()]
        kind, error = ("detected" if hit else "missed"), 1 - highest
    else:
        kind, error = ("false alarm" if events else "quiet"), highest
    auc = roc_auc(truth, scores) if len(truth) else float("nan")
    return Outcome(events, kind, error, auc)


def video_rows(split: ScoredSplit, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The rows of videos.csv: label, prediction, scores and outcome of each video."""
    categories = split.info.taxonomy.categories
    rows = []
    for index, (bag, outcome) in enumerate(zip(split.bags, outcomes, strict=True)):
        result, auc = split.results[index], outcome.frame_auc
        category = probability = ""
        if result.category_probs.size:
            best = int(result.category_probs.argmax())
            category, probability = categories[best], f"{result.category_probs[best]:.6f}"
        rows.append(
            {
                "video_id": bag.video_id,
                "label": bag.label,
                "video_score": f"{result.video_score:.6f}",
                "highest_score": f"{result.scores.max():.6f}",
                "category": category,
                "category_prob": probability,
                "num_segments": bag.num_segments,
                "num_frames": bag.num_frames,
                "evaluated_frames": split.evaluated_frames(index),
                "has_truth": int(bag.has_truth),
                "frame_auc": "" if math.isnan(auc) else f"{auc:.6f}",
                "outcome": outcome.kind,
                "num_events": len(outcome.events),
                "error": f"{outcome.error:.6f}",
            }
        )
    return rows


def event_list(
    split: ScoredSplit, outcomes: Sequence[Outcome], metrics: dict[str, Any]
) -> dict[str, Any]:
    """events.json: what `propose_events` finds at the alarm threshold, video by video.

    metrics: what metrics.json holds. Frames are end exclusive; seconds are null if the frame rate
    is not known.
    """
    categories = split.info.taxonomy.categories
    videos = {}
    for bag, outcome in zip(split.bags, outcomes, strict=True):
        videos[bag.video_id] = [
            {
                "start_frame": event.start,
                "end_frame": event.end,
                "start_seconds": event.start / bag.fps if bag.fps else None,
                "end_seconds": event.end / bag.fps if bag.fps else None,
                "category": categories[event.category] if event.category >= 0 else None,
                "score": event.score,
            }
            for event in outcome.events
        ]
    return {
        "threshold": metrics["alarm_threshold"]["threshold"],
        "threshold_source": metrics["alarm_threshold"]["source"],
        "dataset": metrics["dataset"],
        "split": metrics["split"],
        "videos": videos,
    }
