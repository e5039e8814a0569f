"""Checks of a list: which release it is, its videos and classes, contradictions in it."""

import collections
from collections.abc import Sequence

from data_prep.catalogue.known_lists import (
    KNOWN_ORDERS,
    KNOWN_SETS,
    SPLIT_SIZES,
    members_hash,
    order_hash,
)
from data_prep.catalogue.truths import official
from data_prep.catalogue.video_names import (
    data_set_of,
    is_normal_label,
    label_from_name,
    label_tokens,
    match_key,
)
from data_prep.checks.findings import Section, Table, counted
from data_prep.sources.lists import ReleasedList


def check_list(released: ReleasedList) -> Section:
    """Everything that a list says by itself."""
    videos = released.videos
    section = Section(f"list {released.source}")
    section.facts += [
        ("grammar", released.grammar),
        ("rows", f"{len(released.entries):,}"),
        ("videos", f"{len(videos):,}"),
        ("crops", _crops(released)),
        ("data set", released.data_set or "unknown"),
        ("order", KNOWN_ORDERS.get(order_hash(videos), "none of the known ones")),
    ]
    _identify(released, section)
    _count_classes(released, section)
    _find_contradictions(released, section)
    return section


def _crops(released: ReleasedList) -> str:
    counts = collections.Counter(
        tuple(entry.crop or 0 for entry in entries) for entries in released.videos.values()
    )
    if all(entry.crop is None for entry in released.entries):
        return "none named"
    crops, _ = counts.most_common(1)[0]
    return f"{len(crops)} ({', '.join(map(str, crops))})"


def _identify(released: ReleasedList, section: Section) -> None:
    known = KNOWN_SETS.get(members_hash(released.videos))
    if known is not None:
        complete = known.num_videos == SPLIT_SIZES[known.data_set][known.split]
        videos = f"{'the' if complete else 'other'} {known.num_videos:,} videos"
        section.facts.append(("release", f"{known.data_set} {known.split}, {videos}"))
        if known.note and not complete:
            section.problem("other videos than the release", known.note)
        elif known.note:
            section.remark("split", known.note)
        return
    section.facts.append(("release", "none of the known splits"))
    sizes = SPLIT_SIZES.get(released.data_set)
    if sizes is None:
        return
    expected = ", ".join(f"{split} {size:,}" for split, size in sizes.items())
    section.problem(
        "other videos than the release",
        f"{len(released.videos):,} videos, {released.data_set} has {expected}",
    )
    truth = official(released.data_set)
    keys = {match_key(video) for video in released.videos}
    if truth is not None and len(keys & {match_key(v) for v in truth.video_ids}) > len(keys) / 2:
        missing = [video for video in truth.video_ids if match_key(video) not in keys]
        known_keys = {match_key(video) for video in truth.video_ids}
        extra = [video for video in released.videos if match_key(video) not in known_keys]
        if missing:
            section.problem("missing videos", f"{len(missing)} test videos are absent", missing)
        if extra:
            section.problem("extra videos", f"{len(extra)} are no test videos", extra)


def _count_classes(released: ReleasedList, section: Section) -> None:
    labels = list(released.labels.values())
    unlabelled = [video for video, label in released.labels.items() if label is None]
    known = [label for label in labels if label is not None]
    normal = sum(is_normal_label(label) for label in known)
    several = sum(len(label_tokens(label)) > 1 for label in known)
    section.facts += [
        ("normal", f"{normal:,}"),
        ("anomalous", f"{len(known) - normal:,}" + (f", {several} multi-label" if several else "")),
        (
            "label strings",
            f"{len(set(known))}, " + ("stated" if released.labels_stated else "from the names"),
        ),
    ]
    counts = collections.Counter(
        token for label in known for token in (label_tokens(label) or [label])
    )
    rows = tuple((token, f"{count:,}") for token, count in sorted(counts.items()))
    section.tables.append(Table(("class", "videos"), rows))
    if unlabelled:
        section.problem(
            "no label",
            f"{counted(len(unlabelled), 'video')} without a label, in the list and in the name; "
            "add a label column: path,label",
            unlabelled,
        )


def _find_contradictions(released: ReleasedList, section: Section) -> None:
    crops: dict[str, tuple[int, ...]] = {}
    twice, several, differing = [], [], []
    for video, entries in released.videos.items():
        numbers = tuple(entry.crop or 0 for entry in entries)
        crops[video] = numbers
        if len(set(numbers)) < len(numbers):
            twice.append(f"{video} (line {entries[-1].line})")
        labels = sorted({entry.label or "none" for entry in entries})
        if len(labels) > 1:
            several.append(f"{video}: {', '.join(labels)}")
        elif entries[0].label and _contradicts_name(video, entries[0].label):
            differing.append(f"{video}: labelled {entries[0].label}")
    usual = collections.Counter(crops.values()).most_common(1)[0][0]
    odd = [
        f"{video}: crops {', '.join(map(str, numbers))}"
        for video, numbers in crops.items()
        if sorted(numbers) != sorted(usual)
    ]
    for kind, message, videos in (
        ("rows twice", "the same crop of a video stands twice", twice),
        ("labels differ", "the rows of a video have different labels", several),
        ("label against name", "the label is not the one in the name", differing),
        ("crops", f"other crops than {', '.join(map(str, usual))} as most have", odd),
    ):
        if videos:
            section.problem(kind, f"{counted(len(videos), 'video')}: {message}", videos)


def _contradicts_name(video: str, label: str) -> bool:
    """Whether a label cannot be meant for a video of that name."""
    stated = label_from_name(video)
    if stated is None:
        return False
    if is_normal_label(stated) != is_normal_label(label):
        return True
    # The other data sets' names hold one of several ways to divide the videos into classes.
    if is_normal_label(stated) or data_set_of(video) not in ("UCF-Crime", "XD-Violence", "MSAD"):
        return False
    tokens = [{token.lower() for token in label_tokens(text)} for text in (stated, label)]
    return tokens[0] != tokens[1]


def check_overlap(lists: Sequence[ReleasedList]) -> Section | None:
    """Videos that stand in two lists, None where there are none."""
    seen: dict[str, str] = {}
    common = []
    for released in lists:
        for video in released.videos:
            earlier = seen.setdefault(match_key(video), released.source)
            if earlier != released.source:
                common.append(f"{video}: in {earlier} and {released.source}")
    if not common:
        return None
    section = Section("all lists")
    section.problem(
        "videos in two lists",
        f"{counted(len(common), 'video')}; a test video must not be trained on",
        common,
    )
    return section
