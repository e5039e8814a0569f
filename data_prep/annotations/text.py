"""Text grammars of temporal annotation: one video per line, fields separated by white space.

A grammar is a function that reads one row or gives None. The grammar of a file is the first one,
in the order of `GRAMMARS`, that reads every row, so no single row is ever guessed.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence

from data_prep.annotations.record import Annotations, Builder
from data_prep.catalogue.lookup import data_set_of_all, label_from_name
from data_prep.catalogue.video_names import is_normal_label, strip_video_path
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
    """

    path: str
    spans: tuple[Span, ...] | None = None
    label: str | None = None
    num_frames: int | None = None


def _numbers(fields: Sequence[str]) -> list[int] | None:
    """The fields as whole numbers, None if one is not."""
    whole = all(re.fullmatch(r"-?[0-9]{1,10}", field) for field in fields)
    return [int(field) for field in fields] if whole else None


def _pairs(numbers: Sequence[int]) -> tuple[Span, ...]:
    """Start and end alternate; -1 -1 means no span."""
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(Span(start, end) for start, end in pairs if (start, end) != (-1, -1))


def _is_word(field: str) -> bool:
    return not re.fullmatch(r"[-+.0-9]+", field)


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
    return Row(fields[0], _pairs(numbers[2:]), None, numbers[0])


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
    if len(fields) != 2 or not _is_word(fields[1]):
        return None
    return Row(fields[0], None, fields[1])


GRAMMARS: dict[str, Callable[[Sequence[str]], Row | None]] = {
    "name (class start end)+": _class_per_span,
    "name class (start end)+": _class_spans,
    "name class (start end)+ frames": _class_spans_frames,
    "name frames class (start end)+": _frames_class_spans,
    "name frames class-id (start end)+": _frames_class_id_spans,
    "name 0 last class-id+": _first_last_class_ids,
    "name (start end)+": _spans,
    "name frames": _frames,
    "name class": _classes,
}


def read_text(content: str, source: str) -> Annotations:
    """Reads the lines of a text file. Raises UserError naming the line that does not fit."""
    lines = [(i, line.split()) for i, line in enumerate(content.splitlines(), 1) if line.strip()]
    grammar, rows = _choose(lines, source)
    rows = _mend_msad(rows)
    builder = Builder(grammar, source)
    for (number, _), row in zip(lines, rows, strict=True):
        place = f"{source}, line {number}"
        video = strip_video_path(row.path)
        label = _label(row, video)
        # No span in the row means normal only if the row or the name says so.
        spans = row.spans if row.spans or is_normal_label(label or "") else None
        builder.add(video, spans, place=place, label=label, num_frames=row.num_frames)
    return builder.build()


def _choose(lines: Sequence[tuple[int, list[str]]], source: str) -> tuple[str, list[Row]]:
    """The first grammar that reads every line; the error names one that the best cannot read."""
    most, best, failing = -1, "", 0
    for name, parse in GRAMMARS.items():
        parsed = [(number, parse(fields)) for number, fields in lines]
        rows = [row for _, row in parsed if row is not None]
        if len(rows) == len(lines):
            return name, rows
        if len(rows) > most:
            most, best = len(rows), name
            failing = next(number for number, row in parsed if row is None)
    if most == 0:
        raise UserError(
            f"{source}, line {failing}: no temporal annotation in a known grammar; docs/data.md "
            "lists them, 'name class start end' is the simplest"
        )
    raise UserError(
        f"{source}, line {failing}: does not fit '{best}', as {most} of {len(lines)} lines do; "
        "correct the line"
    )


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
