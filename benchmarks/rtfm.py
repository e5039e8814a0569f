"""RTFM on the same bags as ours, its step chosen by two rules: the strongest peer on text bags.

RTFM (Tian et al., ICCV 2021) is written here after its paper in PyTorch, which must be installed;
its sizes and weights of losses are the published ones, the input width is the data's. Each seed is
looked at every five steps, and two of its steps are reported: the one that video-level labels
choose, as ours are chosen, and the one with the highest frame AUC on the reported videos
themselves, as the published training code keeps it. The second is optimistic.

    python -m benchmarks.rtfm --data_dir=data --dataset=ucf_text --split=val

Prints a table and, as the last line, the same numbers as JSON. On two cores a seed takes minutes.
Axis letters: B videos, T segments, D channels.
"""

import importlib.util
import json
from collections.abc import Iterator

import numpy as np
from absl import flags

from refinevad_jax.command_line import run
from refinevad_jax.data.bags import Bag, read_info, read_split
from refinevad_jax.data.batches import resample
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation import protocol
from refinevad_jax.evaluation.frame_metrics import average_precision, roc_auc

DATA_DIR = flags.DEFINE_string("data_dir", "data", "Where data sets were packaged.")
DATASET = flags.DEFINE_string("dataset", "ucf_text", "Name of the data set.")
SPLIT = flags.DEFINE_string("split", "val", "Split with frame truth, never 'test'.")
SEEDS = flags.DEFINE_integer("seeds", 5, "Seeds 0 to this less one.", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 700, "Steps of each seed.", lower_bound=5)

NUM_SEGMENTS, HALF_BATCH, TOP = 32, 32, 3
LOOK_EVERY = 5
COLUMNS = ("video AUC", "frame AUC", "frame AP", "AUC, anomalous videos")


class Judge:
    """Metrics of [V, 32] scores on a split."""

    def __init__(self, bags: list[Bag], frames_per_segment: int) -> None:
        self._bags = bags
        self._lengths = [
            protocol.evaluated_length(bag.num_segments, frames_per_segment) for bag in bags
        ]
        self._known = [index for index, bag in enumerate(bags) if bag.has_truth]

    def __call__(self, scores: np.ndarray) -> list[float]:
        """The values of COLUMNS."""
        labels = np.array([bag.anomalous for bag in self._bags])
        videos = np.sort(scores, axis=1)[:, -TOP:].mean(axis=1)
        anomalous = [index for index in self._known if labels[index]]
        truth, all_scores = self._frames(self._known, scores)
        return [
            roc_auc(labels, videos),
            roc_auc(truth, all_scores),
            average_precision(truth, all_scores),
            roc_auc(*self._frames(anomalous, scores)),
        ]

    def _frames(self, videos: list[int], scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        truth = [protocol.frame_truth(self._bags[i].spans, self._lengths[i]) for i in videos]
        spread = [protocol.resampled_to_frame_scores(scores[i], self._lengths[i]) for i in videos]
        return np.concatenate(truth), np.concatenate(spread)


def main() -> None:
    """Trains the seeds one after the other and prints the table."""
    if importlib.util.find_spec("torch") is None:
        raise UserError("RTFM is written in PyTorch; pip install torch")
    if SPLIT.value == "test":
        raise UserError(
            "--split=test: a step is chosen on this split; use one that is not the test"
        )
    info = read_info(DATA_DIR.value, DATASET.value)
    train, held = (read_split(DATA_DIR.value, info.name, name) for name in ("train", SPLIT.value))
    features = np.stack(
        [resample(bag.features, NUM_SEGMENTS)[0].astype(np.float32) for bag in train]
    )
    looked_at = np.stack(
        [resample(bag.features, NUM_SEGMENTS)[0].astype(np.float32) for bag in held]
    )
    anomalous = np.array([bag.anomalous for bag in train])
    judge = Judge(held, info.frames_per_segment)
    chosen: dict[str, list[list[float]]] = {"video AUC": [], "frame AUC of the same videos": []}
    for seed in range(SEEDS.value):
        looks = np.array([judge(s) for s in _looks(features, anomalous, looked_at, seed)])
        for rule, column in zip(chosen, (0, 1), strict=True):
            chosen[rule].append(looks[looks[:, column].argmax()].tolist())
            print(f"seed {seed}, step by {rule}: {_in_words(chosen[rule][-1])}", flush=True)
    print(f"\nRTFM, {info.name} {SPLIT.value!r}, {SEEDS.value} seeds, {STEPS.value} steps")
    for rule, rows in chosen.items():
        values = np.array(rows)
        spread = values.std(axis=0, ddof=min(1, len(values) - 1))
        found = zip(COLUMNS, values.mean(axis=0), spread, strict=True)
        print(f"step by {rule}: " + ", ".join(f"{n} {m:.3f} ± {s:.3f}" for n, m, s in found))
    print(json.dumps({"columns": COLUMNS, "steps": STEPS.value, "chosen_by": chosen}))


def _in_words(values: list[float]) -> str:
    return ", ".join(f"{n} {v:.3f}" for n, v in zip(COLUMNS, values, strict=True))


def _looks(
    features: np.ndarray, anomalous: np.ndarray, looked_at: np.ndarray, seed: int
) -> Iterator[np.ndarray]:
    """Trains a seed and gives the scores [V, 32] of looked_at [V, 32, D] every five steps."""
    import torch

    from benchmarks import rtfm_network

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = rtfm_network.Network(features.shape[-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=5e-3)
    lists = [_endless(np.flatnonzero(chosen), rng) for chosen in (~anomalous, anomalous)]
    held = torch.from_numpy(looked_at)
    for step in range(1, STEPS.value + 1):
        network.train()
        batch = np.concatenate([next(rows) for rows in lists])
        loss = rtfm_network.loss(network, torch.from_numpy(features[batch]), TOP)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % LOOK_EVERY == 0:
            network.eval()
            with torch.no_grad():
                yield network(held)[1].numpy()


def _endless(rows: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Half batches of a list, shuffled again at every pass."""
    while True:
        order = rng.permutation(rows)
        for start in range(0, len(order) - HALF_BATCH + 1, HALF_BATCH):
            yield order[start : start + HALF_BATCH]


if __name__ == "__main__":
    run(main)
