"""Checks of a list: which release it is, its videos and classes, contradictions in it."""

import collections
from collections.abc import Sequence

from data_prep.annotations.truths import official
from data_prep.catalogue.lookup import (
    data_set_named,
    data_set_of,
    known_list,
    known_order,
    labels_from_names,
)
from data_prep.catalogue.video_names import is_normal_label, label_tokens, match_key
from data_prep.checks.findings import Section, Table
from data_prep.sources.lists import VideoList


def check_list(released: VideoList) -> Section:
    """Everything that a list says by itself."""
    videos = released.videos
    crops, usual = released.crops, released.usual_crops
    numbers = ", ".join(map(str, usual))
    named = any(entry.crop is not None for entry in released.entries)
    section = Section(f"list {released.source}")
    section.facts += [
        ("grammar", released.grammar),
        ("rows", f"{len(released.entries):,}"),
        ("videos", f"{len(videos):,}"),
        ("crops", f"{len(usual)} ({numbers})" if named else "none named"),
        ("data set", released.data_set or "unknown"),
        ("order", known_order(videos) or "none of the known ones"),
    ]
    _identify(released, section)
    _count_classes(released, section)
    twice, several, differing = [], [], []
    from_names = labels_from_names(videos)
    for video, entries in videos.items():
        if len(set(crops[video])) < len(entries):
            twice.append(f"{video} (line {entries[-1].line})")
        labels = sorted({entry.label or "none" for entry in entries})
        if len(labels) > 1:
            several.append(f"{video}: {', '.join(labels)}")
        elif entries[0].label and _contradicts_name(video, from_names[video], entries[0].label):
            differing.append(f"{video}: labelled {entries[0].label}")
    section.remark_of("names", released.notes, "read from all names together", "note")
    section.problem_of("rows twice", twice, "the same crop of a video appears twice")
    section.problem_of("labels differ", several, "the rows of a video have different labels")
    section.problem_of("label against name", differing, "the label is not the one in the name")
    section.problem_of("crops", released.odd_crops, f"other crops than {numbers}, which most have")
    return section


def _identify(released: VideoList, section: Section) -> None:
    found = known_list(released.videos)
    if found is not None:
        data_set, known = found
        videos = f"{'the' if known.complete else 'other'} {known.num_videos:,} videos"
        section.facts.append(("release", f"{data_set.name} {known.split}, {videos}"))
        if known.note and not known.complete:
            section.problem("other videos than the release", known.note)
        elif known.note:
            section.remark("split", known.note)
        return
    section.facts.append(("release", "none of the known splits"))
    named = data_set_named(released.data_set)
    if named is None:
        return
    splits = {f"{k.split} {k.num_videos:,}": None for k in named.lists.values() if k.complete}
    section.problem(
        "other videos than the release",
        f"{len(released.videos):,} videos, {named.name} has {', '.join(splits)}",
    )
    truth = official(named.name)
    here = {match_key(video): video for video in released.videos}
    tested = {match_key(video): video for video in truth.video_ids} if truth else {}
    if 2 * len(here.keys() & tested.keys()) > len(here):
        missing = [video for key, video in tested.items() if key not in here]
        extra = [video for key, video in here.items() if key not in tested]
        section.problem_of("missing videos", missing, "in the test split, not in the list")
        section.problem_of("extra videos", extra, "in the list, not in the test split")


def _count_classes(released: VideoList, section: Section) -> None:
    unlabelled = [video for video, label in released.labels.items() if label is None]
    known = [label for label in released.labels.values() if label is not None]
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
    section.problem_of(
        "no label",
        unlabelled,
        "neither the list nor the name states a label; add a label column: path,label",
    )


def _contradicts_name(video: str, stated: str | None, label: str) -> bool:
    """Whether a label cannot be meant for a video whose name states another."""
    if stated is None:
        return False
    if is_normal_label(stated) != is_normal_label(label):
        return True
    data_set = data_set_named(data_set_of(video))
    if is_normal_label(stated) or data_set is None or not data_set.names_state_category:
        return False
    tokens = [{token.lower() for token in label_tokens(text)} for text in (stated, label)]
    return tokens[0] != tokens[1]


def check_overlap(lists: Sequence[VideoList]) -> list[Section]:
    """A section on videos that are in two lists, [] if there are none."""
    seen: dict[str, str] = {}
    common = []
    for released in lists:
        for video in released.videos:
            earlier = seen.setdefault(match_key(video), released.source)
            if earlier != released.source:
                common.append(f"{video}: in {earlier} and {released.source}")
    section = Section("all lists")
    section.problem_of("videos in two lists", common, "a test video must not be trained on")
    return [section] if common else []
