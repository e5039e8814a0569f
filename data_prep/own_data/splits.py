"""Which videos are for training and which for the test: by label, and never within a recording."""

import collections
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from refinevad_jax.encoders.video_files import without_suffix

TRAIN, TEST = "train", "test"
NORMAL = "Normal"  # how lists write it, whatever the user calls it
# Of both kinds, normal and anomalous: training holds one out to choose the checkpoint.
MIN_TRAIN = 2
# What names a piece of a recording: gate_0001_clip3, gate part 2, Arrest048_x264_17, and
# XD-Violence's times, Casino__#00-01-45_00-02-50. A bare number may count recordings.
_PIECES = (
    r"[ _.-](?:clip|part|seg|segment|chunk|piece)[ _.-]?\d+",
    r"(?<=_x264)(?:_\d+)+",
    r"__#\d\d-\d\d-\d\d_\d\d-\d\d-\d\d.*",
)
_PIECE = re.compile(rf"(?:{'|'.join(_PIECES)})$", re.IGNORECASE)


def recording(path: str) -> str:
    """The recording that a video is a piece of, as its name tells; "" if it tells nothing.

    path: without the folder of the label. `day/gate_0001_clip3.mp4` gives `day/gate_0001`.
    """
    stem = without_suffix(path)
    match = _PIECE.search(stem)
    return stem[: match.start()] if match else ""


class Member(NamedTuple):
    """A video to be put into a split."""

    name: str
    label: str
    source: str


def split(
    members: Sequence[Member], test_fraction: float, kept: Mapping[str, str]
) -> dict[str, str]:
    """The split of each video, by its name.

    All videos of a source are in one split. Of each label, test_fraction of the videos are in the
    test split, as near as sources allow, at least one if the label has two sources, and never all.
    Who they are follows from hashes of the sources. Videos that were split before stay where they
    are, so that an added video moves no other. MIN_TRAIN videos of both kinds stay for training,
    so that very few videos have no test split.

    Args:
        members: in any order, each name once.
        test_fraction: in (0, 1).
        kept: split of the videos that have one, by name.
    """
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.source, []).append(member)
    counts = {
        source: collections.Counter(member.label for member in group)
        for source, group in groups.items()
    }
    total: collections.Counter[str] = collections.Counter(member.label for member in members)
    num_sources = collections.Counter(label for count in counts.values() for label in count)
    wanted = {
        label: min(max(int(test_fraction * n + 0.5), 1), n - 1) if num_sources[label] > 1 else 0
        for label, n in total.items()
    }
    before = {source: _split_before(group, kept) for source, group in groups.items()}
    test = {source for source, found in before.items() if found == TEST}
    have: collections.Counter[str] = collections.Counter()
    for source in test:
        have.update(counts[source])

    def fits(source: str) -> bool:
        """Whether every label keeps a training video, and both kinds as many as training needs."""
        after = have + counts[source]
        if any(after[label] >= total[label] for label in counts[source]):
            return False
        normal = total[NORMAL] - after[NORMAL]
        anomalous = total.total() - after.total() - normal
        return min(normal, anomalous) >= MIN_TRAIN

    def take(source: str) -> None:
        test.add(source)
        have.update(counts[source])

    fresh = sorted((source for source, found in before.items() if not found), key=_rank)
    for source in fresh:
        nearer = sum(
            abs(wanted[label] - have[label] - n) - abs(wanted[label] - have[label])
            for label, n in counts[source].items()
        )
        if nearer < 0 and fits(source):
            take(source)
    for label in sorted(wanted):
        if wanted[label] and not have[label]:
            left = [source for source in fresh if label in counts[source] and source not in test]
            left.sort(key=lambda source: (counts[source].total(), _rank(source)))
            fitting = next(filter(fits, left), None)
            if fitting is not None:
                take(fitting)
    return {member.name: TEST if member.source in test else TRAIN for member in members}


def _split_before(group: Sequence[Member], kept: Mapping[str, str]) -> str:
    """The split of a source, "" if it is new. One that was divided is for training."""
    found = {kept[member.name] for member in group if member.name in kept}
    return TRAIN if TRAIN in found else TEST if found else ""


def _rank(source: str) -> str:
    return hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()
