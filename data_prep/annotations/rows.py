"""Rows of a table: what one says of its video, told by the columns (columns.py)."""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.annotations.builder import Builder
from data_prep.annotations.columns import Columns
from data_prep.annotations.labels import flag_of
from data_prep.annotations.record import Annotations
from data_prep.annotations.times import find_time, is_blank, read_time
from refinevad_jax.errors import UserError

Row = tuple[str, Mapping[str, Any]]  # place, {column: cell}


def read_counts(rows: Sequence[Row], columns: Columns, source: str) -> Annotations:
    """A table of frame counts."""
    builder = Builder("table of frame counts", source)
    for place, row in rows:
        video = video_of(row, columns, "", place)
        builder.add(video, None, place=place, num_frames=count_of(row, columns, place))
    return builder.build()


def count_of(row: Mapping[str, Any], columns: Columns, place: str) -> int | None:
    """Frames of the row's video, None if it does not say. Raises UserError for another number."""
    if not columns.num_frames or is_blank(row.get(columns.num_frames)):
        return None
    count = read_time(row[columns.num_frames], place, columns.num_frames).value
    if count != int(count):
        raise UserError(f"{place}: {count} in '{columns.num_frames}' is not a number of frames")
    return int(count)


def rate_of(row: Mapping[str, Any], columns: Columns, place: str) -> float | None:
    """Frames per second, None if the row does not say. Raises UserError if it is not a rate."""
    if not columns.fps or is_blank(row.get(columns.fps)):
        return None
    text = str(row[columns.fps]).strip().lower()
    ratio = re.fullmatch(r"([0-9]+)/([1-9][0-9]*)", text)  # as ffprobe writes it
    if ratio:
        return int(ratio[1]) / int(ratio[2]) or None
    found = find_time(re.sub(r"\s*(fps|hz)$", "", text))
    if found is None or found.clock or found.value < 0:
        raise UserError(
            f"{place}: {text[:40]!r} in '{columns.fps}' is not a rate; write 25 or 29.97"
        )
    return found.value or None


def duration_of(row: Mapping[str, Any], columns: Columns, place: str) -> float | None:
    """Seconds of the row's video, None if it does not say. Raises UserError if it is not a time."""
    column = columns.video_duration
    if column is None or is_blank(row.get(column.name)):
        return None
    found = read_time(row[column.name], place, column.name)
    return found.value * (1.0 if found.clock else column.scale) or None


def video_of(row: Mapping[str, Any], columns: Columns, stem: str, place: str) -> str:
    """The row's video; stem if no column names it. Raises UserError for an empty name."""
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


def label_of(row: Mapping[str, Any], columns: Columns) -> str | None:
    """The label of a row, None if all of its label columns are empty."""
    if columns.flag and flag_of(row.get(columns.flag)) is False:
        return "normal"
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
