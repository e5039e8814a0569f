"""Trains other systems on packaged bags and judges them by our rule: the command of each.

The step of a seed is the one with the highest video AUC on a selection list, as ours is, the later
of two equals. Categories are not part of these systems: those of `linear_mil.category_probs` are
given to all, so that mAP@IoU has a value. Of several crops the first is read, in training and
scoring. V videos, T bins, C categories, D channels.
"""

import dataclasses
import importlib
import importlib.util
import time

import numpy as np
from absl import flags

from benchmarks.linear_mil import category_probs
from benchmarks.peer_numbers import COLUMNS, numbers, report, resampled
from refinevad_jax.data.bags import Bag, BagsInfo, read_info, read_split
from refinevad_jax.data.batches import check_both_kinds
from refinevad_jax.data.hold_out import faults, hold_out
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores, top_k_mean
from refinevad_jax.metrics.frames import rank

flags.disclaim_key_flags()  # they belong to the command
HELD_OUT = 0.1  # of the training videos, as `data.selection_fraction`
TOP_DIVISOR = 16  # a video's score is the mean of its T // 16 + 1 highest, 3 of 32
BY_LABELS, BY_FRAMES = "step by video AUC", "step by frame AUC of the same videos, optimistic"


def data_flags() -> None:
    """The flags of every command here: which bags, and how they are read."""
    flags.DEFINE_string("data_dir", "data", "Where data sets were packaged.")
    flags.DEFINE_string("dataset", "ucf_text", "Name of the data set.")
    flags.DEFINE_string("split", "val", "Split with frame truth, which is reported.")
    flags.DEFINE_integer("num_segments", 32, "Bins of every video.", lower_bound=2)


def training_flags(steps: int) -> None:
    """And those of a system that is trained. steps: of a seed, if the flag does not say."""
    flags.DEFINE_string(
        "selection_split",
        "val",
        "Split whose video-level labels choose the step; 'train' holds out a tenth of it.",
    )
    flags.DEFINE_integer("seeds", 5, "How many seeds, from 0.", lower_bound=1)
    flags.DEFINE_integer("steps", steps, "Steps of each seed.", lower_bound=1)


@dataclasses.dataclass(frozen=True)
class Videos:
    """A list of videos in bins: features [V, T, D] float32."""

    bags: list[Bag]
    features: np.ndarray

    @classmethod
    def read(cls, split: str) -> "Videos":
        """A split of the data set that the flags name."""
        values = flags.FLAGS
        bags = read_split(values.data_dir, values.dataset, split)
        return cls(bags, resampled(bags, values.num_segments))

    @property
    def labels(self) -> np.ndarray:
        """[V, C] bool."""
        return np.stack([bag.labels for bag in self.bags])

    @property
    def anomalous(self) -> np.ndarray:
        """[V] bool."""
        return self.labels.any(axis=1)

    def those(self, chosen: np.ndarray) -> "Videos":
        """Some of them. chosen: [V] bool."""
        bags = [bag for bag, kept in zip(self.bags, chosen, strict=True) if kept]
        return Videos(bags, self.features[chosen])


def read_reported() -> tuple[BagsInfo, Videos, Videos]:
    """Description of the data set, its training videos and those that are reported.

    Raises UserError if training videos are of one kind, or the split has no frame truth.
    """
    values = flags.FLAGS
    info = read_info(values.data_dir, values.dataset)
    train, held = Videos.read("train"), Videos.read(values.split)
    check_both_kinds(train.bags)
    if not any(bag.has_truth for bag in held.bags):
        raise UserError(f"--split={values.split}: no video of it has frame truth")
    return info, train, held


def run_system(name: str, module: str) -> None:
    """Trains the seeds of a system one after the other and prints the table.

    module: of this package, with a class Network as `peer_training.Peer` asks.
    """
    values = flags.FLAGS
    if importlib.util.find_spec("torch") is None:
        raise UserError(f"{name} is written in PyTorch; pip install torch")
    if values.selection_split == "test":
        raise UserError("--selection_split=test: nothing is chosen on the test split")
    info, train, held = read_reported()
    selection = None
    if values.selection_split != "train":
        same = values.selection_split == values.split
        selection = held if same else Videos.read(values.selection_split)
        check_both_kinds(selection.bags)
    probs = category_probs(train.features, train.labels, held.features)
    rows: dict[str, list[dict[str, float]]] = {BY_LABELS: []}
    if selection is held:
        rows[BY_FRAMES] = []
    for seed in range(values.seeds):
        start = time.perf_counter()
        trained, chosen_on = (train, selection) if selection else _hold_out(train, seed)
        for rule, (step, scores) in _best(module, trained, chosen_on, held, info, seed).items():
            found = numbers(info, held.bags, scores, _video_scores(scores), probs)
            rows[rule].append({**found, "step": step})
            words = ", ".join(f"{title} {found[key]:.3f}" for key, title in COLUMNS.items())
            print(f"seed {seed}, {rule}, step {step}: {words}", flush=True)
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)
    settings = {
        key: getattr(values, key)
        for key in ("dataset", "split", "selection_split", "num_segments", "seeds", "steps")
    }
    crops = held.bags[0].features.shape[0]
    print(
        f"\n{name}, {info.name} {values.split!r}, {values.num_segments} bins, {values.seeds} seeds "
        f"of {values.steps} steps, step chosen on {values.selection_split!r}, mean ± deviation; "
        f"categories by logistic regression{f'; the first of {crops} crops' if crops > 1 else ''}\n"
    )
    print(report(name, rows, {"system": name, **settings}))


def _hold_out(train: Videos, seed: int) -> tuple[Videos, Videos]:
    """Training videos and those held out, as a run of ours holds them out."""
    ids = hold_out(train.bags, HELD_OUT, seed)
    for fault in faults(train.bags, ids):
        print(f"warning: {fault}", flush=True)
    left_out = np.array([bag.video_id in ids for bag in train.bags])
    parts = train.those(~left_out), train.those(left_out)
    for part in parts:
        check_both_kinds(part.bags)
    return parts


def _video_scores(scores: np.ndarray) -> np.ndarray:
    """[V] of [V, T]."""
    return np.asarray(top_k_mean(scores.T, TOP_DIVISOR))


def _best(
    module: str, train: Videos, selection: Videos, held: Videos, info: BagsInfo, seed: int
) -> dict[str, tuple[int, np.ndarray]]:
    """By rule, the step that it chooses and the scores [V, T] of the held videos there."""
    from benchmarks.peer_training import looks

    network = importlib.import_module(f"benchmarks.{module}").Network
    best: dict[str, tuple[float, int, np.ndarray]] = {}
    anomalous = selection.anomalous
    for step, score in looks(network, train.features, train.labels, flags.FLAGS.steps, seed):
        found = score(selection.features)
        values = {BY_LABELS: rank(anomalous, _video_scores(found)).roc_auc()}
        if selection is held:
            values[BY_FRAMES] = _frame_auc(info, held.bags, found)
        for rule, value in values.items():
            if rule not in best or value >= best[rule][0]:
                scores = found if selection is held else score(held.features)
                best[rule] = value, step, scores
    return {rule: (step, scores) for rule, (_, step, scores) in best.items()}


def _frame_auc(info: BagsInfo, bags: list[Bag], scores: np.ndarray) -> float:
    none = np.zeros(0)
    results = [VideoScores(row, 0.0, none, none, none) for row in scores]
    return ScoredSplit(info, bags, results, resampled=True).arrays.ranking.roc_auc()
