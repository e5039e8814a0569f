"""Which truth is this? Hashes of spans, and the official spans of two test sets to compare with.

Some evaluation files of the field carry edited spans, so numbers computed on them cannot be
compared with others; a hash over the spans tells the versions apart.
"""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Iterable, Mapping, Sequence

from data_prep.annotations import Annotations, read_annotations
from data_prep.catalogue.video_names import match_key
from data_prep.dataset.videos import Span

OFFICIAL_FILES = {"UCF-Crime": "ucf_crime_test.txt", "XD-Violence": "xd_violence_test.txt"}

# span_hash of the files as released.
KNOWN_TRUTHS = {
    "9cc3da48c3e15df4c38cf8a20d6ecd5c209354eef5c1d9c9d3905f2628db2d38": "official (UCF-Crime)",
    "5b0512a9c078f41495180cd64cf8d4e246ce6631ee7e8baf87c81851a1b0b5b4": (
        "official (UCF-Crime), cut to Roc-Ng's I3D lengths as PEL4VAD ships it"
    ),
    "94e80ccf0364146ca9f0e63e1cb11408d1a61ae14f3e04fcf7586cc8ecd972bd": (
        "UMIL edits, which VERA took over (UCF-Crime)"
    ),
    "eab02d339c1ddd5b18c4c75b04cc86eb8611d9e6a6725740d384dcc12d6b880b": (
        "HIVAU events, no evaluation truth (UCF-Crime)"
    ),
    "4877eb966cf4f24bca0e2495c0134dfdf30107d639dfbe56ecf49d83737d5c88": "official (XD-Violence)",
    "75d7916022e4e8a5e1878036bdc6b532418c36c58ff05d594757bf8d0e60c2a7": (
        "official (XD-Violence), cut to Roc-Ng's I3D lengths as PEL4VAD ships it"
    ),
    "d68bed15583b76f7fa1844207f142dd941049facebd960d8bf72cefe4cdf5e88": (
        "official, spans by class (XD-Violence): 5 videos differ from annotations.txt"
    ),
    "35896402551354984739ec3ce5125634a0eadef79c37dbf31f16ffa1d926c121": (
        "official, without the 47 videos of several labels (IEF-VAD, XD-Violence)"
    ),
    "88dbaada44799c7cd965964169bfb67358633e9dde8f3e317f0ca7f96220bd55": (
        "VERA edits: 14 anomalous videos without their spans (XD-Violence)"
    ),
    "e0c6b41beb6cd8ceb8b1d564ebbd5d19b88077639b274db5947dd3beb577e884": "IEF-VAD (MSAD)",
    "7e3176f5fee31a77904795b33155e1f283e2c54b4272cc3cdae89feebd6e10eb": "IEF-VAD (ShanghaiTech)",
    "cfca289a16e90bba68fef2198e1050147536e65ab5266f0872ef422db74f5ecb": "S3R (ShanghaiTech)",
    "1e87a342b8890961c90e7c9b13c30d0364cd4915a8aaab885851bdad1d0241eb": (
        "the authors' frame masks of 107 videos (ShanghaiTech)"
    ),
    "c418f27c4c7c8cdea41a358c35c2bfb49bee8fcfabcadbe4bb7f85712bd214d9": "UMIL (TAD)",
}


@dataclasses.dataclass(frozen=True)
class SpanEdit:
    """A video whose frames differ from the official truth."""

    video_id: str
    official: tuple[tuple[int, int], ...]
    found: tuple[tuple[int, int], ...]


def merged(spans: Iterable[Span]) -> tuple[tuple[int, int], ...]:
    """The frames of the spans as disjoint (start, end), sorted; touching spans become one."""
    result: list[tuple[int, int]] = []
    for start, end in sorted((span.start, span.end) for span in spans):
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
    """The official test annotation of a data set, None where none is kept here.

    UCF-Crime: 290 videos with frame counts; XD-Violence: 800 videos. In the order of VadCLIP's
    lists, which UR-DMU, PEL4VAD, RTFM and DSANet share.
    """
    if data_set not in OFFICIAL_FILES:
        return None
    return read_annotations(pathlib.Path(__file__).parent / "official" / OFFICIAL_FILES[data_set])


def edits(
    spans: Mapping[str, Sequence[Span]],
    data_set: str,
    num_frames: Mapping[str, int] | None = None,
) -> list[SpanEdit]:
    """Videos whose spans cover other frames than the official ones; [] where none are kept here.

    Args:
        spans: of each video.
        data_set: as video_names.data_set_of names it.
        num_frames: frames to which both are cut, where the spans come from arrays of that length.
    """
    truth = official(data_set)
    if truth is None:
        return []
    found = []
    for video, video_spans in spans.items():
        expected = truth.spans_of(video)
        if expected is None:
            continue
        length = (num_frames or {}).get(video)
        pair = [merged(cut(given, length)) for given in (expected, video_spans)]
        if pair[0] != pair[1]:
            found.append(SpanEdit(video, pair[0], pair[1]))
    return found


def cut(spans: Iterable[Span], length: int | None) -> list[Span]:
    """Spans cut to a video's length in frames; unchanged where that is None."""
    if length is None:
        return list(spans)
    kept = (Span(span.start, min(span.end, length), span.category) for span in spans)
    return [span for span in kept if span.start < span.end]


def name_truth(
    spans: Mapping[str, Sequence[Span]],
    data_set: str,
    num_frames: Mapping[str, int] | None = None,
) -> str:
    """What the spans are, in words: a known version, a part of the official one, or unknown."""
    known = KNOWN_TRUTHS.get(span_hash(spans))
    if known is not None:
        return known
    truth = official(data_set)
    if truth is None or not spans:
        return "unknown"
    compared = [video for video in spans if truth.spans_of(video) is not None]
    if len(compared) < len(spans) or edits(spans, data_set, num_frames):
        return "unknown"
    lengths = ", cut to the arrays' lengths" if num_frames else ""
    return f"official ({data_set}), {len(compared)} of {len(truth.spans)} videos{lengths}"
