"""What the columns of a table mean, told by their names: video, start, end, label and units."""

import dataclasses
import re
from collections.abc import Iterable, Sequence

# Names of columns, the surest first.
VIDEO_NAMES = (
    *("video", "video name", "video id", "video file", "video file name", "video path", "vid"),
    *("videos", "media file name", "media file", "media file path", "media", "file name", "file"),
    *("file path", "path", "filepath", "file list", "clip", "clip name", "clip id", "movie"),
    *("recording", "source file", "source", "source name", "sample", "sample id", "sequence"),
    *("sequence name", "youtube id", "camera", "cam", "name", "id", "uid", "key", "stem"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "class name", "class label", "category", "category name"),
    *("anomaly type", "anomaly class", "anomaly category", "anomaly label", "anomaly", "crime"),
    *("crime type", "event type", "event class", "event label", "event name", "event", "behavior"),
    *("behaviour", "action", "action name", "action label", "activity", "type", "tag", "tags"),
    *("annotation", "annotation value", "annotation text", "value", "text", "code", "description"),
    *("metadata", "class id", "category id", "label id", "is anomaly", "anomalous", "abnormal"),
    *("trial type", "kind", "incident", "incident type", "gt", "ground truth", "target", "y"),
)
_CLASS_WORDS = frozenset(
    (
        *("class", "category", "crime", "type", "event", "behavior", "behaviour", "action"),
        *("activity", "label", "tag", "kind", "incident"),
    )
)
TIER_NAMES = ("tier", "tier name", "track")
STATUS_NAMES = ("behavior type", "behaviour type", "status")
TIMES_NAMES = (
    *("segments", "intervals", "spans", "timestamps", "actions", "events", "ranges", "moments"),
    *("temporal coordinates", "segment", "interval", "span", "timestamp", "range", "times"),
    *("anomalies", "annotations", "instances", "temporal annotations", "anomaly spans", "time"),
    *("abnormal frames", "anomaly frames", "anomalous frames", "frame range", "frame ranges"),
    *("time range", "time ranges", "time interval", "time intervals", "time span", "time spans"),
    *("anomaly segments", "abnormal segments", "anomaly intervals", "temporal label", "z"),
)
FRAME_NAMES = (
    *("frame", "frame no", "frame number", "frame num", "frame nr", "frame id", "frame idx"),
    *("frame index", "image index", "frame n"),
)
NUM_FRAMES_NAMES = (
    *("num frames", "n frames", "number of frames", "total frames", "frame count", "frames"),
    *("frames raw", "video frames", "frames count", "frames total", "nframes", "n of frames"),
)
FPS_NAMES = ("fps", "frame rate", "video fps", "fps frame s", "frames per second", "rate")

UNIT_NAMES = ("unit", "units", "time unit", "time units")

_STARTS = frozenset(
    (
        *("start", "starts", "begin", "begins", "beginning", "onset", "from", "tmin"),
        *("enter", "in", "first", "starting", "st"),
    )
)
_ENDS = frozenset(
    (
        *("end", "ends", "stop", "stops", "ending", "offset", "to", "until", "till"),
        *("out", "tmax", "last", "finish", "exit", "through", "et", "ed"),
    )
)
_DURATIONS = frozenset(("duration", "dur", "length", "len"))
# Columns with such a word are not times of an event.
_OTHER = frozenset(
    (
        *("comment", "date", "note", "notes", "x", "y", "box", "bbox", "row", "line"),
        *("column", "char", "byte", "address"),
    )
)
_OF_VIDEO = frozenset(
    ("video", "total", "media", "movie", "file", "clip", "observation", "recording")
)
# Of them those that surely mean one video.
_ONE_VIDEO = _OF_VIDEO - {"total", "observation"}
_SCALES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "usec", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("hour", "hours", "hrs"), 3600.0),
}
_FRAMES = frozenset(("frame", "frames", "frm", "frameno", "framenumber"))
_SHARES = {
    **dict.fromkeys(("ratio", "share", "fraction", "relative", "normalized", "norm"), 1.0),
    **dict.fromkeys(("percent", "percentage", "pct", "%"), 0.01),
}
_TIME_WORDS = frozenset(
    (
        *("time", "times", "timestamp", "timestamps", "timecode", "tc", "t", "onset"),
        *("stamp", "tmin"),
    )
)
_GLUED = re.compile(
    r"(start|begin|end|stop|first|last|frame|time|video|file|clip|media|num|event|class|label|t|"
    r"category|segment|anomaly)"
    r"(sec|secs|seconds|ms|time|frame|frames|name|names|id|ids|path|start|end|begin|stop|type|"
    r"label|num|no|idx|index|rate|count)"
)


@dataclasses.dataclass(frozen=True)
class Column:
    """A column with times.

    Attributes:
        name: as written.
        unit: "frames", "seconds" or "ratio"; "" if the name does not say it.
        scale: seconds, or share of the video, that 1 in a cell stands for.
        surely: whether the name has a unit; `start_time` only suggests seconds.
        last: whether an end is the last frame itself.
    """

    name: str
    unit: str = ""
    scale: float = 1.0
    surely: bool = False
    last: bool = False


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of a table by what they mean; None, or empty, for what it does not have.

    Attributes:
        video: the name of the column.
        labels: those from which the label is taken; the first that is not empty counts.
        start, end, duration: times of an event.
        more: further pairs of start and end, as `start2` and `end2`.
        times: a column with several pairs of times per cell.
        frame: the number of one frame per row.
        time: the time of a row that is START or STOP.
        status: says START or STOP.
        unit: says in what unit the times are.
        flag: says whether the row is anomalous, beside labels.
        num_frames, fps, video_duration: of the video.
    """

    video: str | None = None
    labels: tuple[str, ...] = ()
    start: Column | None = None
    end: Column | None = None
    duration: Column | None = None
    more: tuple[tuple[Column, Column], ...] = ()
    times: Column | None = None
    frame: str | None = None
    time: Column | None = None
    status: str | None = None
    num_frames: str | None = None
    fps: str | None = None
    video_duration: Column | None = None
    flag: str | None = None
    unit: str | None = None

    @property
    def has_events(self) -> bool:
        """Whether rows can state events."""
        return bool(
            (self.start and (self.end or self.duration))
            or self.times
            or (self.status and self.time)
        )

    def used(self) -> set[str]:
        """The names of all columns that are read."""
        timed = [self.start, self.end, self.duration, self.times, self.time, self.video_duration]
        timed += [column for pair in self.more for column in pair]
        named = (self.video, *self.labels, self.frame, self.status, self.num_frames, self.fps)
        named += (self.flag, self.unit)
        return {c.name for c in timed if c} | {name for name in named if name}


def in_unit(columns: Columns, word: str) -> Columns | None:
    """The columns with the unit that a word names, None if it names none."""
    unit = _column(f"x {word}", ["", word.strip().lower()])
    if not unit.unit:
        return None
    return dataclasses.replace(
        columns,
        **{
            name: dataclasses.replace(column, unit=unit.unit, scale=unit.scale, surely=True)
            for name in ("start", "end", "duration", "times", "time")
            if (column := getattr(columns, name)) and not column.surely
        },
    )


def words_of(name: str) -> list[str]:
    """The words of a column's name: `startTime`, `Start time`, `START_TIME` -> start, time."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    text = re.sub(r"h+:m+(:s+)?([.,:](ms|f+|s+|m+))?|m+:s+([.,]\w+)?", " seconds ", text)
    text = re.sub(r"\bs+[.,]m+s?(ec)?\b", " seconds ", text)
    words: list[str] = []
    text = re.sub(r"(?<=[a-z]{2})(?=[0-9]+\b)", " ", text)
    for word in re.findall(r"[^\W_]+|%", text):
        match = _GLUED.fullmatch(word)
        words += match.groups() if match else [word]
    return words


def is_class_name(name: str) -> bool:
    """Whether a column of this name has words for classes, not sentences or names of tiers."""
    return bool(_CLASS_WORDS & set(words_of(name)))


def is_flag_name(name: str) -> bool:
    """Whether a column of this name may say 0 or 1 for normal or anomalous."""
    return bool({"anomaly", "anomalous", "abnormal"} & set(words_of(name)))


def understand(names: Sequence[str], filled: Iterable[str] = ()) -> Columns:
    """What the columns of these names mean.

    Args:
        names: of the columns, in their order.
        filled: those with a value in every row that has an event: if a table states both, frames
            are taken only if no row lacks them.
    """
    words = {name: words_of(name) for name in names if name}
    start, end, *more = _pairs(words, set(filled))
    times, durations = _best(words, TIMES_NAMES), []
    of_video = None
    for name, parts in words.items():
        if _DURATIONS & set(parts) and not _OF_VIDEO & set(parts):
            durations.append(_column(name, parts))
        elif _DURATIONS & set(parts) and _ONE_VIDEO & set(parts):
            column = _column(name, parts)
            # A length without a unit may be in frames.
            named = column.unit == "seconds" or (not column.unit and "duration" in parts)
            of_video = of_video or (column if named else None)
    own = [d for d in durations if start and d.unit == start.unit] or durations
    taken = {column.name for column in (start, end, *more) if column}
    rest = {name: parts for name, parts in words.items() if name not in taken}
    video = _best(rest, VIDEO_NAMES) or next(
        (n for n, p in rest.items() if "video" in p and not {*_DURATIONS, "fps", "class"} & set(p)),
        None,
    )
    rest.pop(video or "", None)
    status = _best(rest, STATUS_NAMES)
    label, tier = _best(rest, LABEL_NAMES), _best(rest, TIER_NAMES)
    if start is None and times == label:
        label = None
    labels = [name for name in (label, tier) if name]
    if not labels and start and start.name.lower().startswith("begin time -"):
        # ELAN's export with a column per tier.
        seen = {*taken, *(d.name for d in durations), _best(rest, ("file path",))}
        labels = [name for name in rest if name not in seen]
    moment = next(
        (n for n, p in rest.items() if [w for w in p if w not in _SCALES] in (["time"], ["t"])),
        None,
    )
    frame = _best(rest, FRAME_NAMES)
    return Columns(
        video=video,
        labels=tuple(labels),
        start=start,
        end=end,
        duration=own[0] if own and start and not end else None,
        more=tuple(
            (one, other) for one, other in zip(more[::2], more[1::2], strict=True) if one and other
        ),
        times=_column(times, words[times]) if times and not start else None,
        frame=frame if not start else None,
        time=_column(moment, words[moment]) if moment and status and not start else None,
        status=status if not start else None,
        num_frames=_best(rest, NUM_FRAMES_NAMES),
        fps=_best(rest, FPS_NAMES)
        or next((n for n, p in rest.items() if "fps" in p or {"frame", "rate"} <= set(p)), None),
        video_duration=of_video,
    )


def _best(words: dict[str, list[str]], names: Sequence[str]) -> str | None:
    """The column whose name comes first in `names`."""
    ranks = {
        column: names.index(" ".join(parts))
        for column, parts in words.items()
        if " ".join(parts) in names
    }
    return min(ranks, key=ranks.__getitem__) if ranks else None


def _column(name: str, words: Sequence[str]) -> Column:
    last = "last" in words
    if len(words) == 1 and len(name.strip()) == 1:  # `s` and `e`, start and end of our own grammars
        return Column(name)
    for unit, scales in (("seconds", _SCALES), ("ratio", _SHARES)):
        for word in words:
            if word in scales:
                return Column(name, unit, scales[word], True, last)
    if _FRAMES & set(words) or {"image", "index"} <= set(words):
        return Column(name, "frames", 1.0, True, last)
    if _TIME_WORDS & set(words):
        return Column(name, "seconds", 1.0, False, last)
    return Column(name, last=last)


def _pairs(words: dict[str, list[str]], filled: set[str]) -> list[Column | None]:
    """Start and end that belong together, then further pairs that are numbered, one after another.

    A table may state both frames and seconds: the better one of them is taken.
    """
    starts = [n for n, p in words.items() if _is_time(p, _STARTS, _ENDS) or p in (["s"], ["t0"])]
    ends = [n for n, p in words.items() if _is_time(p, _ENDS, _STARTS) or p in (["e"], ["t1"])]
    ranked = []
    for first in starts:
        for second in ends:
            one, other = _column(first, words[first]), _column(second, words[second])
            kind = [w for w in words[first] if w not in _STARTS]
            same = kind == [w for w in words[second] if w not in _ENDS]
            frames = one.unit == "frames" and (not filled or {first, second} <= filled)
            rank = (same, one.unit == other.unit, 2 if frames else one.unit != "frames", one.surely)
            ranked.append((rank, kind, one, other))
    if not ranked:
        return [_column(starts[0], words[starts[0]]) if starts else None, None]
    best = max(ranked, key=lambda entry: entry[0])
    found: list[Column | None] = []
    # `start1`, `end1`, `start2`, `end2` have equal ranks and differ in the number alone.
    for rank, kind, one, other in ranked:
        numbered = kind[-1:] != best[1][-1:] and kind[-1:] and kind[-1].isdigit()
        if (one, other) == best[2:] or (
            numbered and rank == best[0] and _without_number(kind) == _without_number(best[1])
        ):
            if not other.unit:
                other = dataclasses.replace(other, unit=one.unit, scale=one.scale)
            elif not one.unit:
                one = dataclasses.replace(one, unit=other.unit, scale=other.scale)
            found += [one, other]
    return found


def _without_number(words: list[str]) -> list[str]:
    return words[:-1] if words and words[-1].isdigit() else words


def _is_time(words: Sequence[str], wanted: frozenset[str], other: frozenset[str]) -> bool:
    found = set(words)
    return bool(found & wanted) and not found & other and not found & _OTHER
