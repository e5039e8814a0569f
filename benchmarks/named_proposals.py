"""Proposals named by their video or by their own segments: for `benchmarks.proposal_categories`.

C categories, E proposals of a video.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from ml_collections import ConfigDict

from benchmarks.event_choice import chosen
from refinevad_jax.data.bags import Bag, read_info
from refinevad_jax.data.hold_out import hold_out
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.numbers import HIGH_IOU, NO_CATEGORY
from refinevad_jax.evaluation.run import score
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import Pooling, Scorer
from refinevad_jax.metrics import localization
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import read_run

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
# From the shares of the video [C] and of each proposal's own segments [E, C] to those taken.
RULES: dict[str, Rule] = {
    "video": lambda video, own: np.broadcast_to(video, own.shape),
    "proposal": lambda video, own: own,
    "both": lambda video, own: (video + own) / 2,
}


@dataclasses.dataclass(frozen=True)
class Proposals:
    """Of one video, by falling worth.

    Attributes:
        start, end: [E] frames, end exclusive.
        worth: [E].
        video: [C] shares of the video's category probabilities.
        own: [E, C] those of the proposal's own segments.
    """

    start: np.ndarray
    end: np.ndarray
    worth: np.ndarray
    video: np.ndarray
    own: np.ndarray


def measured(workdir: pathlib.Path, split: str, *, with_truth: bool) -> dict[str, list[float]]:
    """By rule: category accuracy and, with truth, what `located` gives."""
    run = read_run(workdir)
    if not run.model_config.has_core:
        raise UserError(f"{workdir}: a run without CORE names no category")
    data_dir = run.config.data.data_dir
    info = read_info(data_dir, run.config.data.dataset)
    scored, rule = score(run, workdir, "best", info, data_dir, split)
    scored = dataclasses.replace(scored, bags=run.inputs(scored.bags))  # of which windows are cut
    if split == run.config.data.train_split:
        scored = held_out_of(scored, run.config)
    if with_truth and not scored.known:
        raise UserError(f"--truth: no video of {info.name!r}, split {split!r}, has frame truth")
    graphdef, params, _ = restore(run, workdir, "best")
    scorer = Scorer(graphdef, pooling=Pooling.of(run.config.loss))

    def named(windows: list[Bag]) -> np.ndarray:
        """[W, C] category probabilities of bags, at the run's resolution."""
        options = {"columns": run.columns(), "num_segments": rule.num_segments}
        return np.stack([one.category_probs for one in scorer(params, windows, **options)])

    found = proposals(scored, named)
    values: dict[str, list[float]] = {}
    for name, of in RULES.items():
        right = [
            bag.labels[of(one.video, one.own)[0].argmax()]
            for bag, one in zip(scored.bags, found, strict=True)
            if bag.anomalous
        ]
        values[name] = [float(np.mean(right))]
        if with_truth:
            values[name] += located(scored, found, of)
    return values


def held_out_of(scored: ScoredSplit, config: ConfigDict) -> ScoredSplit:
    """The videos of the training list that the run held out to choose its checkpoint.

    Raises UserError if it held out none.
    """
    data = config.data
    if data.selection_split != data.train_split:
        raise UserError(f"--split={data.train_split}: the run has trained on all of these videos")
    ids = hold_out(scored.bags, data.selection_fraction, config.seed)
    return chosen(scored, [i for i, bag in enumerate(scored.bags) if bag.video_id in ids])


def proposals(scored: ScoredSplit, named: Callable[[list[Bag]], np.ndarray]) -> list[Proposals]:
    """Of every video. named: [W, C] category probabilities of W bags."""
    windows, events = [], []
    size = scored.info.frames_per_segment
    for index, bag in enumerate(scored.bags):
        events.append(scored.events(index, evidence=NO_CATEGORY))
        for event in events[-1]:
            first, last = event.start // size, -(-event.end // size)
            windows.append(dataclasses.replace(bag, features=bag.features[:, first:last]))
    shares = named(windows)
    shares = shares / shares.sum(axis=1, keepdims=True)
    parts = np.split(shares, np.cumsum([len(found) for found in events])[:-1])
    return [
        Proposals(
            start=np.array([event.start for event in found]),
            end=np.array([event.end for event in found]),
            worth=np.array([event.score for event in found]),
            video=result.category_probs / result.category_probs.sum(),
            own=own,
        )
        for found, result, own in zip(events, scored.results, parts, strict=True)
    ]


def located(scored: ScoredSplit, found: Sequence[Proposals], of: Rule) -> list[float]:
    """mAP of the anomaly categories at each IoU, their mean, and the mean of 0.3 to 0.5."""
    rows = []
    for number, index in enumerate(scored.known):
        one = found[index]
        values = one.worth[:, None] * of(one.video, one.own)
        event, category = np.nonzero(values)
        columns = np.full(len(event), number), category + 1, one.start[event], one.end[event]
        rows.append([*columns, values[event, category]])
    joined = [np.concatenate(column) for column in zip(*rows, strict=True)]
    values = localization.anomaly_mean_average_precision(
        localization.average_precisions(
            localization.Detections(*joined),
            localization.truth_from_spans([scored.bags[index].spans for index in scored.known]),
            num_categories=scored.info.taxonomy.num_categories + 1,
        )
    )
    high = values[np.array(localization.IOU_THRESHOLDS) >= HIGH_IOU]
    return [*values.tolist(), float(values.mean()), float(high.mean())]
