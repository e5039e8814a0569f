"""The truth of listed videos: read in frames, given to the videos, named."""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from data_prep.annotations import Annotations, read_annotations
from data_prep.annotations.rates import Clock
from data_prep.annotations.truths import name_truth, official, span_hash
from data_prep.catalogue.lookup import data_set_of, data_set_of_all
from data_prep.catalogue.video_names import match_key
from data_prep.dataset.videos import Span, Video, read_label
from data_prep.sources.faults import Fault, Weight, tell
from data_prep.sources.span_fit import OUTSIDE, Extent, Fit, extents_of, fit_spans
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.errors import UserError
from refinevad_jax.metrics.truth import FRAMES_PER_SEGMENT

# What users may call the numbers of an annotation file.
UNITS = ("frames", "seconds")


def read_frame_counts(
    path: pathlib.Path | None, videos: Mapping[str, str] = MappingProxyType({})
) -> dict[str, int]:
    """Frame counts of a file by match_key, of None none. Raises UserError if it states none.

    videos: path of each listed video, by its id.
    """
    if path is None:
        return {}
    read = read_annotations(path).called(videos)
    if not read.num_frames or read.frames_from_segments:
        raise UserError(
            f"{path}: states no frame counts; 'name@frames' per line does, or 'name frames'"
        )
    return _by_key(read.num_frames)


def settle_truth(
    truth: Annotations,
    counts: Mapping[str, int],
    fps: float | None = None,
    clocks: Mapping[str, Clock] | None = None,
    *,
    unit: str = "",
    segments: Mapping[str, int] | None = None,
    frames_per_segment: int = FRAMES_PER_SEGMENT,
) -> Annotations:
    """Annotations in frames.

    Args:
        truth: as read.
        counts: frames by match_key, for shares of the video; UCF-Crime's test videos are known.
        fps: frames per second of videos for which neither the file nor clocks tell them.
        clocks: by match_key, of the videos whose times are known.
        unit: one of UNITS, of the numbers in the file; "": what the file says or its numbers tell.
        segments: T by id or match_key.
        frames_per_segment: frames of a segment.

    Raises UserError if a rate or length is missing, or the numbers may be frames or seconds.
    """
    known = official(data_set_of(next(iter(truth.stretches), "")))
    counts = {**(known.num_frames if known else {}), **counts}
    if unit:
        truth = truth.in_unit(unit, f"--unit={unit}")
    elif fps and truth.unit_reason and truth.unit == "frames":
        seconds = truth.in_unit("seconds", "").in_frames(counts, fps, clocks)
        extents = extents_of(seconds.spans, counts, segments or {}, frames_per_segment)
        fit = fit_of(seconds, seconds.spans, extents)
        if all(fault.weight is Weight.NOTED for fault in fit.faults):
            raise UserError(
                f"{truth.source}: {truth.unit_reason}, so they may be frames or, with "
                f"--fps={fps:g}, seconds; give --unit=frames or --unit=seconds"
            )
    return truth.in_frames(counts, fps, clocks)


def describe_unit(truth: Annotations) -> str:
    """In which unit the numbers were read, and why if that was not certain."""
    words = {"ratio": "shares of the video"}.get(truth.unit, truth.unit)
    reason = truth.unit_reason
    if not reason or _is_stated(truth):
        return f"{words} ({reason})" if reason else words
    (other,) = (unit for unit in UNITS if unit != truth.unit)
    return f"{words}, because {reason}; --unit={other} if they are {other}"


def fit_of(
    truth: Annotations, spans: Mapping[str, Sequence[Span]], extents: Mapping[str, Extent]
) -> Fit:
    """How spans lie in their videos, read in the unit of their annotations.

    In three videos or more it is no chance if all spans lie at the very beginning. If the unit was
    guessed, one is enough to ask; if the user states the unit, there is nothing to ask.
    """
    early_from = len(spans) + 1 if _is_stated(truth) else 1 if truth.unit_reason else 3
    return fit_spans(
        spans,
        extents,
        unit=truth.unit,
        rates=truth.fps,
        early_from=early_from,
        fixed=bool(truth.unit_fixed),
    )


def _is_stated(truth: Annotations) -> bool:
    return truth.unit_reason.startswith("--unit")


def describe_truth(truth: Annotations) -> dict[str, str]:
    """Grammar, version by name, and hash of the spans, for the provenance of a data set."""
    lengths = truth.num_frames if truth.frames_from_segments else None
    return {
        "grammar": truth.grammar,
        "version": name_truth(truth.spans, data_set_of_all(truth.spans), lengths),
        "span_sha256": span_hash(truth.spans),
    }


def add_truth(
    videos: Sequence[Video],
    annotations: Annotations,
    info: BagsInfo,
    counts: Mapping[str, int],
    segments: Mapping[str, int],
) -> list[Video]:
    """Gives the videos their spans, and the frame counts and rates that the annotations state.

    The truth of a video is known if the annotations name it, and for a normal video also if they
    name any other of its split: some files list anomalous videos only. It is not known of a video
    whose spans all lie outside of what is evaluated.

    Args:
        videos: those of all lists.
        annotations: in frames.
        info: describes the data set.
        counts: frames by match_key of the videos for which they are known.
        segments: T by id of the videos whose features are there.

    Warns on stderr of what is odd but usable. Raises UserError if not one video is annotated, or if
    most of the anomalous ones lose their spans, so that the unit is wrong.
    """
    if not annotations.spans:
        raise UserError(f"--annotations: no spans in it ({annotations.grammar}); leave it out")
    annotated = {v.video_id for v in videos if annotations.spans_of(v.video_id) is not None}
    if not annotated:
        raise UserError(
            f"--annotations: none of its {len(annotations.spans)} videos "
            f"({_names(list(annotations.spans))}) is in a list ({videos[0].video_id}, ...)"
        )
    annotated_splits = {video.split for video in videos if video.video_id in annotated}
    # The segments of another feature release say nothing about these files.
    stated = {} if annotations.frames_from_segments else _by_key(annotations.num_frames)
    rates = _by_key(annotations.fps)
    tell(count_faults(annotations, counts, _by_key(segments), info.frames_per_segment))
    notes = list(annotations.notes)
    if annotations.unit_reason:
        notes.append(f"spans are read as {describe_unit(annotations)}")
    for note in notes:
        print(f"note: {annotations.source}: {note}", file=sys.stderr)
    complete, lengths, spanless, spanned = [], [], [], []
    for video in videos:
        name, key = video.video_id, match_key(video.video_id)
        normal = not read_label(video, info.taxonomy).any()
        spans = annotations.spans_of(name, normal=normal and video.split in annotated_splits)
        frames, fps = stated.get(key, video.num_frames), rates.get(key, video.fps)
        complete.append(dataclasses.replace(video, spans=spans, num_frames=frames, fps=fps))
        # Releases count floor(n/16), ceil(n/16) or one less; two segments are no longer that.
        length = video.num_frames or frames or 0  # of the features, if they are there
        if abs(length - (frames or 0)) >= 2 * info.frames_per_segment:
            lengths.append(name)
        if spans == () and not normal:
            spanless.append(name)
        if spans and normal:
            spanned.append(name)
    known = {match_key(video.video_id) for video in videos}
    unlisted = [name for name in annotations.spans if match_key(name) not in known]
    warn(unlisted, "annotated, but in no list")
    warn(lengths, "features and annotated frames differ by two segments or more")
    warn(spanless, "labelled anomalous, annotated without an anomalous span")
    warn(spanned, "labelled normal, annotated with an anomalous span")
    extents = extents_of(
        [video.video_id for video in complete],
        {**counts, **stated},
        segments,
        info.frames_per_segment,
    )
    return without_lost_truth(complete, annotations, info, extents)


def without_lost_truth(
    videos: Sequence[Video],
    annotations: Annotations,
    info: BagsInfo,
    extents: Mapping[str, Extent],
) -> list[Video]:
    """The videos; the truth of one that keeps no span becomes unknown.

    Raises UserError if more than half of the annotated anomalous videos miss their spans.
    """
    spans = {video.video_id: video.spans for video in videos if video.spans}
    by_id = dataclasses.replace(
        annotations, fps={video.video_id: video.fps for video in videos if video.fps}
    )
    fit = fit_of(by_id, spans, extents)
    anomalous = {v.video_id for v in videos if v.spans and read_label(v, info.taxonomy).any()}
    missed = anomalous & set(fit.missed)
    if 2 * len(missed) > len(anomalous):
        (told, *_) = (fault.places[0] for fault in fit.faults if fault.kind == OUTSIDE)
        raise UserError(
            f"{annotations.source}: read as {describe_unit(annotations).split(',')[0]}, the spans "
            f"of {len(missed)} of {len(anomalous)} anomalous videos lie outside the video ({told})"
            f"{fit.advice or '; correct them'}"
        )
    tell(fault for fault in fit.faults if fault.weight is not Weight.NOTED)
    return [
        dataclasses.replace(video, spans=None) if video.video_id in fit.lost else video
        for video in videos
    ]


def is_about(
    truth: Annotations, labels: Mapping[str, str | None], is_normal: Callable[[str | None], bool]
) -> bool:
    """Whether the truth knows half of a list's anomalous videos or more.

    One common video is not enough: IEF-VAD tests on one of MSAD's training videos. labels: of each
    video; is_normal: see labels.normal_by.
    """
    anomalous = [video for video, label in labels.items() if not is_normal(label)]
    known = sum(truth.spans_of(video) is not None for video in anomalous)
    return known > 0 and 2 * known >= len(anomalous)


def untold_faults(
    truth: Annotations,
    lists: Sequence[Mapping[str, str | None]],
    is_normal: Callable[[str | None], bool],
) -> list[Fault]:
    """Videos without truth in the lists that the truth is about, or that there is no such list.

    lists: {video: label} of each; is_normal: see labels.normal_by.
    """
    about = [labels for labels in lists if is_about(truth, labels, is_normal)]
    missing = [
        video
        for labels in about
        for video, label in labels.items()
        if truth.spans_of(video, normal=is_normal(label)) is None
    ]
    other = () if about or not lists else (truth.source,)
    return [
        Fault("missing videos", tuple(missing), "in the list, without truth here", Weight.WARNED),
        Fault(
            "other videos",
            other,
            "the truth is about none of the lists: it knows fewer than half of the anomalous "
            "videos of each",
            Weight.WARNED,
            "file",
        ),
    ]


def count_faults(
    annotations: Annotations,
    counts: Mapping[str, int],
    segments: Mapping[str, int],
    frames_per_segment: int,
) -> list[Fault]:
    """Videos whose stated numbers of frames are all wrong in the same way.

    They are as many as the features have segments, or the same share of the known frames: values of
    every second frame, of each second, of ten crops end to end, frames of another rate.

    Args:
        annotations: they state the numbers.
        counts: n by match_key of the videos for which it is known.
        segments: T by match_key.
        frames_per_segment: frames of a segment.
    """
    source = annotations.source
    stated = {match_key(video): n for video, n in annotations.num_frames.items()}
    both = [video for video in stated if segments.get(video, 0) > 1]
    near = [video for video in both if abs(stated[video] - segments[video]) <= 1]
    if both and near == both and frames_per_segment > 1:
        told = [f"{source}, {v}: {stated[v]} frames, T = {segments[v]}" for v in both]
        advice = (
            "as many values, or frames, as the features have segments; give one value per frame, "
            "and times in frames"
        )
        return [Fault("truth per segment", tuple(told), advice, Weight.REFUSED)]
    known = {
        video: counts.get(video, segments.get(video, 0) * frames_per_segment)
        for video in stated
        if video in counts or video in both
    }
    both = [*known]
    far = [v for v in both if abs(stated[v] - known[v]) >= 2 * frames_per_segment]
    least = max(((stated[v] - 1) / known[v] for v in both), default=0.0)
    most = min(((stated[v] + 1) / known[v] for v in both), default=0.0)
    if len(both) < _TOO_MANY or len(far) < len(both) or least > _ROUNDED * most:
        return []
    told = [
        f"{source}, {video}: {stated[video]} frames, the video has {known[video]}" for video in both
    ]
    advice = (
        f"all videos have {(least + most) / 2:.3g} times their frames there; give one value per "
        "frame, or times in seconds"
    )
    certain = all(video in counts for video in both)
    return [
        Fault(
            "frames of another rate",
            tuple(told),
            advice if certain else f"{advice}, or --frames_per_segment of the features",
            Weight.REFUSED if certain else Weight.WARNED,
        )
    ]


# So many videos have the same share of frames by no chance, if the shares differ by no more.
_TOO_MANY, _ROUNDED = 2, 1.02


_Number = TypeVar("_Number", int, float)


def _by_key(table: Mapping[str, _Number]) -> dict[str, _Number]:
    return {match_key(video_id): value for video_id, value in table.items()}


def warn(video_ids: Sequence[str], problem: str) -> None:
    """Says on stderr which videos, if any, have a problem that does not stop the work."""
    if video_ids:
        found = f"{_names(video_ids)} ({len(video_ids)} in all)"
        print(f"warning: {problem}: {found}", file=sys.stderr)


def _names(video_ids: Sequence[str]) -> str:
    return ", ".join([*video_ids[:3], *(["..."] if len(video_ids) > 3 else [])])
