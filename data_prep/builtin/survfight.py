"""Surveillance fights: I3D features of clips of two seconds, put together into bags.

300 clips, half of them fights, each with the YouTube video that it was cut from. Features and
labels of the snippets (16 frames) are real. The arrangement into bags is made up: clips follow each
other that were never one video. No source video is in two splits:

test     the bags that came with the features, 32 snippets each, of 25 sources
val      bags of every fourth of the other sources, composed here
train    bags of the rest, composed here

A composed bag has 3 to 64 snippets. A normal one is clips without a fight, an anomalous one is one
stretch of fight clips of a source, a tenth of the bag to all of it, between normal clips: those of
the same source first in every other bag.

L snippets of a bag, S snippets of all clips.
"""

import functools
import math
import pathlib
from collections.abc import Mapping

import numpy as np

from data_prep.dataset.videos import Span, Video
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.files.hashes import file_sha256
from refinevad_jax.metrics.truth import truth_runs

SHIPPED = pathlib.Path(__file__).parent / "survfight_i3d.npz"
TAXONOMY = Taxonomy("survfight", ("Fighting",), ("Fighting",))
ENCODER = "i3d-rgb-kinetics400"
SOURCE = (
    "Surveillance Camera Fight Dataset (Akti et al., IPTA 2019, MIT licence); features and labels "
    "are real, the arrangement of clips into bags is made up"
)
FPS = 25.0
NUM_BAGS = {"train": 400, "val": 160}  # half of them normal
SHORTEST, LONGEST = 3, 64  # snippets of a composed bag: 2 to 41 seconds
SMALLEST_SHARE = 0.1  # of an anomalous bag that is a fight
VAL_EVERY, VAL_FIRST = 4, 1  # of the sorted sources; from the second one on, val has most clips
SEED = 0

# {source: its clips, each the indices of its snippets}
Clips = dict[str, list[np.ndarray]]
Bag = tuple[np.ndarray, np.ndarray]  # [L] indices into S, [L] whether a snippet is of a fight


def read(name: str, path: pathlib.Path = SHIPPED) -> tuple[BagsInfo, list[Video]]:
    """The data set under a name, ready for write_dataset.

    Raises UserError if the file is missing or damaged.
    """
    arrays = load_packed(path)
    features = arrays["features"]
    videos = [
        Video(
            video_id=f"{split}{number:03d}",
            split=split,
            label="Fighting" if is_fight.any() else "Normal",
            load_features=functools.partial(np.expand_dims, features[snippets], 0),
            source=str(path),
            num_frames=FRAMES_PER_SEGMENT * len(snippets),
            fps=FPS,
            spans=None if split == "train" else spans(is_fight),
        )
        for split, bags in compose(arrays).items()
        for number, (snippets, is_fight) in enumerate(bags)
    ]
    info = BagsInfo(
        name=name,
        taxonomy=TAXONOMY,
        modalities=(Modality("visual", features.shape[1]),),
        frames_per_segment=FRAMES_PER_SEGMENT,
        encoder=ENCODER,
        source=SOURCE,
        provenance={"source": "survfight", "file": file_sha256(path), "seed": SEED},
    )
    return info, videos


def compose(arrays: Mapping[str, np.ndarray]) -> dict[str, list[Bag]]:
    """The bags of every split; the same file gives the same bags."""
    given = zip(arrays["composed_test_bags"], arrays["composed_test_labels"], strict=True)
    parts = parts_of(arrays)
    composed = {
        split: bags_of(arrays, parts[split], count, [SEED, number])
        for number, (split, count) in enumerate(NUM_BAGS.items())
    }
    return {**composed, "test": list(given)}


def parts_of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Which clips are of "train" and of "val": [number of clips] bool; the others are of test."""
    in_test = arrays["clip_split"] == "test"
    sources = sorted(set(arrays["clip_source"][~in_test].tolist()))
    in_val = np.isin(arrays["clip_source"], sources[VAL_FIRST::VAL_EVERY])
    return {"train": ~in_test & ~in_val, "val": ~in_test & in_val}


def bags_of(
    arrays: Mapping[str, np.ndarray], chosen: np.ndarray, count: int, seed: list[int]
) -> list[Bag]:
    """So many bags, every other one anomalous, of the chosen clips: [number of clips] bool."""
    rng = np.random.default_rng(seed)
    is_fight = arrays["clip_is_fight"]
    fights, normal = (_by_source(arrays, chosen & kind) for kind in (is_fight, ~is_fight))
    bags = []
    for number in range(count):
        length = round(math.exp(rng.uniform(math.log(SHORTEST), math.log(LONGEST))))
        share = rng.uniform(SMALLEST_SHARE, 1.0)
        fighting = max(1, round(length * share)) if number % 2 else 0
        source = sorted(fights)[rng.integers(len(fights))]
        start = rng.integers(length - fighting + 1)
        around = _stretch(rng, normal, length - fighting, source if number % 4 == 1 else "")
        fight = _stretch(rng, fights, fighting, source)
        position = np.arange(length) - start
        in_fight = (position >= 0) & (position < fighting)
        bags.append((np.insert(around, start, fight), in_fight))
    return bags


def _by_source(arrays: Mapping[str, np.ndarray], chosen: np.ndarray) -> Clips:
    offsets, found = arrays["clip_offsets"], Clips()
    for clip in np.flatnonzero(chosen):
        source = str(arrays["clip_source"][clip])
        found.setdefault(source, []).append(np.arange(offsets[clip], offsets[clip + 1]))
    return found


def _stretch(rng: np.random.Generator, clips: Clips, length: int, source: str) -> np.ndarray:
    """[length] snippets: all clips of a source in random order, then those of others.

    source: the first one; a random one if it has no such clips.
    """
    found: list[np.ndarray] = []
    while sum(map(len, found)) < length:
        if source not in clips:
            source = sorted(clips)[rng.integers(len(clips))]
        found += [clips[source][i] for i in rng.permutation(len(clips[source]))]
        source = ""
    return np.concatenate([np.zeros(0, np.int64), *found])[:length]


def spans(is_fight: np.ndarray) -> tuple[Span, ...]:
    """The runs of fight snippets, in frames. is_fight: [L] bool."""
    runs = truth_runs(is_fight) * FRAMES_PER_SEGMENT
    return tuple(Span(start, end, "Fighting") for start, end in runs.tolist())
