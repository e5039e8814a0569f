"""Parts of a training list for cross-validation: by label, in whole recordings."""

import collections
import hashlib
import itertools
from collections.abc import Sequence

import numpy as np

from refinevad_jax.data.bags import Bag

# Two videos that have more of the shorter one's segments in common are of one recording.
SHARED = 0.5
# A row in more videos than this is a common one, as of a black picture, and joins none.
MOST_VIDEOS = 60


def make_folds(bags: Sequence[Bag], recordings: Sequence[str], count: int, seed: int) -> np.ndarray:
    """The fold of every video: [V] int in [0, count).

    recordings: of each video, see `recordings_of`; each lies in one fold. They are taken from the
    one with the most videos on, equal ones in a random order that follows from the seed; each goes
    where its labels are scarcest, and of equal folds where the fewest videos are.
    """
    members: dict[str, list[int]] = {}
    for index, name in enumerate(recordings):
        members.setdefault(name, []).append(index)
    rng = np.random.default_rng([seed, 0xF01D])
    order = list(rng.permutation(list(members)))
    order.sort(key=lambda name: -len(members[name]))
    have = [collections.Counter[str]() for _ in range(count)]
    total = collections.Counter(bag.label for bag in bags)
    folds = np.zeros(len(bags), int)
    for name in order:
        labels = collections.Counter(bags[index].label for index in members[name])

        def crowding(fold: int, labels: collections.Counter[str] = labels) -> tuple[float, int]:
            """How much of these labels a fold has already, and of all videos."""
            shares = (number * have[fold][label] / total[label] for label, number in labels.items())
            return sum(shares), have[fold].total()

        chosen = min(rng.permutation(count), key=crowding)
        have[chosen] += labels
        folds[members[name]] = chosen
    return folds


def recordings_of(bags: Sequence[Bag]) -> list[str]:
    """The recording of each video: what the data set states, or else the video itself.

    Videos that share segments are of one recording, whatever is stated: the same clip packaged
    twice, or pieces put together from the same clips.
    """
    names = [bag.recording or bag.video_id for bag in bags]
    rows = [_rows(bag) for bag in bags]
    holders: dict[bytes, list[int]] = {}
    for index, own in enumerate(rows):
        for row in own:
            holders.setdefault(row, []).append(index)
    shared = collections.Counter[tuple[int, int]]()
    for videos in holders.values():
        if len(videos) <= MOST_VIDEOS:
            shared.update(itertools.combinations(videos, 2))
    joined = {name: name for name in names}

    def first(name: str) -> str:
        while joined[name] != name:
            name = joined[name]
        return name

    for (one, other), number in shared.items():
        if number > SHARED * min(len(rows[one]), len(rows[other])):
            joined[first(names[other])] = first(names[one])
    return [first(name) for name in names]


def _rows(bag: Bag) -> set[bytes]:
    """Digests of the rows of the first crop that are not zero."""
    rows = np.ascontiguousarray(bag.features[0])
    known = rows[(rows != 0).any(axis=-1)]
    return {hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in known}
