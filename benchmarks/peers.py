"""Trains other systems on packaged bags and judges them by our rule: the command of each.

The step of a seed is the one with the highest video AUC on a selection list, as ours is, the later
of two equals. Categories are not part of these systems: those of `linear_mil.category_probs` are
given to all, so that mAP@IoU has a value. Of several crops the first is read, in training and
scoring. V videos, T bins, C categories, D channels.
"""

import dataclasses
import importlib
import importlib.util
import io
import pathlib
import zipfile
from typing import Any

import numpy as np
from absl import flags

from benchmarks.linear_mil import category_probs
from benchmarks.peer_numbers import COLUMNS, as_split, numbers, report, resampled
from refinevad_jax.data.bags import Bag, BagsInfo, read_info, read_split
from refinevad_jax.data.batches import check_both_kinds
from refinevad_jax.data.hold_out import faults, hold_out
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.scoring import top_k_mean
from refinevad_jax.files.staged import require_writable, write_bytes
from refinevad_jax.metrics.frames import rank

flags.disclaim_key_flags()  # they belong to the command
HELD_OUT = 0.1  # of the training videos, as `data.selection_fraction`
TOP_DIVISOR = 16  # a video's score is the mean of its T // 16 + 1 highest, 3 of 32
BY_LABELS, BY_FRAMES = "step by video AUC", "step by frame AUC of the same videos, optimistic"


def data_flags() -> None:
    """The flags of every command here: which bags, and how they are read."""
    flags.DEFINE_string("data_dir", "data", "Where data sets were packaged.")
    flags.DEFINE_string("dataset", "ucf_text", "Name of the data set.")
    flags.DEFINE_list("split", "val", "Splits with frame truth, which are reported.")
    flags.DEFINE_integer("num_segments", 32, "Bins of every video.", lower_bound=2)
    flags.DEFINE_string(
        "save_scores",
        "",
        "Folder for the scores of each split and seed, at the step that video labels chose: files "
        "for 'evaluate --scores'.",
    )


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
class Task:
    """What the flags of these names say; no seeds and steps for what is not trained in steps."""

    data_dir: str
    dataset: str
    split: list[str]
    num_segments: int = 32
    selection_split: str = ""
    seeds: int = 0
    steps: int = 0
    save_scores: str = ""

    @classmethod
    def of_flags(cls) -> "Task":
        """As the command was called."""
        names = [field.name for field in dataclasses.fields(cls) if field.name in flags.FLAGS]
        if flags.FLAGS.save_scores:
            require_writable("save_scores", pathlib.Path(flags.FLAGS.save_scores))
        return cls(**{name: getattr(flags.FLAGS, name) for name in names})

    def read(self, split: str) -> "Videos":
        """A split of the data set."""
        bags = read_split(self.data_dir, self.dataset, split)
        return Videos(bags, resampled(bags, self.num_segments))

    @property
    def settings(self) -> dict[str, object]:
        """What numbers depend on: no path of one machine."""
        places = ("data_dir", "save_scores")
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in places}

    def save(self, name: str, videos: "Videos", scores: np.ndarray) -> None:
        """Writes scores [V, T] to NAME.npz, an array under the id of each video, if asked to."""
        if self.save_scores:
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w") as packed:  # savez takes no array named "file"
                for bag, row in zip(videos.bags, scores, strict=True):
                    with packed.open(f"{bag.video_id}.npy", "w") as file:
                        np.lib.format.write_array(file, row)
            write_bytes(pathlib.Path(self.save_scores) / f"{name}.npz", content.getvalue())


@dataclasses.dataclass(frozen=True)
class Videos:
    """A list of videos in bins: features [V, T, D] float32."""

    bags: list[Bag]
    features: np.ndarray

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


def read_reported(task: Task) -> tuple[BagsInfo, Videos, dict[str, Videos]]:
    """Description of the data set, its training videos, and those of the reported splits by name.

    Raises UserError if training videos are of one kind, a split has no frame truth, or
    scikit-learn, which every system here takes for categories, is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise UserError(
            "categories are a logistic regression of scikit-learn; pip install scikit-learn"
        )
    info = read_info(task.data_dir, task.dataset)
    train, held = task.read("train"), {name: task.read(name) for name in task.split}
    if not held:
        raise UserError("--split: name at least one split, as --split=val")
    check_both_kinds(train.bags)
    for name, videos in held.items():
        if not any(bag.has_truth for bag in videos.bags):
            raise UserError(f"--split={name}: no video of it has frame truth")
    return info, train, held


def run_system(name: str, module: str, task: Task) -> str:
    """Trains the seeds of a system one after the other, prints each, and returns the table.

    module: of this package, with a class Network as `peer_training.Peer` asks.
    """
    if task.selection_split == "test":
        raise UserError("--selection_split=test: nothing is chosen on the test split")
    if importlib.util.find_spec("torch") is None:
        raise UserError(f"{name} is written in PyTorch; pip install torch")
    info, train, held = read_reported(task)
    selection = None if task.selection_split == "train" else _selection(task, held)
    probs = {
        split: category_probs(train.features, train.labels, videos.features)
        for split, videos in held.items()
    }
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(task.seeds):
        trained, chosen_on = (train, selection) if selection else _hold_out(train, seed)
        network = importlib.import_module(f"benchmarks.{module}").Network
        best = _best(network, info, trained, chosen_on, held, seed, task.steps)
        for (split, rule), (step, scores) in best.items():
            found = numbers(info, held[split].bags, scores, _video_scores(scores), probs[split])
            rows.setdefault(f"{split}, {rule}", []).append({**found, "step": step})
            if rule == BY_LABELS:
                task.save(f"{module}-{info.name}-{split}-seed{seed}", held[split], scores)
            words = ", ".join(f"{title} {found[key]:.3f}" for key, title in COLUMNS.items())
            print(f"seed {seed}, {split}, {rule}, step {step}: {words}", flush=True)
    title = (
        f"\n{name}, {info.name}, {task.num_segments} bins, {task.seeds} seeds of {task.steps} "
        f"steps, step chosen on {task.selection_split!r}, mean ± deviation; categories by "
        "logistic regression\n\n"
    )
    return title + report(name, rows, task.settings | {"system": name})


def _selection(task: Task, held: dict[str, Videos]) -> Videos:
    """The videos that choose the step; if they are reported too, the same object."""
    name = task.selection_split
    found = held[name] if name in held else task.read(name)
    if len(set(found.anomalous)) == 1:
        raise UserError(
            f"--selection_split={name}: its videos are all of one kind; a step is chosen "
            "by how well it tells normal from anomalous ones"
        )
    return found


def _hold_out(train: Videos, seed: int) -> tuple[Videos, Videos]:
    """Training videos and those held out, as a run of ours holds them out."""
    ids = hold_out(train.bags, HELD_OUT, seed)
    for fault in faults(train.bags, ids):
        print(f"warning: {fault}", flush=True)
    left_out = np.array([bag.video_id in ids for bag in train.bags])
    trained = train.those(~left_out)
    check_both_kinds(trained.bags)
    return trained, train.those(left_out)


def _video_scores(scores: np.ndarray) -> np.ndarray:
    """[V] of [V, T]."""
    return np.asarray(top_k_mean(scores.T, TOP_DIVISOR))


def _best(
    network: Any,
    info: BagsInfo,
    train: Videos,
    selection: Videos,
    held: dict[str, Videos],
    seed: int,
    steps: int,
) -> dict[tuple[str, str], tuple[int, np.ndarray]]:
    """By split and rule, the step that the rule chooses and the scores [V, T] of the split there.

    The rule by frame AUC is that of a split which is also the selection.
    """
    from benchmarks.peer_training import looks

    best = {BY_LABELS: -1.0, BY_FRAMES: -1.0}
    found = {}
    for step, score in looks(network, train.features, train.labels, steps, seed):
        scores = score(selection.features)
        value = rank(selection.anomalous, _video_scores(scores)).roc_auc()
        if value >= best[BY_LABELS]:
            best[BY_LABELS] = value
            for split, videos in held.items():
                own = scores if videos is selection else score(videos.features)
                found[split, BY_LABELS] = step, own
        for split, videos in held.items():
            if videos is not selection:
                continue
            value = as_split(info, videos.bags, scores).arrays.ranking.roc_auc()
            if value >= best[BY_FRAMES]:
                best[BY_FRAMES] = value
                found[split, BY_FRAMES] = step, scores
    return found
