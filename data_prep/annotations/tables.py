"""Tables of events: rows with a video, a start, an end and a label, in any order of columns.

Their rows come from CSV and tab-separated files with a header, and from JSON whose entries have
such keys. What the columns mean is told by their names (columns.py).
"""

import contextlib
import csv
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_prep.annotations.columns import Column, Columns, understand
from data_prep.annotations.frames import FrameRow, read_frame_rows
from data_prep.annotations.images import Image, read_images
from data_prep.annotations.labels import category_word, is_normal_word, listed
from data_prep.annotations.record import Annotations, Builder, Stretch
from data_prep.annotations.times import Time, find_time, is_blank, pairs_of, read_time, with_points
from data_prep.annotations.vectors import parse_values
from data_prep.catalogue.video_names import is_video_path
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError

# A header has to be among the first lines: some tools write about the export above it.
_HEADER_LINES = 40
# A table with one of these per frame is not a truth.
_SCORES = frozenset(("score", "scores", "prob", "probability", "confidence", "pred", "prediction"))

Row = tuple[str, Mapping[str, Any]]  # place, {column: cell}


@dataclasses.dataclass(frozen=True)
class _Event:
    """A row, or one pair of times of it; start and end are None if it states no time."""

    video: str
    place: str
    start: Time | None
    end: Time | None
    label: str | None


def read_table(content: str, source: str, stem: str) -> Annotations | None:
    """Reads a table with a header, None if the content is not one.

    Args:
        content: of the file.
        source: the file.
        stem: the name of the video if no column has one.
    """
    lines = content.splitlines()
    for index, line in enumerate(lines[:_HEADER_LINES]):
        line = re.sub(r"^#\s*(CSV_HEADER\s*=\s*)?", "", line.strip())
        for delimiter in ("\t", ";", ",", "|", None):
            names = _split(line, delimiter)
            columns = understand(names)
            if len(names) > 1 and (found := _image_rows(lines, index, names, delimiter, source)):
                return read_images(found, source, f"{_kind(delimiter)} of images")
            if not _is_header(names, columns, delimiter):
                continue
            rows = list(_rows(lines, index + 1, names, delimiter, source))
            if columns.has_events or columns.frame:
                return read_rows(rows, names, source, _kind(delimiter), stem, skipped=index)
            return _read_counts(rows, columns, source)
    return None


_IMAGE = re.compile(r".+\.(jpe?g|png|bmp|webp|tiff?)", re.IGNORECASE)


def _image_rows(
    lines: Sequence[str], index: int, names: Sequence[str], delimiter: str | None, source: str
) -> list[Image]:
    """The images of a table whose first column of file names has images; [] if it has none.

    `image,label`, or VIA 2's CSV, where a region is a mark.
    """
    first = _split(lines[index + 1], delimiter) if index + 1 < len(lines) else []
    column = next((n for n, f in zip(names, first, strict=False) if _IMAGE.fullmatch(f)), None)
    via = "region_attributes" in names and "region_count" in names
    columns = understand([name for name in names if name != column])
    if column is None or columns.has_events or not (via or columns.labels):
        return []
    if via:
        columns = dataclasses.replace(columns, labels=("region_attributes",))
    images = []
    for place, row in _rows(lines, index + 1, names, delimiter, source):
        label = _label_of(row, columns) or ("1" if via else None)
        marked = label is not None and (not via or row["region_count"] not in ("", "0"))
        images.append(Image(str(row[column]), (label,) if label and marked else (), place))
    return images


def _is_header(names: Sequence[str], columns: Columns, delimiter: str | None) -> bool:
    """Whether a line is the header of a table of events, of frames or of frame counts."""
    named = [name for name in names if name]
    if len(names) < 2 or len(named) > len(set(named)) or any(find_time(name) for name in named):
        return False
    if any(len(name.split()) > 6 for name in named):  # prose
        return False
    if delimiter is None and columns.used() != set(names):
        return False
    frames = columns.frame and (columns.labels or columns.video) and not _SCORES & set(names)
    return bool(columns.has_events or frames or (columns.video and columns.num_frames))


def read_unnamed(content: str, source: str, stem: str) -> Annotations | None:
    """Reads rows without header and without video: `start end label` of one video.

    Audacity writes `start, end, label`; ELAN `tier, participant, begin, end, duration, annotation`,
    each time in one to three formats. None if the content is something else.
    """
    lines = [
        line
        for line in content.splitlines()
        if line.strip() and line.lstrip()[:2] not in ('#"', '"#')
    ]
    delimiter = "\t" if lines and all("\t" in line for line in lines) else None
    fields = [_split(line, delimiter) for line in lines]
    width = max(map(len, fields), default=0)
    if width < 2 or all(parse_values(row) for row in fields):
        return None
    cells = [[*row, *[""] * (width - len(row))] for row in fields]
    timed = [i for i in range(width) if all(find_time(row[i]) for row in cells)]
    first_is_time = timed[:1] == [0]
    if not (first_is_time or (delimiter and len(timed) in (3, 4, 6, 9))) or len(timed) < 2:
        return None
    formats = 3 if len(timed) == 9 else 2 if len(timed) in (4, 6) else 1
    begin, end = timed[0], timed[formats]
    if len(timed) not in (2 * formats, 3 * formats) or not _fit(cells, timed, formats):
        return None
    words = [i for i in range(width) if i not in timed and any(row[i] for row in cells)]
    names = {begin: "start", end: "end"}
    if words and all(is_video_path(row[words[-1]]) for row in cells):
        names[words.pop()] = "file"
    if words:
        names[words[-1]] = "label"
        names |= {words[0]: "tier"} if len(words) > 1 else {}
    rows = [
        (f"{source}, row {number}", {name: row[i] for i, name in names.items()})
        for number, row in enumerate(cells, 1)
    ]
    return read_rows(rows, list(names.values()), source, "table without header", stem)


def _fit(cells: Sequence[Sequence[str]], timed: Sequence[int], formats: int) -> bool:
    """Whether start, end and, if it is there, duration agree in every row."""
    for row in cells:
        start, end, *rest = (find_time(row[i]) for i in timed[::formats])
        if start is None or end is None or start.value > end.value:
            return False
        if rest and rest[0] and abs(rest[0].value - (end.value - start.value)) > 0.02:
            return False
    return True


def _kind(delimiter: str | None) -> str:
    return {"\t": "tab-separated table", None: "table"}.get(delimiter, "CSV table")


def _split(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    try:
        fields = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [field.strip() for field in fields]


def _rows(
    lines: Sequence[str], first: int, names: Sequence[str], delimiter: str | None, source: str
) -> Iterator[Row]:
    """The rows below a header. Raises UserError for one that has more fields than the header."""
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip(f" {delimiter or ''}\t\r") or re.match(r'"?#', line):
            continue
        place = f"{source}, line {number}"
        fields = _split(line, delimiter)
        if not fields:
            raise UserError(f"{place}: {line[:60]!r} is not a row of the table; check its quotes")
        if delimiter in (";", "\t"):
            fields = [with_points(field) for field in fields]
        while len(fields) > len(names) and not fields[-1]:
            fields.pop()
        if len(fields) > len(names):
            raise UserError(
                f"{place}: {len(fields)} fields, but the header has {len(names)} columns; put "
                "names with the separator in quotes"
            )
        yield place, dict(zip(names, fields, strict=False))


def read_rows(
    rows: Sequence[Row],
    names: Sequence[str],
    source: str,
    kind: str,
    stem: str = "",
    *,
    skipped: int = 0,
    notes: Sequence[str] = (),
) -> Annotations:
    """Reads the rows of a table.

    Args:
        rows: place and cells of each.
        names: of all columns.
        source: the file.
        kind: what the table is written in, for people.
        stem: the name of the video if no column has one; "" if there is no such name.
        skipped: lines above the header.
        notes: what else to know.

    Raises UserError naming the row and its column for what cannot be meant.
    """
    timed = [row for _, row in rows if any(find_time(value) for value in row.values())]
    filled = [name for name in names if all(not is_blank(row.get(name)) for row in timed)]
    columns = understand(names, filled)
    if columns.times and not any(pairs_of(row.get(columns.times.name)) for _, row in rows):
        columns = dataclasses.replace(columns, times=None)
    if not rows or not (columns.has_events or columns.frame):
        raise UserError(
            f"{source}: a {kind} without rows, or none of its columns has times; name them video, "
            "start, end, label"
        )
    if columns.video is None and not stem:
        raise UserError(f"{source}: no column names the video; add one called 'video'")
    notes = list(notes)
    if skipped:
        notes.append(f"{skipped} lines above the header were not read")
    if columns.video is None:
        notes.append(f"no column names the video; the name of the file was taken: {stem}")
    unread = [name for name in names if name and name not in columns.used()]
    ignored = f"; columns not read: {', '.join(unread)}" if unread else ""
    if columns.frame and not columns.has_events:
        return _read_frames(rows, columns, source, kind, stem, (*notes, *_as_note(ignored)))
    events = list(_events(rows, columns, stem))
    unit, reason = _unit_of(events, columns, source)
    builder = Builder(f"{kind} ({_in_words(unit)})", source, unit="" if unit == "frames" else unit)
    found = _add(events, rows, columns, unit, builder)
    anomalous = [event for event in events if event.start and not is_normal_word(event.label)]
    labels = Counter(word for event in anomalous if (word := category_word(event.label)))
    named = f"; labels: {listed(labels)}" if labels else ""
    read_as = f"{_in_words(unit)}{f' ({reason})' if reason else ''}"
    notes.insert(
        0,
        f"events: {found}, videos: {len({event.video for event in events})}, from "
        f"{_described(columns)}, in {read_as}{named}{ignored}",
    )
    return builder.build(notes=tuple(notes))


def _as_note(ignored: str) -> tuple[str, ...]:
    return (ignored.removeprefix("; "),) if ignored else ()


def _in_words(unit: str) -> str:
    return "shares of the video" if unit == "ratio" else unit


def _described(columns: Columns) -> str:
    end = columns.end or columns.duration
    parts = {
        "video": columns.video,
        "start": columns.start and columns.start.name,
        "end" if columns.end else "duration": end and end.name,
        "times": columns.times and columns.times.name,
        "time": columns.time and columns.time.name,
        "label": " or ".join(columns.labels),
    }
    return "the columns " + ", ".join(f"{name!r} ({role})" for role, name in parts.items() if name)


def _read_counts(rows: Sequence[Row], columns: Columns, source: str) -> Annotations:
    """A table of frame counts."""
    builder = Builder("table of frame counts", source)
    for place, row in rows:
        video = _video_of(row, columns, "", place)
        builder.add(video, None, place=place, num_frames=_count(row, columns, place))
    return builder.build()


def _count(row: Mapping[str, Any], columns: Columns, place: str) -> int | None:
    if not columns.num_frames or is_blank(row.get(columns.num_frames)):
        return None
    count = read_time(row[columns.num_frames], place, columns.num_frames).value
    if count != int(count):
        raise UserError(f"{place}: {count} in '{columns.num_frames}' is no number of frames")
    return int(count)


def _rate(row: Mapping[str, Any], columns: Columns, place: str) -> float | None:
    if not columns.fps or is_blank(row.get(columns.fps)):
        return None
    found = find_time(row[columns.fps])
    return found.value if found and not found.clock and found.value > 0 else None


def _video_of(row: Mapping[str, Any], columns: Columns, stem: str, place: str) -> str:
    if columns.video is None:
        return stem
    value = row.get(columns.video)
    if isinstance(value, str) and value[:1] == "[":
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    text = "" if value is None or isinstance(value, dict | bool) else str(value).strip()
    if not text:
        raise UserError(f"{place}: no video name in '{columns.video}'; write it in every row")
    return text


def _label_of(row: Mapping[str, Any], columns: Columns) -> str | None:
    for name in columns.labels:
        value = row.get(name)
        if isinstance(value, str) and value[:1] == "{":
            with contextlib.suppress(ValueError, RecursionError):
                value = json.loads(value)
        if isinstance(value, dict):
            value = next(iter(value.values()), None)
        if isinstance(value, list):
            value = value[0] if len(value) == 1 else None
        if value is not None and str(value).strip():
            return str(value).strip()
    return None


def _events(rows: Sequence[Row], columns: Columns, stem: str) -> Iterator[_Event]:
    if columns.start is None and columns.times is None:
        yield from _state_events(rows, columns, stem)
        return
    pairs_of_columns = [(columns.start, columns.end or columns.duration), *columns.more]
    for place, row in rows:
        video, label = _video_of(row, columns, stem, place), _label_of(row, columns)
        if columns.times is not None:
            name = columns.times.name
            pairs = pairs_of(row.get(name))
            if pairs is None:
                raise UserError(f"{place}: {str(row[name])[:60]!r} in '{name}' is no list of times")
            for first, second, own in pairs:
                start, end = (read_time(value, place, name) for value in (first, second))
                yield _Event(video, place, start, end, own or label)
            if not pairs:
                yield _Event(video, place, None, None, label)
            continue
        found = [
            event
            for first, last in pairs_of_columns
            if first and last
            for event in [_event(row, first, last, columns, place, video, label)]
        ]
        # A row with several pairs leaves those empty that it does not need.
        yield from [event for event in found if event.start] or found[:1]


def _event(
    row: Mapping[str, Any],
    first: Column,
    last: Column,
    columns: Columns,
    place: str,
    video: str,
    label: str | None,
) -> _Event:
    blank = [is_blank(row.get(column.name)) for column in (first, last)]
    if all(blank):
        return _Event(video, place, None, None, label)
    if any(blank):
        lacking = (first if blank[0] else last).name
        raise UserError(f"{place}: the event of {video} has nothing in '{lacking}'; fill it in")
    start = read_time(row[first.name], place, first.name)
    end = read_time(row[last.name], place, last.name)
    if columns.end is None:
        length = end.value
        if not end.clock and not start.clock and last.unit == "seconds" == first.unit:
            length *= last.scale / first.scale
        end = dataclasses.replace(
            start, value=start.value + length, whole=start.whole and end.whole, clock=start.clock
        )
    elif last.last and last.unit == "frames":
        end = dataclasses.replace(end, value=end.value + 1)
    return _Event(video, place, start, end, label)


def _state_events(rows: Sequence[Row], columns: Columns, stem: str) -> Iterator[_Event]:
    """Rows START and STOP of BORIS, brought together by video and label."""
    assert columns.status is not None and columns.time is not None  # has_events
    begun: dict[tuple[str, str | None], tuple[str, Time]] = {}
    for place, row in rows:
        video, label = _video_of(row, columns, stem, place), _label_of(row, columns)
        status = str(row.get(columns.status) or "").strip().upper()
        moment = read_time(row.get(columns.time.name), place, columns.time.name)
        if status == "START" and (video, label) not in begun:
            begun[video, label] = place, moment
        elif status in ("STOP", "END") and (video, label) in begun:
            at, start = begun.pop((video, label))
            yield _Event(video, at, start, moment, label)
        elif status != "POINT":
            raise UserError(
                f"{place}: {status or 'no status'!r} of {label} in {video} does not follow its "
                "START or STOP; export aggregated events"
            )
    for (video, label), (place, _) in begun.items():
        raise UserError(f"{place}: {label} of {video} starts and never stops; add the STOP")


def _unit_of(events: Sequence[_Event], columns: Columns, source: str) -> tuple[str, str]:
    """The unit of the times, and why if the columns do not say it."""
    column = columns.start or columns.times or columns.time
    assert column is not None  # there are events
    times = [time for event in events for time in (event.start, event.end) if time]
    if any(time.clock for time in times):
        short = next((time.text for time in times if time.text.count(":") == 1), "")
        return "seconds", f"{short} is minutes and seconds" if short else ""
    if column.unit:
        return column.unit, ""
    if stated := re.findall("seconds|frames", source.rpartition("/")[2]):
        return stated[-1], "the name of the file says so"
    cure = f"name the columns {column.name}_frame or {column.name}_s"
    if all(time.whole for time in times):
        return "frames", f"all numbers are whole; if they are seconds, {cure}"
    if all(time.text.endswith(".0") for time in times) and len(times) < 2 * len(events):
        raise UserError(
            f"{source}: are the times in '{column.name}' frames or seconds? All are written as "
            f"{times[0].text}; {cure}"
        )
    return "seconds", "some numbers have a decimal point"


def _add(
    events: Sequence[_Event],
    rows: Sequence[Row],
    columns: Columns,
    unit: str,
    builder: Builder,
) -> int:
    """Gives the events to the builder. Returns how many there are."""
    facts = {
        place: (_count(row, columns, place), _rate(row, columns, place)) for place, row in rows
    }
    found = 0
    for event in events:
        label, spans = category_word(event.label), None
        if is_normal_word(event.label) or (event.label is None and event.start is None):
            if event.start is not None:
                builder.add_normal_part(event.video, event.place)
                continue
            label, spans = "Normal", []
        elif event.start is not None:
            spans = [_span(event, columns, unit)]
            found += 1
        count, rate = facts[event.place]
        builder.add(event.video, spans, place=event.place, label=label, num_frames=count, fps=rate)
    return found


def _span(event: _Event, columns: Columns, unit: str) -> Span | Stretch:
    start, end = event.start, event.end
    assert start is not None and end is not None
    label = category_word(event.label)
    first = columns.start or columns.times or columns.time
    second = columns.end if columns.start else first
    if unit == "frames":
        for time in (start, end):
            if time.value != int(time.value):
                raise UserError(
                    f"{event.place}: {time.text} is not a whole frame number; if the times are "
                    f"seconds, name the column {first.name if first else 'start'}_s"
                )
        return Span(int(start.value), int(end.value), label)
    scales = [
        1.0 if time.clock or column is None or column.unit != unit else column.scale
        for time, column in ((start, first), (end, second or first))
    ]
    return Stretch(start.value * scales[0], end.value * scales[1], label)


def _read_frames(
    rows: Sequence[Row],
    columns: Columns,
    source: str,
    kind: str,
    stem: str,
    notes: tuple[str, ...],
) -> Annotations:
    """A row per frame with its label."""
    assert columns.frame is not None
    found = []
    if not columns.labels:
        notes = (*notes, "no column with a label: the frames that are listed are anomalous")
    for place, row in rows:
        number = read_time(row.get(columns.frame), place, columns.frame)
        if number.clock or number.value != int(number.value) or number.value < 0:
            raise UserError(f"{place}: {number.text} in '{columns.frame}' is no frame number")
        label = _label_of(row, columns)
        anomalous = not columns.labels or (bool(label) and not is_normal_word(label))
        video = _video_of(row, columns, stem, place)
        name = category_word(label) if anomalous else None
        found.append(FrameRow(video, int(number.value), anomalous, name, place))
    return read_frame_rows(found, source, f"{kind} with a row per frame", notes)
