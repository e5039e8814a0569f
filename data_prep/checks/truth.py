"""Checks of an annotation: which truth it is, edits, contradictions with the list, lengths."""

from collections.abc import Mapping, Sequence

from data_prep.annotations import Annotations
from data_prep.catalogue.length_rules import KNOWN_FRAMES, count_frames
from data_prep.catalogue.truths import (
    OFFICIAL_FILES,
    edits,
    merged,
    name_truth,
    official,
    span_hash,
)
from data_prep.catalogue.video_names import data_set_of, is_normal_label, match_key
from data_prep.checks.findings import Section, Table, counted
from data_prep.sources.lists import ReleasedList

# Five UCF-Crime spans of the official file end one or two frames late.
TOLERATED_EXCESS = 2


def check_truth(
    truth: Annotations, lists: Sequence[ReleasedList], counts: Mapping[str, int]
) -> Section:
    """Everything that annotations say by themselves and beside lists.

    Args:
        truth: in frames.
        lists: those given; the ones that share no video with the truth are left alone.
        counts: frames by match_key from elsewhere.
    """
    section = Section(f"annotations {truth.source}")
    data_set = data_set_of_all(truth)
    lengths = truth.num_frames if truth.frames_from_segments else None
    name = name_truth(truth.spans, data_set, lengths)
    section.facts += [
        ("grammar", truth.grammar),
        ("data set", data_set or "unknown"),
        ("truth", name),
        ("span SHA-256", span_hash(truth.spans)),
        ("videos with truth", f"{len(truth.spans):,}"),
        ("with a span", f"{sum(bool(spans) for spans in truth.spans.values()):,}"),
        ("spans", f"{sum(len(spans) for spans in truth.spans.values()):,}"),
    ]
    if truth.frames_from_segments:
        total = sum(truth.num_frames.values())
        positives = sum(end - start for s in truth.spans.values() for start, end in merged(s))
        section.facts += [
            ("frames", f"{total:,}, {KNOWN_FRAMES.get(total, 'not a known length')}"),
            ("positives", f"{positives:,}"),
        ]
    for note in truth.notes:
        section.remark("note", note)
    if truth.points:
        section.problem(
            "no truth", f"{len(truth.points):,} videos have single frames, which are no spans"
        )
    _find_edits(truth, data_set, name, section)
    _compare_with_lists(truth, lists, section)
    frames = known_frames(truth, data_set, counts)
    _find_late_spans(truth, frames, section)
    _count_frames(truth, lists, frames, section)
    return section


def data_set_of_all(truth: Annotations) -> str:
    """The data set whose naming every annotated video follows, "" where they differ."""
    names = {data_set_of(video) for video in truth.video_ids}
    return names.pop() if len(names) == 1 else ""


def known_frames(truth: Annotations, data_set: str, counts: Mapping[str, int]) -> dict[str, int]:
    """n of the annotated videos and more, by match_key: of counts, the file, the official file."""
    frames: dict[str, int] = {}
    reference = official(data_set)
    if reference is not None:
        frames |= {match_key(video): n for video, n in reference.num_frames.items()}
    if not truth.frames_from_segments:
        frames |= {match_key(video): n for video, n in truth.num_frames.items()}
    return frames | dict(counts)


def _find_edits(truth: Annotations, data_set: str, name: str, section: Section) -> None:
    lengths = truth.num_frames if truth.frames_from_segments else None
    edited = edits(truth.spans, data_set, lengths)
    if edited:
        section.problem(
            "not the official truth",
            f"{counted(len(edited), 'video')}: other frames than the official annotation; results "
            "on them are not comparable",
            [
                f"{edit.video_id}: official {_pairs(edit.official)}, here {_pairs(edit.found)}"
                for edit in edited
            ],
        )
    elif name == "unknown" and data_set not in OFFICIAL_FILES:
        section.remark("unknown truth", "no official annotation is kept here to compare with")


def _pairs(spans: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{start}-{end}" for start, end in spans) or "none"


def _compare_with_lists(
    truth: Annotations, lists: Sequence[ReleasedList], section: Section
) -> None:
    concerned = _concerned(truth, lists)
    if lists and not concerned:
        section.problem("other videos", "the truth is about none of the lists")
        return
    missing, spanless, spanned = [], [], []
    for released in concerned:
        for video, label in released.labels.items():
            normal = label is not None and is_normal_label(label)
            spans = truth.spans_of(video, normal=normal)
            if spans is None:
                missing.append(video)
            elif spans and normal:
                spanned.append(f"{video}: label {label}")
            elif not spans and label is not None and not normal:
                spanless.append(f"{video}: label {label}")
    listed = {match_key(video) for released in concerned for video in released.videos}
    extra = [video for video in truth.spans if concerned and match_key(video) not in listed]
    for kind, message, videos in (
        ("missing videos", "in the list, without truth here", missing),
        ("extra videos", "annotated, but not in the list that the truth is about", extra),
        ("anomalous without span", "labelled anomalous, but the truth has no span", spanless),
        ("normal with span", "labelled normal, but the truth has a span", spanned),
    ):
        if videos:
            section.problem(kind, f"{counted(len(videos), 'video')}: {message}", videos)


def _concerned(truth: Annotations, lists: Sequence[ReleasedList]) -> list[ReleasedList]:
    """The lists that the truth is about: it knows half of their anomalous videos or more.

    One common video is not enough: IEF-VAD tests on one of MSAD's training videos.
    """
    concerned = []
    for released in lists:
        anomalous = [v for v, label in released.labels.items() if not is_normal_label(label or "")]
        known = sum(truth.spans_of(video) is not None for video in anomalous)
        if known and 2 * known >= len(anomalous):
            concerned.append(released)
    return concerned


def _find_late_spans(truth: Annotations, frames: Mapping[str, int], section: Section) -> None:
    late = {
        video: (max(span.end for span in spans), frames[match_key(video)])
        for video, spans in truth.spans.items()
        if spans and match_key(video) in frames
    }
    for tolerated in (True, False):
        videos = [
            f"{video}: ends at {end}, the video has {n} frames"
            for video, (end, n) in late.items()
            if end > n and (end - n <= TOLERATED_EXCESS) == tolerated
        ]
        if videos and tolerated:
            section.remark(
                "spans past the end", f"{counted(len(videos), 'video')}, cut when read", videos
            )
        elif videos:
            section.problem("spans past the end", f"{counted(len(videos), 'video')}", videos)


def _count_frames(
    truth: Annotations,
    lists: Sequence[ReleasedList],
    frames: Mapping[str, int],
    section: Section,
) -> None:
    """The table of test-set lengths; of the listed videos where a list is given."""
    spans = {
        video: found
        for released in _concerned(truth, lists)
        for video, label in released.labels.items()
        if (found := truth.spans_of(video, normal=bool(label and is_normal_label(label))))
        is not None
    }
    spans = spans or dict(truth.spans)
    unknown = [video for video in spans if match_key(video) not in frames]
    if unknown:
        section.remark(
            "lengths not counted",
            f"{counted(len(unknown), 'video')}: frames not known; --frame_counts=FILE states them",
            unknown if len(unknown) < len(spans) else (),
        )
        return
    rows = count_frames(
        {video: frames[match_key(video)] for video in spans},
        spans,
        data_set=data_set_of_all(truth),
    )
    section.tables.append(
        Table(
            ("length rule", "frames", "positives", "used by", "known as"),
            tuple(
                (
                    row.rule,
                    f"{row.frames:,}",
                    f"{row.positives:,}",
                    row.users,
                    KNOWN_FRAMES.get(row.frames, ""),
                )
                for row in rows
            ),
        )
    )
