"""Checks of an annotation: which truth it is, edits, contradictions with the list, lengths."""

from collections.abc import Mapping, Sequence

from data_prep.annotations import Annotations
from data_prep.annotations.truths import edits, merged, name_truth, official, span_hash
from data_prep.catalogue.lookup import data_set_of_all, known_array, lengths_by_rule
from data_prep.catalogue.video_names import match_key
from data_prep.checks.findings import Section, Table, counted
from data_prep.dataset.videos import Span
from data_prep.sources.labels import IsNormal, Taxonomy, normal_by, span_faults
from data_prep.sources.lists import VideoList
from data_prep.sources.span_fit import extents_of
from data_prep.sources.truth import describe_unit, fit_of, is_about, untold_faults


def check_truth(
    truth: Annotations,
    lists: Sequence[VideoList],
    frames: Mapping[str, int],
    segments: Mapping[str, int],
    frames_per_segment: int,
    taxonomy: Taxonomy | None = None,
) -> Section:
    """Everything that annotations say by themselves and beside lists.

    Args:
        truth: in frames.
        lists: those given; the ones that the truth is not about are left alone.
        frames: n by match_key, of all videos for which it is known.
        segments: T by match_key, of all videos with features.
        frames_per_segment: frames of a segment.
        taxonomy: reads the labels; None if it is not known.
    """
    section = Section(f"annotations {truth.source}")
    is_normal = normal_by(taxonomy)
    data_set = data_set_of_all(truth.video_ids)
    lengths = truth.num_frames if truth.frames_from_segments else None
    name = name_truth(truth.spans, data_set, lengths)
    section.facts += [
        ("grammar", truth.grammar),
        ("unit", describe_unit(truth)),
        ("data set", data_set or "unknown"),
        ("truth", name),
        ("span SHA-256", span_hash(truth.spans)),
        ("videos with truth", f"{len(truth.spans):,}"),
        ("with a span", f"{sum(bool(spans) for spans in truth.spans.values()):,}"),
        ("spans", f"{sum(len(spans) for spans in truth.spans.values()):,}"),
    ]
    if lengths is not None:
        positives = sum(_size(spans) for spans in truth.spans.values())
        section.facts += frame_facts(sum(lengths.values()), positives)
    for note in truth.notes:
        section.remark("note", note)
    if truth.points:
        videos = counted(len(truth.points), "video")
        section.problem("no truth", f"{videos}: single frames, which are not spans")
    if name == "unknown" and official(data_set) is None:
        section.remark("unknown truth", "no official annotation is kept here to compare with")
    section.problem_of(
        "not the official truth",
        [
            f"{edit.video_id}: official {_pairs(edit.official)}, here {_pairs(edit.found)}"
            for edit in edits(truth.spans, data_set, lengths)
        ],
        "other frames than the official annotation; results on them are not comparable",
    )
    labels: dict[str, str | None] = {}
    for released in lists:
        if is_about(truth, released.labels, is_normal):
            labels |= released.labels
    listed = {video: label for released in lists for video, label in released.labels.items()}
    if labels:
        _compare_with_list(truth, labels, is_normal, section)
        known = {match_key(video) for video in listed}
        extra = [video for video in truth.spans if match_key(video) not in known]
        section.problem_of("extra videos", extra, "annotated, but in no list")
    section.add(untold_faults(truth, [released.labels for released in lists], is_normal))
    section.add(span_faults(truth, listed, taxonomy))
    section.add(
        fit_of(
            truth, truth.spans, extents_of(truth.spans, frames, segments, frames_per_segment)
        ).faults
    )
    _count_frames(truth, labels, frames, is_normal, section)
    return section


def frame_facts(num_frames: int, positives: int) -> list[tuple[str, str]]:
    """Frames of a test set, whose published array has as many, and frames inside a span."""
    return [
        ("frames", f"{num_frames:,}, {known_array(num_frames) or 'not a known length'}"),
        ("positives", f"{positives:,}"),
    ]


def listed_spans(
    truth: Annotations, labels: Mapping[str, str | None], is_normal: IsNormal
) -> dict[str, tuple[Span, ...] | None]:
    """The spans of each video of a list, None for a video of which the truth says nothing.

    labels: {video: label of the list, None if it has none}; is_normal: see normal_by.
    """
    return {
        video: truth.spans_of(video, normal=is_normal(label)) for video, label in labels.items()
    }


def _size(spans: Sequence[Span], length: int | None = None) -> int:
    """Frames inside the spans, cut to a video's length."""
    return sum(end - start for start, end in merged(spans, length))


def _pairs(spans: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{start}-{end}" for start, end in spans) or "none"


def _compare_with_list(
    truth: Annotations, labels: Mapping[str, str | None], is_normal: IsNormal, section: Section
) -> None:
    spanless: list[str] = []
    spanned: list[str] = []
    for video, spans in listed_spans(truth, labels, is_normal).items():
        label = labels[video]
        if spans is not None and label is not None and bool(spans) == is_normal(label):
            (spanned if spans else spanless).append(f"{video}: label {label}")
    for kind, videos, message in (
        ("anomalous without span", spanless, "labelled anomalous, but the truth has no span"),
        ("normal with span", spanned, "labelled normal, but the truth has a span"),
    ):
        section.problem_of(kind, videos, message)


def _count_frames(
    truth: Annotations,
    labels: Mapping[str, str | None],
    frames: Mapping[str, int],
    is_normal: IsNormal,
    section: Section,
) -> None:
    """The table of test-set lengths; of the listed videos if there are any."""
    listed = listed_spans(truth, labels, is_normal)
    spans = {video: found for video, found in listed.items() if found is not None}
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
        data_set=data_set_of_all(truth.video_ids),
    )
    section.tables.append(
        Table(
            ("length rule", "frames", "positives", "used by", "known as"),
            tuple(
                (rule, f"{length:,}", f"{positives:,}", users, known_array(length))
                for rule, users, length, positives in rows
            ),
        )
    )


def count_frames(
    num_frames: Mapping[str, int],
    spans: Mapping[str, Sequence[Span]],
    *,
    data_set: str = "",
) -> list[tuple[str, str, int, int]]:
    """Frames of a test set, raw and under every length rule, and how many are inside a span.

    num_frames: n of each video; spans: of each video, those absent count as without span; data_set:
    as data_set_of names it. Returns (rule, who uses it, frames, frames inside a span) each.
    """
    lengths = {("n, raw frames", "uws4vad, VERA"): num_frames} | {
        (rule.name, rule.users): counts
        for rule, counts in lengths_by_rule(data_set, num_frames).items()
    }
    return [
        (
            *names,
            sum(counts.values()),
            sum(_size(spans.get(video, ()), length) for video, length in counts.items()),
        )
        for names, counts in lengths.items()
    ]
