"""Whether spans lie within their videos, and if not, which unit their numbers may be in.

A span that begins after the end of its video has no frame that counts. A video that loses all its
spans so is not normal throughout: its truth is unknown.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from data_prep.catalogue.video_names import match_key
from data_prep.dataset.videos import Span
from data_prep.sources.faults import Fault, Weight

OUTSIDE = "spans outside the video"  # a kind of fault
# Five UCF-Crime spans of the official file end one or two frames late.
TOLERATED_EXCESS = 2
# Of a video whose frames are not known but its segments: releases count floor(n/16) or one less.
_UNCOUNTED_SEGMENTS = 2
# Of videos for which no rate is known.
_USUAL_RATE = 25.0
# A video is rarely annotated at a rate that is more than three times that of its features.
_MOST_RATES = 3.0
# The share of a video that is its very beginning.
_EARLY = 0.05
# Likewise of a video with few frames per second.
_EARLY_OF_SLOW = 0.2
# Videos that do not all do the same by chance.
_MANY = 3


@dataclasses.dataclass(frozen=True)
class Extent:
    """How far a video reaches, in frames.

    Attributes:
        length: of the video; the frames of its segments if the video's are not known.
        counted: frames that are evaluated: those of its segments, if they are known.
        last: where a span may end without being remarkable.
    """

    length: int
    counted: int
    last: int


@dataclasses.dataclass(frozen=True)
class Fit:
    """How the spans of videos lie in them.

    Attributes:
        faults: what is wrong, or looks wrong; a note is of what released files have too.
        lost: the videos that keep no span.
        missed: those of them whose spans lie outside the video, not only behind its last segment.
        advice: how the numbers may be meant, and what to do.
    """

    faults: tuple[Fault, ...]
    lost: tuple[str, ...]
    missed: tuple[str, ...]
    advice: str


def extents_of(
    videos: Iterable[str],
    counts: Mapping[str, int],
    segments: Mapping[str, int],
    frames_per_segment: int,
) -> dict[str, Extent]:
    """The extent of every video of which something is known.

    counts: frames by match_key; segments: T by id or match_key.
    """
    found = {}
    for video in videos:
        key = match_key(video)
        covered = segments.get(video, segments.get(key, 0)) * frames_per_segment
        slack = TOLERATED_EXCESS + _UNCOUNTED_SEGMENTS * frames_per_segment
        if frames := counts.get(key):
            counted = min(frames, covered or frames)
            found[video] = Extent(frames, counted, frames + TOLERATED_EXCESS)
        elif covered:
            found[video] = Extent(covered, covered, covered + slack)
    return found


def fit_spans(
    spans: Mapping[str, Sequence[Span]],
    extents: Mapping[str, Extent],
    *,
    unit: str,
    rates: Mapping[str, float],
    early_from: int,
    fixed: bool = False,
) -> Fit:
    """Compares spans with the videos that they are of.

    Args:
        spans: in frames; of each video.
        extents: of the same videos, if known.
        unit: in which the file's numbers were read, see Annotations.
        rates: frames per second of the videos, if known.
        early_from: spans that all lie at the very beginning are a fault if so many videos have
            some.
        fixed: whether the numbers cannot be in another unit.
    """
    outside: dict[str, list[str]] = {"lost": [], "some": [], "late": [], "slightly": []}
    lost, missed = [], []
    known = {video: found for video, found in spans.items() if found and video in extents}
    for video, found in known.items():
        extent, rate = extents[video], rates.get(video, 0.0)
        behind = [span for span in found if span.start >= extent.counted]
        over = max(span.end for span in found) - extent.length
        if len(behind) == len(found):
            lost.append(video)
            missed += [video] * (min(span.start for span in found) >= extent.length)
            outside["lost"].append(_told(video, behind[0], extent, unit, rate))
        elif any(span.start >= extent.length for span in behind):
            outside["some"].append(_told(video, behind[0], extent, unit, rate))
        elif over > 0:
            late = max(found, key=lambda span: span.end)
            exact = extent.last == extent.length + TOLERATED_EXCESS
            if late.end > extent.last or exact:
                kind = "late" if late.end > extent.last else "slightly"
                outside[kind].append(_told(video, late, extent, unit, rate))
    wrong = len(missed) + len(outside["some"]) + len(outside["late"])
    # What a few videos have says nothing of the unit.
    readings = _readings(known, extents, unit, rates) if 2 * wrong > len(known) else []
    if fixed or 2 * len(missed) <= len(known):
        readings = [name for name in readings if name == _OTHER_RATE]
    advice = _advice(readings)
    faults = [
        Fault(
            OUTSIDE,
            tuple(outside["lost"]),
            "no annotated frame lies within what is evaluated of the video, so its truth is taken "
            f"as unknown{advice}",
            Weight.WARNED,
        ),
        Fault(
            OUTSIDE,
            tuple(outside["some"]),
            f"a span begins after the end of the video and is left out{advice}",
            Weight.WARNED,
        ),
        Fault(
            "spans past the end",
            tuple(outside["late"]),
            f"spans end after the video and are cut{advice or '; correct them'}",
            Weight.WARNED,
        ),
        Fault(
            "spans past the end",
            tuple(outside["slightly"]),
            "cut when they are read",
            Weight.NOTED,
        ),
        *([] if fixed or len(known) < early_from else _early(known, extents, unit, rates)),
    ]
    return Fit(tuple(fault for fault in faults if fault.places), tuple(lost), tuple(missed), advice)


def _told(video: str, span: Span, extent: Extent, unit: str, rate: float) -> str:
    """Says where a span of a video lies, in the unit of the file."""
    length = f"the video has {extent.length} frames"
    if extent.counted < extent.length:
        length += f", {extent.counted} of them in its segments"
    elif extent.last > extent.length + TOLERATED_EXCESS:
        length = f"its segments have {extent.length} frames"
    place = f"frames {span.start} to {span.end}"
    if unit == "seconds" and rate:
        times = f"{span.start / rate:.1f} to {span.end / rate:.1f} s"
        place = f"{times} ({place} at {rate:.4g} per second)"
    elif unit == "ratio":
        shares = f"{span.start / extent.length:.4g} to {span.end / extent.length:.4g}"
        place = f"{shares} of the video ({place})"
    return f"{video}: {place}, {length}"


_OTHER_RATE = "another rate"
# How numbers may be meant, and the cure. Number, frames of the video and frames per second give the
# place in frames.
_Reading = Callable[[float, float, float], float]
_UNITS: dict[str, tuple[_Reading, str]] = {
    "frames": (lambda number, length, rate: number, "give --unit=frames"),
    "seconds": (lambda number, length, rate: number * rate, "give --unit=seconds"),
    "milliseconds": (
        lambda number, length, rate: number * rate / 1000,
        "divide them by 1000 and give --unit=seconds",
    ),
    "shares of the video": (
        lambda number, length, rate: number * length,
        "multiply them by the length of each video",
    ),
    "percent of the video": (
        lambda number, length, rate: number / 100 * length,
        "divide them by 100 for shares, or write frames or seconds",
    ),
}
# What numbers that were read in one unit are taken for, if they are too large for it.
_SMALLER = {
    "frames": ("percent of the video", "milliseconds"),
    "seconds": ("frames", "percent of the video", "milliseconds"),
    "ratio": ("percent of the video", "seconds", "frames", "milliseconds"),
}
# If they are too small for it.
_LARGER = {
    "frames": ("seconds", "percent of the video"),
    "seconds": ("shares of the video",),
    "ratio": (),
}


def _numbers(
    spans: Mapping[str, Sequence[Span]],
    extents: Mapping[str, Extent],
    unit: str,
    rates: Mapping[str, float],
) -> list[tuple[float, Extent, float]]:
    """The last end of each video as the file has it, the video's extent and rate."""
    found = []
    for video, of_video in spans.items():
        extent, rate = extents[video], rates.get(video) or _USUAL_RATE
        divisor = {"seconds": rate, "ratio": extent.length}.get(unit, 1.0)
        found.append((max(span.end for span in of_video) / divisor, extent, rate))
    return found


def _fits(name: str, numbers: Sequence[tuple[float, Extent, float]]) -> bool:
    read, _ = _UNITS[name]
    return all(read(end, extent.length, rate) <= extent.last for end, extent, rate in numbers)


def _readings(
    spans: Mapping[str, Sequence[Span]],
    extents: Mapping[str, Extent],
    unit: str,
    rates: Mapping[str, float],
) -> list[str]:
    """The units in which all spans would lie within their videos, the most likely first."""
    numbers = _numbers(spans, extents, unit, rates)
    excess = max(
        max(span.end for span in found) / extents[video].length for video, found in spans.items()
    )
    found = [name for name in _SMALLER[unit] if name != "milliseconds" and _fits(name, numbers)]
    if not found and excess > _MOST_RATES and _fits("milliseconds", numbers):
        found = ["milliseconds"]
    if unit != "ratio" and excess <= _MOST_RATES:
        found.append(_OTHER_RATE)
    return found


def _advice(readings: Sequence[str]) -> str:
    words = {
        _OTHER_RATE: "the file may be about another cut or frame rate of the videos: state the "
        "times in the videos that were encoded"
    }
    told = [
        words.get(name) or f"as {name} all spans would fit: {_UNITS[name][1]}" for name in readings
    ]
    return f"; {', or '.join(told)}" if told else ""


def _early(
    spans: Mapping[str, Sequence[Span]],
    extents: Mapping[str, Extent],
    unit: str,
    rates: Mapping[str, float],
) -> list[Fault]:
    """Spans that all lie at the very beginning, as if numbers of a larger unit had been misread."""
    numbers = _numbers(spans, extents, unit, rates)
    larger = [name for name in _LARGER[unit] if _fits(name, numbers)]
    ends = {video: max(span.end for span in found) for video, found in spans.items()}
    latest = max((ends[video] / extents[video].length for video in spans), default=1.0)
    # What fits as seconds lies within the first of as many parts as there are frames in a second.
    slowest = min((rate for _, _, rate in numbers), default=_USUAL_RATE)
    early = max(_EARLY, min(1 / slowest, _EARLY_OF_SLOW)) if unit == "frames" else _EARLY
    # Shares of many short clips: no second ends later than one.
    if unit == "seconds" and len(numbers) >= _MANY and all(end <= 1 for end, _, _ in numbers):
        early = 1.0
    if latest >= early or not larger:
        return []
    cures = "; ".join(f"if they are {name}, {_UNITS[name][1]}" for name in larger)
    told = tuple(
        f"{video}: ends at frame {end} of {extents[video].length}" for video, end in ends.items()
    )
    return [
        Fault(
            "spans at the very beginning",
            told,
            f"read as {unit}, all spans lie in the first {100 * latest:.2g} % of their videos; "
            f"{cures}",
            Weight.WARNED,
        )
    ]
