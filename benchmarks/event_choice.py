"""Chooses the parameters of `propose_events` on one half of a split, measures on the other.

Videos are halved in turn, in the order of their ids. The choice goes parameter by parameter, from
the first value of each, and takes what raises the mean of mAP@IoU by category and without.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.event_metrics import mean_average_precisions
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.metrics.events import RULE, ProposalRule
from refinevad_jax.metrics.localization import IOU_THRESHOLDS

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

    Raises UserError where it is damaged, of a test split, or without truth.
    """
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        arrays = load_packed(folder / "scores.npz")
        if metrics["split"] == "test":
            raise UserError(f"{folder}: of a test split; nothing is chosen on it, evaluate val")
        known = np.flatnonzero(arrays["has_truth"]).tolist()
        if len(known) < 2:
            raise UserError(f"{folder}: {len(known)} videos with annotated frames; two are needed")
        videos = sorted((_video(arrays, i, metrics) for i in known), key=lambda v: v[0].video_id)
        categories = tuple(arrays["categories"].tolist())
        named = metrics["category_accuracy"] is not None
        name = str(metrics["dataset"])
        info = BagsInfo(name, Taxonomy(name, categories, categories), ())
        info = dataclasses.replace(info, frames_per_segment=int(metrics["frames_per_segment"]))
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{folder}: no evaluation that can be read ({reason})") from error
    bags, results, maps = zip(*videos, strict=True)
    given = list(maps) if maps[0] is not None else None
    return ScoredSplit(info, list(bags), list(results), True, named, given)


def halves(split: ScoredSplit) -> tuple[ScoredSplit, ScoredSplit]:
    """Every second video from the first on, and from the second on."""
    first, second = (
        dataclasses.replace(
            split,
            bags=split.bags[i::2],
            results=split.results[i::2],
            category_maps=split.category_maps and split.category_maps[i::2],
        )
        for i in (0, 1)
    )
    return first, second


def choose(
    splits: Sequence[ScoredSplit], progress: Callable[[str], Any] = lambda text: None
) -> ProposalRule:
    """The parameters that do best over splits, the same videos scored by several seeds."""
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
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    notes = []
    parts = (("first half", first, second), ("second half", second, first), ("all", splits, ()))
    for name, own, others in parts:
        progress(f"choosing on {name}")
        rule = choose(own, progress)
        spans = sum(len(bag.spans) for bag in own[0].bags)
        notes.append(f"- chosen on {name}, {len(own[0].bags)} videos, {spans} spans: {rule}")
        if others:
            place = next(part[0] for part in parts if part[1] is others)
            lines += _rows(place, "published", measured(others, "legacy"))
            lines += _rows(place, f"chosen on {name}", measured(others, "proposals", rule))
    lines += _rows("all", "published", measured(splits, "legacy"))
    lines += _rows("all", "as it stands", measured(splits, "proposals"))
    notes.append(f"- mean over {len(splits)} evaluations of {splits[0].info.name}")
    return "\n".join([*lines, "", *notes]) + "\n"


def _rows(place: str, rule: str, values: dict[str, np.ndarray]) -> list[str]:
    return [
        f"| {place} | {rule} | {convention} | "
        + " | ".join(f"{100 * v:.2f}" for v in [*value, value.mean()])
        + " |"
        for convention, value in values.items()
    ]


def _video(
    arrays: dict[str, np.ndarray], i: int, metrics: dict[str, Any]
) -> tuple[Bag, VideoScores, np.ndarray | None]:
    own = slice(*arrays["offsets"][i : i + 2])
    scores = arrays["scores"][own]
    spans = arrays["spans"][slice(*arrays["span_offsets"][i : i + 2])]
    frames = int(arrays["evaluated_frames"][i])
    segments = frames // metrics["frames_per_segment"]
    bag = Bag(
        video_id=str(arrays["video_ids"][i]),
        label="",
        labels=arrays["labels"][i],
        features=np.zeros((1, segments, 0), np.float16),
        num_frames=frames,
        fps=0.0,
        spans=spans,
        has_truth=True,
    )
    result = VideoScores(
        scores=scores,
        video_score=float(arrays["video_scores"][i]),
        category_probs=arrays["category_probs"][i],
        category_weights=arrays["category_weights"][i],
        shift_ratio=np.zeros_like(scores),
    )
    return bag, result, _of(arrays, "category_maps", own)


def _of(arrays: dict[str, np.ndarray], name: str, own: slice) -> np.ndarray | None:
    """The rows of a video in an array that not every evaluation has."""
    return arrays[name][own] if name in arrays else None
