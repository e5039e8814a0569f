"""Which training videos are held out to choose the checkpoint: by label, in whole recordings."""

import collections
from collections.abc import Mapping, Sequence

import numpy as np

from refinevad_jax.data.bags import Bag

# ("label", the string), ("category", its index) or ("kind", whether anomalous): number of videos.
_Counts = collections.Counter[tuple[str, str | int | bool]]


def hold_out(bags: Sequence[Bag], fraction: float, seed: int) -> frozenset[str]:
    """Chooses the videos of a training list that are held out, a fraction of every label string.

    A recording is held out whole or not at all, so the fraction is met as nearly as recordings
    allow. A label with too few videos for its share gives none, except that both kinds, normal and
    anomalous, give at least one video. Both kinds and every category keep a training video. A kind
    of which no whole recording can be held out gives single videos: see `faults`.

    If every video is a recording of its own, the choice depends on the seed and the video ids, and
    the numbers of both kinds on the list alone. Otherwise the choice is the same for every seed:
    recordings differ in size, and the seeds of a run train on equally many videos.
    Returns the ids.
    """
    recordings: dict[str, list[Bag]] = {}
    for bag in bags:
        recordings.setdefault(_recording(bag), []).append(bag)
    single = all(len(members) == 1 for members in recordings.values())
    rng = np.random.default_rng([seed if single else 0, 0x5E1EC7])
    total, have, chosen = _count(bags), _Counts(), set[str]()
    wanted = {key: round(fraction * n) for key, n in total.items() if key[0] == "label"}

    def fits(count: _Counts) -> bool:
        """Whether both kinds and every category keep a training video."""
        return all(have[key] + n < total[key] for key, n in count.items() if key not in wanted)

    def is_nearer(count: _Counts) -> bool:
        missing = {key: wanted[key] - have[key] for key in count if key in wanted}
        return sum(abs(n - count[key]) - abs(n) for key, n in missing.items()) < 0

    def take(members: Sequence[Bag]) -> None:
        chosen.update(bag.video_id for bag in members)
        have.update(_count(members))

    def take_shares(groups: Mapping[str, Sequence[Bag]]) -> None:
        """Takes groups, in random order, for as long as they bring labels nearer to their share."""
        counts = {name: _count(members) for name, members in groups.items()}
        for label in sorted(wanted):
            for name in rng.permutation(sorted(name for name in counts if counts[name][label])):
                if is_nearer(counts[name]) and fits(counts[name]):
                    take(groups[name])
                    del counts[name]

    take_shares(recordings)
    for anomalous in (False, True):
        kind = "kind", anomalous
        if have[kind] or total[kind] < 2:
            continue
        own = {bag.video_id: [bag] for bag in bags if bag.anomalous == anomalous}
        having = [members for members in recordings.values() if _count(members)[kind]]
        if not any(fits(_count(members)) for members in having):
            having = list(own.values())
            take_shares(own)
        if not have[kind]:
            fitting = [members for members in having if fits(_count(members))] or having
            smallest = [one for one in fitting if len(one) == min(map(len, fitting))]
            smallest.sort(key=lambda members: min(bag.video_id for bag in members))
            take(smallest[rng.integers(len(smallest))])
    return frozenset(chosen)


def faults(bags: Sequence[Bag], held_out: frozenset[str]) -> list[str]:
    """What is wrong with a hold-out, in words: too few videos or recordings for a better one."""
    trained = [bag for bag in bags if bag.video_id not in held_out]
    categories, recordings = _count(trained), {_recording(bag) for bag in trained}
    cure = "package more of them, or a split to choose on (config.data.selection_split)"
    found, divided = [], dict[str, int]()
    for bag in bags:
        if bag.video_id not in held_out:
            continue
        if any(not categories[key] for key in _count([bag]) if key[0] == "category"):
            found.append(
                f"video {bag.video_id!r}, held out to choose the checkpoint, is the only one of "
                f"{bag.label!r}: training sees none; {cure}"
            )
        if _recording(bag) in recordings:
            divided[bag.recording] = divided.get(bag.recording, 0) + 1
    for recording, number in divided.items():
        found.append(
            f"recording {recording!r} is trained on, and {number} of its videos are held out to "
            f"choose the checkpoint: with so few recordings the choice is too easy; {cure}"
        )
    return found


def _recording(bag: Bag) -> str:
    return bag.recording or bag.video_id


def _count(bags: Sequence[Bag]) -> _Counts:
    counts = _Counts()
    for bag in bags:
        counts["label", bag.label] += 1
        counts["kind", bag.anomalous] += 1
        counts.update(("category", int(index)) for index in np.flatnonzero(bag.labels))
    return counts
