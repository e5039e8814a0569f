"""Text grammars of temporal annotation: a video per line, without a header.

Fields are separated by white space, tabs, commas, semicolons or bars. A grammar is a function that
reads one row or gives None. The grammar of a file is the first one, in the order of `GRAMMARS` and
then of `TIMED`, that reads every row, so no single row is ever guessed.
"""

import csv
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

from data_prep.annotations.builder import Builder
from data_prep.annotations.labels import category_word, is_normal_word
from data_prep.annotations.record import Annotations, Stretch
from data_prep.annotations.times import Time, find_time, unit_in_name, with_points
from data_prep.annotations.vectors import find_mask_rows, read_vectors
from data_prep.catalogue.lookup import data_set_of_all, label_from_name
from data_prep.catalogue.video_names import is_normal_label, is_video_path, strip_video_path
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Row:
    """One line, read.

    Attributes:
        path: the video's name as written.
        spans: None if the grammar has no spans.
        label: the class that the row states.
        num_frames: the count that the row states.
        events: start, end and label of each span as times, of a grammar in `TIMED`.
    """

    path: str
    spans: tuple[Span, ...] | None = None
    label: str | None = None
    num_frames: int | None = None
    events: tuple[tuple[Time, Time, str | None], ...] = ()


def _numbers(fields: Sequence[str]) -> list[int] | None:
    """The fields as whole numbers, None if one is not."""
    whole = all(re.fullmatch(r"-?[0-9]{1,10}", field) for field in fields)
    return [int(field) for field in fields] if whole else None


def _pairs(numbers: Sequence[int]) -> tuple[Span, ...]:
    """Start and end alternate; -1 -1 means no span."""
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(Span(start, end) for start, end in pairs if (start, end) != (-1, -1))


# `12.5-15`, `0:05-0:09`
_RANGE = re.compile(r"([0-9][0-9:.]*)[-–~]([0-9][0-9:.]*)")


def _is_word(field: str) -> bool:
    """Whether a field is no number, and no list of numbers as `[10,20]`."""
    return not re.fullmatch(r"[-+.0-9,;()\[\]]+", field)


def _class_per_span(fields: Sequence[str]) -> Row | None:
    """`name B2 157 180 G 185 244`: VadCLIP annotations_multiclasses.txt."""
    if len(fields) < 4 or len(fields) % 3 != 1:
        return None
    spans: list[Span] = []
    for i in range(1, len(fields), 3):
        numbers = _numbers(fields[i + 1 : i + 3])
        if not _is_word(fields[i]) or numbers is None:
            return None
        if numbers != [-1, -1]:
            spans.append(Span(numbers[0], numbers[1], fields[i]))
    # Several classes have no common one; one for all of them is the video's.
    label = fields[1] if len({fields[i] for i in range(1, len(fields), 3)}) == 1 else None
    return Row(fields[0], tuple(spans), label)


def _class_spans(fields: Sequence[str]) -> Row | None:
    """`name  Class  s1  e1  s2  e2`: Sultani, VadCLIP, IEF-VAD, uws4vad."""
    numbers = _numbers(fields[2:])
    if len(fields) < 4 or not _is_word(fields[1]) or numbers is None or len(numbers) % 2:
        return None
    return Row(fields[0], _pairs(numbers), fields[1])


def _class_spans_frames(fields: Sequence[str]) -> Row | None:
    """`name Class s1 e1 s2 e2 n`: MIST."""
    numbers = _numbers(fields[2:])
    if len(fields) < 5 or not _is_word(fields[1]) or numbers is None or len(numbers) % 2 == 0:
        return None
    return Row(fields[0], _pairs(numbers[:-1]), fields[1], numbers[-1])


def _frames_class_spans(fields: Sequence[str]) -> Row | None:
    """`Dir/name n Class s1 e1 s2 e2`: UR-DMU, ekosman."""
    numbers = _numbers([*fields[1:2], *fields[3:]])
    if len(fields) < 5 or not _is_word(fields[2]) or numbers is None or len(numbers) % 2 == 0:
        return None
    return Row(fields[0], _pairs(numbers[1:]), fields[2], numbers[0])


def _frames_class_id_spans(fields: Sequence[str]) -> Row | None:
    """`path n id s1 e1`: UMIL; TAD writes `0 n` as the span of a normal video (id 0).

    A video has more frames than its class id, and a span never starts after it ends: that tells
    this grammar from `_spans`.
    """
    numbers = _numbers(fields[1:])
    if numbers is None or len(numbers) < 4 or len(numbers) % 2 or numbers[0] <= numbers[1]:
        return None
    if numbers[1] == 0:
        return Row(fields[0], (), "Normal", numbers[0])
    # An anomalous class without a span says nothing about the frames.
    return Row(fields[0], _pairs(numbers[2:]) or None, None, numbers[0])


def _first_last_class_ids(fields: Sequence[str]) -> Row | None:
    """`path 0 n id` (UMIL training) or `Dir/name 0 last id [id ...]` (AnomalyCLIP).

    AnomalyCLIP gives the last frame's index, UMIL the count; only UMIL's paths end in `.mp4`.
    """
    numbers = _numbers(fields[1:])
    if numbers is None or len(numbers) < 3 or numbers[0] != 0 or numbers[1] <= max(numbers[2:]):
        return None
    return Row(fields[0], None, None, numbers[1] + (not fields[0].endswith(".mp4")))


def _spans(fields: Sequence[str]) -> Row | None:
    """`name s1 e1 s2 e2 ...`: XD-Violence annotations.txt, anomalous videos only."""
    numbers = _numbers(fields[1:])
    if numbers is None or len(numbers) < 2 or len(numbers) % 2:
        return None
    return Row(fields[0], _pairs(numbers))


def _frames(fields: Sequence[str]) -> Row | None:
    """`Dir/name.mp4 n` (ekosman training) or `name@n` (uws4vad)."""
    if len(fields) == 1 and "@" in fields[0]:
        name, _, count = fields[0].rpartition("@")
        fields = [name, count]
    numbers = _numbers(fields[1:]) if len(fields) == 2 else None
    return None if numbers is None else Row(fields[0], None, None, numbers[0])


def _classes(fields: Sequence[str]) -> Row | None:
    """`name class` or `name class,class`: PEL4VAD relabel.list, IEF-VAD xd_test_list.txt."""
    if len(fields) != 2 or not _is_word(fields[1]) or _RANGE.fullmatch(fields[1]):
        return None
    return Row(fields[0], None, fields[1])


def _frames_spans(fields: Sequence[str]) -> Row | None:
    """`name n s1 e1 ...`, as of `path|n|[s1, e1, -1, -1]`."""
    numbers = _numbers(fields[1:])
    if numbers is None or len(numbers) < 3 or len(numbers) % 2 == 0 or numbers[0] <= 0:
        return None
    return Row(fields[0], _pairs(numbers[1:]), None, numbers[0])


GRAMMARS: dict[str, Callable[[Sequence[str]], Row | None]] = {
    "name (class start end)+": _class_per_span,
    "name class (start end)+": _class_spans,
    "name class (start end)+ frames": _class_spans_frames,
    "name frames class (start end)+": _frames_class_spans,
    "name frames class-id (start end)+": _frames_class_id_spans,
    "name 0 last class-id+": _first_last_class_ids,
    "name (start end)+": _spans,
    "name frames (start end)+": _frames_spans,
    "name frames": _frames,
    "name class": _classes,
}


def _normal_row(fields: Sequence[str]) -> Row | None:
    """`name Normal`, `name -1 -1`, `name n none`: a row without times that says so in words."""
    rest = list(fields[1:])
    count = next((int(field) for field in rest if re.fullmatch("[1-9][0-9]{1,8}", field)), None)
    if count is not None:
        rest.remove(str(count))
    words = [field for field in rest if field != "-1"]
    if not rest or (not words and len(rest) % 2):
        return None
    if any(re.fullmatch("[0-9.]+", word) or not is_normal_word(word) for word in words):
        return None
    return Row(fields[0], (), "Normal", count)


def _timed(pattern: str) -> Callable[[Sequence[str]], Row | None]:
    """The reader of rows whose fields after the name are as in the pattern: t time, w word."""

    def read(fields: Sequence[str]) -> Row | None:
        fields = [fields[0].removesuffix(":"), *_parts(fields[1:])]
        found = [find_time(field) for field in fields[1:]]
        if not re.fullmatch(pattern, "".join("t" if time else "w" for time in found)):
            return None
        times = [time for time in found if time]
        words = [field for field, time in zip(fields[1:], found, strict=True) if not time]
        pairs = list(zip(times[::2], times[1::2], strict=True))
        labels = words if len(words) == len(pairs) else [*words, None] * len(pairs)
        events = [
            (start, end, label)
            for (start, end), label in zip(pairs, labels, strict=False)
            if (start.text, end.text) != ("-1", "-1")
        ]
        label = words[0] if len(set(words)) == 1 else None
        return Row(fields[0], () if not events else None, label, events=tuple(events))

    return read


def _parts(fields: Sequence[str]) -> list[str]:
    """The fields without brackets, and ranges as two: `[10, 20]` and `10-20` are 10 and 20."""
    text = " ".join(_RANGE.sub(r"\1 \2", field) for field in fields)
    return re.sub(r"[\[\](),;]", " ", text).split()


TIMED: dict[str, Callable[[Sequence[str]], Row | None]] = {
    "name (class start end)+": _timed("(wtt)+"),
    "name class (start end)+": _timed("w(tt)+"),
    "name (start end class)+": _timed("(ttw)+"),
    "name (start end)+ class": _timed("(tt)+w"),
    "name (start end)+": _timed("(tt)+"),
}

Lines = Sequence[tuple[int, list[str]]]


def read_text(content: str, source: str) -> Annotations:
    """Reads the lines of a text file. Raises UserError naming the line that does not fit."""
    numbered = [
        (number, line.strip())
        for number, line in enumerate(content.splitlines(), 1)
        if line.strip() and not re.match(r"#(\s|$)", line)
    ]
    words = [(number, _words(line)) for number, line in numbered]
    if not words:
        raise UserError(f"{source}: no video in it; check that this is the right file")
    ways = (words, *_split_otherwise(numbered))
    for lines in filter(None, ways):
        if masks := find_mask_rows(lines, source):
            return read_vectors(masks, source, "text, a video and its 0/1 values per line")
        chosen = _choose(lines)
        if chosen and (lines is words or chosen[0] != "name class"):
            break
    else:
        raise UserError(_misfit(ways[-1], source))
    return _build(*chosen, lines, source)


def _words(line: str) -> list[str]:
    """The fields between white space; a name in quotes, or up to a video's suffix, is one field."""
    if match := re.match(r'"([^"]+)"\s', line):
        return [match.group(1), *line[match.end() :].split()]
    fields = line.split()
    end = next((i for i, field in enumerate(fields) if is_video_path(field)), 0)
    return [" ".join(fields[: end + 1]), *fields[end + 1 :]]


def _split_otherwise(numbered: Sequence[tuple[int, str]]) -> list[Lines]:
    """The lines split at a tab, bar, semicolon or comma, if every line has it."""
    ways: list[Lines] = []
    for delimiter in "\t|;,":
        if all(delimiter in line for _, line in numbered):
            try:
                rows = [(i, next(csv.reader([line], delimiter=delimiter))) for i, line in numbered]
            except csv.Error:
                continue
            if delimiter in ";\t":
                rows = [(i, [with_points(field) for field in fields]) for i, fields in rows]
            ways.append([(i, spread) for i, fields in rows if (spread := _spread(fields))])
    return ways


def _spread(fields: Sequence[str]) -> list[str]:
    """The fields without empty ones, `[1, 5, -1, -1]` as four."""
    found: list[str] = []
    for field in (field.strip() for field in fields):
        if field[:1] == "[" and field[-1:] == "]":
            found += re.findall(r"[^\s,\[\]]+", field)
        elif field:
            found.append(field)
    return found


def _choose(lines: Lines) -> tuple[str, list[Row]] | None:
    """The first grammar that reads every line, with the rows."""
    for name, parse in GRAMMARS.items():
        if rows := _rows(parse, lines, {}):
            return name, rows
    normal = {number: row for number, fields in lines if (row := _normal_row(fields))}
    if len(normal) == len(lines):
        return None
    for name, parse in (*GRAMMARS.items(), *TIMED.items()):
        if rows := _rows(parse, lines, normal):
            return name, rows
    return None


def _rows(
    parse: Callable[[Sequence[str]], Row | None], lines: Lines, normal: Mapping[int, Row]
) -> list[Row] | None:
    """The rows of all lines, None if one is neither of the grammar nor among the normal ones."""
    rows = []
    for number, fields in lines:
        row = normal.get(number) or parse(fields)
        if row is None:
            return None
        rows.append(row)
    return rows


def _misfit(lines: Lines, source: str) -> str:
    """What is wrong with a file that no grammar reads, by the line that most probably is wrong."""
    if any("-->" in fields for _, fields in lines):
        return f"{source}: subtitles; write a table with columns video, start, end, label"
    if lines and all(len(fields) == 1 or _classes(fields) for _, fields in lines):
        return f"{source}, line {lines[0][0]}: names without times; give a list of videos as --list"
    if lines and _is_unknown_header(lines):
        return (
            f"{source}, line {lines[0][0]}: no temporal annotation is known by such names of "
            "columns; call them video, start, end, label"
        )
    most, best, failing = 0, "", lines[0][0] if lines else 1
    for name, parse in {**TIMED, **GRAMMARS}.items():
        fits = [parse(fields) or _normal_row(fields) for _, fields in lines]
        own = sum(parse(fields) is not None for _, fields in lines)
        count = sum(row is not None for row in fits)
        if own and count >= most and count < len(lines):
            most, best = count, name
            failing = next(i for (i, _), row in zip(lines, fits, strict=True) if row is None)
    if 2 * most <= len(lines):
        number = failing if most else lines[0][0] if lines else 1
        return (
            f"{source}, line {number}: no temporal annotation in a known grammar; docs/data.md "
            "lists them, 'name class start end' is the simplest"
        )
    return (
        f"{source}, line {failing}: does not fit '{best}', as {most} of {len(lines)} lines do; "
        "correct the line"
    )


def _is_unknown_header(lines: Lines) -> bool:
    """Whether the first line alone has no numbers, and as many fields as all others."""
    timed = [any(find_time(field) for field in fields[1:]) for _, fields in lines]
    sizes = {len(fields) for _, fields in lines}
    return len(lines) > 1 and not timed[0] and all(timed[1:]) and len(sizes) == 1 and sizes != {1}


def _build(grammar: str, rows: list[Row], lines: Lines, source: str) -> Annotations:
    rows = _mend_msad(rows)
    times = [time for row in rows for start, end, _ in row.events for time in (start, end)]
    stated = unit_in_name(source)
    seconds = not all(time.whole for time in times) or stated == "seconds"
    clock = next((time.text for time in times if time.clock), "")
    # Who states a number of frames counts in frames, and so do the released files.
    whole = any(row.spans or row.events for row in rows) and not any(row.num_frames for row in rows)
    own = not data_set_of_all([strip_video_path(row.path) for row in rows])
    reason = "some numbers have a decimal point" if seconds else "all numbers are whole"
    builder = Builder(
        f"{grammar} (seconds)" if seconds else grammar,
        source,
        unit="seconds" if seconds else "frames",
    )
    for (number, _), row in zip(lines, rows, strict=True):
        place = f"{source}, line {number}"
        video = strip_video_path(row.path)
        label = _label(row, video)
        spans: Sequence[Span | Stretch] | None = row.spans
        if row.events:
            spans = [_span(*event, seconds) for event in row.events]
        elif spans and seconds:
            spans = [Stretch(span.start, span.end, span.category) for span in row.spans or ()]
        if row.events and row.label is not None:
            label = category_word(row.label)
        if row.spans == () and is_normal_word(row.label) and not is_normal_label(label):
            label = "Normal"  # `none -1 -1`
        if spans and is_normal_word(row.label):
            builder.add_normal_part(row.path, place)
            continue
        # No span in the row means normal only if the row or the name says so.
        silent = row.label is None and label is None and row.spans == ()
        if not spans and not silent and not is_normal_label(label or ""):
            spans = None
        builder.add(row.path, spans, place=place, label=label, num_frames=row.num_frames)
    notes = []
    if several := builder.several():
        notes.append(
            f"videos with several rows, which are read together: {len(several)}, first {several[0]}"
        )
    return builder.build(
        notes=tuple(notes),
        unit_reason=reason if own and (seconds or whole) and not (clock or stated) else "",
        unit_fixed=f"times are written as {clock}" if clock else "",
    )


def _span(start: Time, end: Time, label: str | None, seconds: bool) -> Span | Stretch:
    category = None if label is None else category_word(label)
    if seconds:
        return Stretch(start.value, end.value, category)
    return Span(int(start.value), int(end.value), category)


def _mend_msad(rows: list[Row]) -> list[Row]:
    """IEF-VAD's MSAD file states the scene instead of the class; the name has the class."""
    videos = [strip_video_path(row.path) for row in rows]
    if data_set_of_all(videos) != "MSAD" or rows[0].label is None:
        return rows
    return [
        dataclasses.replace(
            row,
            label=label_from_name(video),
            spans=row.spans and tuple(Span(span.start, span.end) for span in row.spans),
        )
        for row, video in zip(rows, videos, strict=True)
    ]


def _label(row: Row, video: str) -> str | None:
    """The row's class, but XD-Violence's full label string from the name if there is one."""
    stated = label_from_name(video)
    return stated if "_label_" in video and stated is not None else row.label or stated
