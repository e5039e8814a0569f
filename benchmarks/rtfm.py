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

from refinevad_jax.data.bags import Bag, BagsInfo, read_info, read_split
from refinevad_jax.data.batches import resample
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.metrics.names import measured
from refinevad_jax.runtime.command_line import run

DATA_DIR = flags.DEFINE_string("data_dir", "data", "Where data sets were packaged.")
DATASET = flags.DEFINE_string("dataset", "ucf_text", "Name of the data set.")
SPLIT = flags.DEFINE_string("split", "val", "Split with frame truth, never 'test'.")
SEEDS = flags.DEFINE_integer("seeds", 5, "How many seeds, from 0.", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 700, "Steps of each seed.", lower_bound=5)

NUM_SEGMENTS, HALF_BATCH, TOP = 32, 32, 3
LOOK_EVERY = 5
KEYS = ("video_auc", "frame_auc", "frame_ap", "anomalous_frame_auc")
COLUMNS = ("video AUC", "frame AUC", "frame AP", "AUC, anomalous videos")


def judged(info: BagsInfo, bags: list[Bag], scores: np.ndarray) -> list[float]:
    """The values of COLUMNS for scores [V, 32] of a split."""
    nothing = np.zeros(0)
    results = [
        VideoScores(row, float(np.sort(row)[-TOP:].mean()), nothing, nothing, nothing)
        for row in scores
    ]
    split = ScoredSplit(info, bags, results, resampled=True)
    found = measured(split.arrays)
    return [found[key] for key in KEYS]


def resampled(bags: list[Bag]) -> np.ndarray:
    """[V, 32, D] float32, of the first crop."""
    return np.stack([resample(bag.features, NUM_SEGMENTS)[0] for bag in bags]).astype(np.float32)


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
    features, looked_at = resampled(train), resampled(held)
    anomalous = np.array([bag.anomalous for bag in train])
    chosen: dict[str, list[list[float]]] = {"video AUC": [], "frame AUC of the same videos": []}
    for seed in range(SEEDS.value):
        looks = np.array(
            [judged(info, held, s) for s in _looks(features, anomalous, looked_at, seed)]
        )
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
