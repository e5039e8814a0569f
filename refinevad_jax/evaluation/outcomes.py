"""What became of each video at the operating point: events, hit or miss, and how far off."""

import dataclasses

import numpy as np

from refinevad_jax.evaluation.event_metrics import proposals
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.metrics.events import Event
from refinevad_jax.metrics.frames import roc_auc

OUTCOMES = ("detected", "missed", "false alarm", "quiet")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One video at a threshold.

    Attributes:
        events: disjoint, in the order of time.
        kind: of an anomalous video "detected" where an event overlaps an annotated span (where
            spans are not known: where there is an event), else "missed"; of a normal one "false
            alarm" where there is an event, else "quiet".
        error: how far the highest score is from what it should be, in [0, 1] for scores in [0, 1]:
            of a normal video the highest score, of an anomalous one 1 less the highest score inside
            the spans.
        frame_auc: of the video alone; nan where it has frames of one class only.
    """

    events: list[Event]
    kind: str
    error: float
    frame_auc: float


def outcomes(split: ScoredSplit, threshold: float) -> list[Outcome]:
    """One for each video of the split. No events where the threshold is nan."""
    return [_outcome(split, index, threshold) for index in range(len(split.bags))]


def _outcome(split: ScoredSplit, index: int, threshold: float) -> Outcome:
    bag = split.bags[index]
    events = [] if np.isnan(threshold) else proposals(split, index, threshold)
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
