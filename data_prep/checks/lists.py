"""Checks of a list: which release it is, its videos and classes, contradictions in it."""

import collections

from data_prep.annotations.truths import official
from data_prep.catalogue.lookup import data_set_named, known_list, known_order
from data_prep.catalogue.video_names import match_key
from data_prep.checks.findings import Section, Table
from data_prep.sources.labels import Taxonomy, classes_of, label_faults, normal_by
from data_prep.sources.lists import VideoList, crop_row_faults

_SHOWN = 20


def check_list(released: VideoList, taxonomy: Taxonomy | None = None) -> Section:
    """Everything that a list says by itself. taxonomy: None if it is not known."""
    videos = released.videos
    usual = released.usual_crops
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
    for note in released.notes:
        section.remark("note", note)
    _identify(released, section)
    _count_classes(released, taxonomy, section)
    section.add(label_faults(released, taxonomy))
    section.add(crop_row_faults(released))
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


def _count_classes(released: VideoList, taxonomy: Taxonomy | None, section: Section) -> None:
    is_normal = normal_by(taxonomy)
    known = [label for label in released.labels.values() if label is not None]
    words = {label: is_normal(label) for label in sorted(set(known))}
    normal = sum(words[label] for label in known)
    several = sum(len(classes_of(label, taxonomy)) > 1 for label in known)
    section.facts += [
        ("normal", f"{normal:,}"),
        ("anomalous", f"{len(known) - normal:,}" + (f", {several} multi-label" if several else "")),
        (
            "label strings",
            f"{len(set(known))}, " + ("stated" if released.labels_stated else "from the names"),
        ),
    ]
    for name, found in (("normal labels", True), ("other labels", False)):
        names = [label for label, taken in words.items() if taken is found]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        section.facts.append((name, ", ".join(names[:_SHOWN]) + more or "none"))
    counts = collections.Counter(
        token for label in known for token in (classes_of(label, taxonomy) or [label])
    )
    rows = tuple((token, f"{count:,}") for token, count in sorted(counts.items()))
    section.tables.append(Table(("class", "videos"), rows))
