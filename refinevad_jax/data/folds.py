"""Parts of a training list for cross-validation: by label, in whole recordings."""

import collections
from collections.abc import Sequence

import numpy as np

from refinevad_jax.data.bags import Bag


def make_folds(bags: Sequence[Bag], count: int, seed: int) -> np.ndarray:
    """The fold of every video: [V] int in [0, count).

    A recording lies in one fold. Recordings are taken from the one with the most videos on, equal
    ones in a random order that follows from the seed; each goes where the labels of its videos are
    scarcest, and where the fewest videos are if several folds are equal in that.
    """
    recordings: dict[str, list[int]] = {}
    for index, bag in enumerate(bags):
        recordings.setdefault(bag.recording or bag.video_id, []).append(index)
    rng = np.random.default_rng([seed, 0xF01D])
    order = list(rng.permutation(list(recordings)))
    order.sort(key=lambda name: -len(recordings[name]))
    have = [collections.Counter[str]() for _ in range(count)]
    total = collections.Counter(bag.label for bag in bags)
    folds = np.zeros(len(bags), int)
    for name in order:
        labels = collections.Counter(bags[index].label for index in recordings[name])

        def crowding(fold: int, labels: collections.Counter[str] = labels) -> tuple[float, int]:
            """How much of these labels a fold has already, and of all videos."""
            share = sum(
                number * have[fold][label] / total[label] for label, number in labels.items()
            )
            return share, have[fold].total()

        chosen = min(rng.permutation(count), key=crowding)
        have[chosen] += labels
        folds[recordings[name]] = chosen
    return folds
