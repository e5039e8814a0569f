"""Tables of events: rows with a video, a start, an end and a label, in any order of columns.

Their rows come from CSV and tab-separated files with a header, and from JSON whose entries have
such keys. What the columns mean is told by their names (columns.py).
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_prep.annotations.builder import Builder
from data_prep.annotations.columns import (
    UNIT_NAMES,
    Column,
    Columns,
    in_unit,
    is_class_name,
    is_flag_name,
    understand,
    words_of,
)
from data_prep.annotations.frames import FrameRow, read_frame_rows
from data_prep.annotations.labels import category_word, flag_of, is_normal_word, listed
from data_prep.annotations.record import Annotations, Stretch
from data_prep.annotations.rows import (
    Row,
    count_of,
    duration_of,
    label_of,
    rate_of,
    video_of,
)
from data_prep.annotations.times import (
    Time,
    find_time,
    is_blank,
    pairs_of,
    read_time,
    unit_in_name,
)
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Event:
    """A row, or one pair of times of it; start and end are None if it states no time."""

    video: str
    place: str
    start: Time | None
    end: Time | None
    label: str | None


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
    columns = _with_flag(understand(names, filled), rows, names, filled)
    columns = _with_unit(columns, rows, names)
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
    if columns.times and (
        moments := sum(_is_moment(row.get(columns.times.name)) for _, row in rows)
    ):
        notes.append(f"marks at a single moment are not spans and were left out: {moments}")
    unit, reason, question = _unit_of(events, columns, source)
    builder = Builder(f"{kind} ({_in_words(unit)})", source, unit=unit)
    found = _add(events, rows, columns, unit, builder)
    anomalous = [event for event in events if event.start and not is_normal_word(event.label)]
    labels = Counter(word for event in anomalous if (word := category_word(event.label)))
    named = f"; labels: {listed(labels)}" if labels else ""
    notes.insert(
        0,
        f"events: {found}, videos: {len({event.video for event in events})}, from "
        f"{_described(columns)}, in {_in_words(unit)}{named}{ignored}",
    )
    return builder.build(
        notes=tuple(notes),
        unit_reason=reason,
        unit_fixed=_fixed(events, columns),
        unit_question=question,
    )


def _with_flag(
    columns: Columns, rows: Sequence[Row], names: Sequence[str], filled: Sequence[str]
) -> Columns:
    """The columns, with one that says 0 or 1, or has numbers, apart from one that names the class.

    Raises UserError for a row with 0 and a class that is not a word for normal, if the column may
    have the numbers of the classes.
    """
    for name in [n for n in names if n and (is_flag_name(n) or n in columns.labels[:1])]:
        cells = {place: row.get(name) for place, row in rows if not is_blank(row.get(name))}
        flags = {place: flag_of(cell) for place, cell in cells.items()}
        numbers = name in columns.labels and all(str(cell).isdigit() for cell in cells.values())
        if not cells or (None in flags.values() and not numbers):
            continue
        other = understand([n for n in names if n != name], filled)
        if not other.labels or not is_class_name(other.labels[0]):
            continue
        if is_flag_name(name) and None not in flags.values():
            return dataclasses.replace(other, flag=name)
        words = {place: label_of(row, other) or "" for place, row in rows if place in cells}
        pairs = {(str(cells[place]), word) for place, word in words.items()}
        one_to_one = len(pairs) == len({word for _, word in pairs}) == len({n for n, _ in pairs})
        events = [p for p, flag in flags.items() if flag is False and not is_normal_word(words[p])]
        if events and not one_to_one:
            return dataclasses.replace(other, flag=name) if None not in flags.values() else columns
        if events and words[events[0]]:
            raise UserError(
                f"{events[0]}: {cells[events[0]]} in '{name}' and {words[events[0]][:40]!r} in "
                f"'{other.labels[0]}'; call '{name}' is_anomaly if 0 means normal, or leave it out"
            )
        return other
    return columns


def _with_unit(columns: Columns, rows: Sequence[Row], names: Sequence[str]) -> Columns:
    """The columns in the unit that a column `unit` states. Raises UserError if it is not known."""
    name = next((n for n in names if " ".join(words_of(n)) in UNIT_NAMES), None)
    stated = {str(row[name]): place for place, row in rows if name and not is_blank(row.get(name))}
    if not stated or name in columns.used():
        return columns
    (word, place), *others = stated.items()
    found = in_unit(columns, word)
    if found is None or others:
        raise UserError(
            f"{others[0][1] if others else place}: {(others or [(word, '')])[0][0][:40]!r} in "
            f"'{name}'; one of frames, s, ms, min or percent is known, the same in all rows"
        )
    return dataclasses.replace(found, unit=name)


def _fixed(events: Sequence[_Event], columns: Columns) -> str:
    """Why the numbers cannot be in another unit, see Annotations.unit_fixed."""
    first = columns.start or columns.times or columns.time
    if first and first.unit and first.scale != 1:
        return f"the column is called '{first.name}'"
    clocks = (
        time.text for event in events for time in (event.start, event.end) if time and time.clock
    )
    text = next(clocks, "")
    return f"times are written as {text}" if text else ""


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


def _events(rows: Sequence[Row], columns: Columns, stem: str) -> Iterator[_Event]:
    if columns.start is None and columns.times is None:
        yield from _state_events(rows, columns, stem)
        return
    pairs_of_columns = [(columns.start, columns.end or columns.duration), *columns.more]
    for place, row in rows:
        video, label = video_of(row, columns, stem, place), label_of(row, columns)
        if columns.times is not None:
            name = columns.times.name
            pairs = pairs_of(row.get(name))
            if pairs is None and _is_moment(row.get(name)):
                continue
            if pairs is None:
                raise UserError(
                    f"{place}: {str(row[name])[:60]!r} in '{name}' is not a list of times"
                )
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


def _is_moment(cell: Any) -> bool:
    """Whether a cell holds a single time, `[4.0]`: a mark in VIA, no event."""
    return re.fullmatch(r"\[[0-9.]+\]", str(cell).strip()) is not None


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
        video, label = video_of(row, columns, stem, place), label_of(row, columns)
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


def _unit_of(events: Sequence[_Event], columns: Columns, source: str) -> tuple[str, str, str]:
    """The unit of the times, why if nothing says it, and unit_question of Annotations."""
    column = columns.start or columns.times or columns.time
    assert column is not None  # there are events
    times = [time for event in events for time in (event.start, event.end) if time]
    if any(time.clock for time in times):
        return "seconds", "", ""
    if column.unit:
        return column.unit, "", ""
    if stated := unit_in_name(source):
        return stated, "", ""
    if all(time.whole for time in times):
        return "frames", f"all numbers in '{column.name}' are whole", ""
    reason, question = f"some numbers in '{column.name}' have a decimal point", ""
    if all(time.text.endswith(".0") for time in times) and len(times) < 2 * len(events):
        question = (
            f"are the times in '{column.name}' frames or seconds? All are written as "
            f"{times[0].text}; give --unit=frames or --unit=seconds"
        )
    return "seconds", reason, question


def _add(
    events: Sequence[_Event],
    rows: Sequence[Row],
    columns: Columns,
    unit: str,
    builder: Builder,
) -> int:
    """Gives the events to the builder. Returns how many there are."""
    cells = dict(rows)
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
        row = cells[event.place]
        builder.add(
            event.video,
            spans,
            place=event.place,
            label=label,
            num_frames=count_of(row, columns, event.place),
            fps=rate_of(row, columns, event.place),
            duration=duration_of(row, columns, event.place),
        )
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
            raise UserError(f"{place}: {number.text} in '{columns.frame}' is not a frame number")
        label = label_of(row, columns)
        anomalous = not columns.labels or (bool(label) and not is_normal_word(label))
        video = video_of(row, columns, stem, place)
        name = category_word(label) if anomalous else None
        found.append(FrameRow(video, int(number.value), anomalous, name, place))
    return read_frame_rows(found, source, f"{kind} with a row per frame", notes)
