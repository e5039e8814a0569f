"""Chooses the parameters of `propose_events` on one half of a split, measures on the other.

Videos go to the two halves in turn: first those with spans, then the others, each in the order of
their labels and ids. So both halves have about as many of every label. The choice starts with the
first value of every parameter. It goes through the parameters one after the other and takes the
value that raises the mean of mAP@IoU, by category and without.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.numbers import mean_average_precisions
from refinevad_jax.evaluation.scored_split import ScoredSplit, stored_split
from refinevad_jax.metrics.events import RULE, ProposalRule
from refinevad_jax.metrics.localization import IOU_THRESHOLDS
from refinevad_jax.report.tables import markdown_table
from refinevad_jax.runs.evaluations import damaged, read_evaluation

# The first values are where the choice starts.
VALUES: dict[str, tuple[Any, ...]] = {
    "absolute_levels": ((), (0.1, 0.3, 0.5, 0.7, 0.9)),
    "relative_levels": ((0.0, 0.2, 0.4, 0.6, 0.8), (0.0, 0.4, 0.7), (0.0, 0.3, 0.5, 0.7, 0.9)),
    "surroundings": (0.25, 0.5, 1.0, 2.0),
    "max_overlap": (0.45, 0.2, 0.3, 0.6),
    "peak_weight": (0.5, 0.25, 0.0),
    "merge_gap": (0.0, 0.1, 0.2),
    "smoothing": (0.02, 0.0, 0.01, 0.04),
}
CONVENTIONS = ("anomaly", "class_agnostic")


def read_scored(folder: pathlib.Path) -> ScoredSplit:
    """The videos with truth of an evaluation folder, in the order of their ids; no features.

    Raises UserError if it is damaged, of a test split, or without truth.
    """
    metrics, arrays = read_evaluation(folder)
    with damaged(folder):
        of_test = metrics["split"] == "test"
        split = stored_split(metrics, arrays)
    if of_test:
        raise UserError(f"{folder}: of a test split; nothing is chosen on it, evaluate val")
    with_spans = [index for index in split.known if len(split.bags[index].spans)]
    if len(with_spans) < 2:
        raise UserError(
            f"{folder}: {len(with_spans)} videos with annotated events; two are needed, one to "
            "choose on and one to measure on"
        )
    return chosen(split, sorted(split.known, key=lambda index: split.bags[index].video_id))


def halves(split: ScoredSplit) -> tuple[ScoredSplit, ScoredSplit]:
    """Every second video of every kind and label: from the first on, and from the second on.

    Two videos with spans are enough for both halves to have one.
    """
    bags = split.bags
    order = sorted(
        range(len(bags)),
        key=lambda index: (not len(bags[index].spans), bags[index].label, bags[index].video_id),
    )
    first, second = (chosen(split, order[start::2]) for start in (0, 1))
    return first, second


def chosen(split: ScoredSplit, indices: Sequence[int]) -> ScoredSplit:
    """A split of some of the videos, in that order."""
    return dataclasses.replace(
        split,
        bags=[split.bags[index] for index in indices],
        results=[split.results[index] for index in indices],
    )


def choose(
    splits: Sequence[ScoredSplit], progress: Callable[[str], Any] = lambda text: None
) -> ProposalRule:
    """The best parameters over splits, which are the same videos scored by several seeds."""
    rule = ProposalRule(**{key: values[0] for key, values in VALUES.items()})
    best = quality(splits, rule)
    for key, values in VALUES.items():
        for value in values[1:]:
            other = dataclasses.replace(rule, **{key: value})
            found = quality(splits, other)
            if found > best:
                rule, best = other, found
        progress(f"{key}={getattr(rule, key)}: {100 * best:.2f}")
    return rule


def quality(splits: Sequence[ScoredSplit], rule: ProposalRule) -> float:
    """Mean over IoU 0.1 to 0.5, conventions and splits of mAP."""
    return float(np.mean(list(measured(splits, "proposals", rule).values())))


def measured(
    splits: Sequence[ScoredSplit], rule: str, parameters: ProposalRule = RULE
) -> dict[str, np.ndarray]:
    """[5] mAP at each IoU by convention, mean over splits."""
    found = [mean_average_precisions(split, rule, parameters) for split in splits]
    return {
        name: np.mean([values[name] for values in found], axis=0)
        for name in CONVENTIONS
        if name in found[0]
    }


def report(splits: Sequence[ScoredSplit], progress: Callable[[str], Any]) -> str:
    """Chooses on each half, measures both rules on the other, and chooses on all.

    Returns Markdown, mAP in percent.
    """
    first, second = zip(*map(halves, splits), strict=True)
    header = ["measured on", "rule", "convention", *map(str, IOU_THRESHOLDS), "mean"]
    rows: list[list[str]] = []
    notes = []
    parts = (("first half", first, second), ("second half", second, first), ("all", splits, ()))
    for name, own, others in parts:
        progress(f"choosing on {name}")
        rule = choose(own, progress)
        spans = sum(len(bag.spans) for bag in own[0].bags)
        notes.append(f"- chosen on {name}, {len(own[0].bags)} videos, {spans} spans: {rule}")
        if others:
            place = next(part[0] for part in parts if part[1] is others)
            rows += _rows(place, "published", measured(others, "legacy"))
            rows += _rows(place, f"chosen on {name}", measured(others, "proposals", rule))
    rows += _rows("all", "published", measured(splits, "legacy"))
    rows += _rows("all", "as it is", measured(splits, "proposals"))
    notes.append(f"- mean over {len(splits)} evaluations of {splits[0].info.name}")
    return "\n".join([*markdown_table(header, rows), "", *notes]) + "\n"


def _rows(place: str, rule: str, values: dict[str, np.ndarray]) -> list[list[str]]:
    return [
        [place, rule, convention, *(f"{100 * v:.2f}" for v in [*value, value.mean()])]
        for convention, value in values.items()
    ]
