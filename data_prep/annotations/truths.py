"""Which truth is this? A hash over spans, and what differs from the official ones that are kept.

Some evaluation files of the field carry edited spans, so numbers computed on them cannot be
compared with others; a hash over the spans tells the versions apart.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from data_prep.annotations import Annotations, read_annotations
from data_prep.catalogue.lookup import known_truth, official_file
from data_prep.catalogue.video_names import match_key
from data_prep.dataset.videos import Span


@dataclasses.dataclass(frozen=True)
class SpanEdit:
    """A video whose frames differ from the official truth: (start, end) pairs, ends exclusive."""

    video_id: str
    official: tuple[tuple[int, int], ...]
    found: tuple[tuple[int, int], ...]


def merged(spans: Iterable[Span], length: int | None = None) -> tuple[tuple[int, int], ...]:
    """The frames of the spans as disjoint (start, end), sorted; touching spans become one.

    length: of the video in frames, to which the spans are cut; None leaves them as they are.
    """
    result: list[tuple[int, int]] = []
    for start, end in sorted((span.start, span.end) for span in spans):
        if length is not None:
            end = min(end, length)
            if start >= end:
                continue
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return tuple(result)


def span_hash(spans: Mapping[str, Sequence[Span]]) -> str:
    """A SHA-256 over the anomalous frames of all videos, whatever file they came from.

    Over the line `name s1 e1 s2 e2 ...` of every video with a span: sorted by name, the name as
    match_key gives it, its spans merged and sorted, ends exclusive, categories left out. Videos
    without a span do not count, for some files leave them out.
    """
    lines = sorted(
        " ".join([match_key(video), *(f"{start} {end}" for start, end in merged(video_spans))])
        for video, video_spans in spans.items()
        if video_spans
    )
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


@functools.lru_cache(maxsize=4)
def official(data_set: str) -> Annotations | None:
    """The official test annotation of a data set, None if none is kept here.

    UCF-Crime: 290 videos with frame counts; XD-Violence: 800 videos. In the order of VadCLIP's
    lists, which UR-DMU, PEL4VAD, RTFM and DSANet share.
    """
    path = official_file(data_set)
    return None if path is None else read_annotations(path)


def edits(
    spans: Mapping[str, Sequence[Span]],
    data_set: str,
    num_frames: Mapping[str, int] | None = None,
) -> list[SpanEdit]:
    """Videos whose spans cover other frames than the official ones; [] if none are kept here.

    Args:
        spans: of each video.
        data_set: as data_set_of names it.
        num_frames: frames to which both are cut, if the spans come from arrays of that length.
    """
    truth = official(data_set)
    found = []
    for video, video_spans in spans.items():
        expected = truth.spans_of(video) if truth else None
        if expected is not None:
            length = (num_frames or {}).get(video)
            edit = SpanEdit(video, merged(expected, length), merged(video_spans, length))
            if edit.official != edit.found:
                found.append(edit)
    return found


def name_truth(
    spans: Mapping[str, Sequence[Span]],
    data_set: str,
    num_frames: Mapping[str, int] | None = None,
) -> str:
    """What the spans are, in words: a known version, a part of the official one, or unknown."""
    if known := known_truth(span_hash(spans)):
        return known
    truth = official(data_set)
    if truth is None or not spans:
        return "unknown"
    compared = [video for video in spans if truth.spans_of(video) is not None]
    if len(compared) < len(spans) or edits(spans, data_set, num_frames):
        return "unknown"
    lengths = ", cut to the arrays' lengths" if num_frames else ""
    return f"official ({data_set}), {len(compared)} of {len(truth.spans)} videos{lengths}"
