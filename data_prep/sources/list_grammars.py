"""Lists that people write themselves: JSON, tables with columns in any order, the label first.

Each reader answers None for a list of another grammar; sources/lists.py then goes on.
"""

import csv
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from data_prep.catalogue.video_names import is_normal_label, is_video_path
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import SUFFIXES, UNSAFE

Line = tuple[int, str]
Row = tuple[int, str, str | None]  # line, path, label or None

# Columns or keys, in lower case.
_NAMES = re.compile(r"(video|file|clip)?[ _-]?(path|name)|video[ _-]?id|video|file|clip|feature")
_LABELS = re.compile(r"labels?|class([ _-]?name)?|category|target|anomaly|abnormal")
_RECORDING = "source"  # the recording that a video is a piece of
# Those of a truth, which data_prep.annotations reads.
_TIMES = re.compile(r"(start|end|begin|stop|onset|offset|from|to|glance)(_.*)?|segments?|events?")
_SPLIT = re.compile(r"split|subset|partition|phase")
_SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")
_WORD = re.compile(r"[^\s,;|]+").fullmatch
_FEWEST_FRAMES = 16  # of one segment: what is below is no number of frames


class Rows(NamedTuple):
    """A list, read: its grammar, its rows, and what a user should know of the reading.

    recordings: by line, of what recording a video is a piece, for rows that state it.
    """

    grammar: str
    rows: list[Row]
    notes: tuple[str, ...] = ()
    recordings: Mapping[int, str] = MappingProxyType({})


def read_rows(
    content: str, lines: Sequence[Line], path: pathlib.Path, split: str = ""
) -> Rows | None:
    """The rows of a list in one of these grammars, None if it is of another.

    lines: those of the content that are not blank. split: the one that is read, of a JSON file with
    several. Raises UserError for a list that cannot be used as it is.
    """
    if content.lstrip()[:1] in ("{", "["):
        return _read_json(content, path, split)
    _refuse_classes(lines, path)
    return (
        _read_table(lines, path, split)
        or _read_divided(lines)
        or _read_label_first(lines)
        or _read_counted(lines)
    )


def is_file(text: str) -> bool:
    """Whether a text names a video or a feature file, by its suffix."""
    return is_video_path(text) or text.strip().lower().endswith((*SUFFIXES, *UNSAFE))


def _label(value: str, place: str) -> str:
    """A label as it is used; 0 and 1 are normal and not."""
    if re.fullmatch(r"[01](\.0)?", value):
        return "Normal" if is_normal_label(value) else "Abnormal"
    if re.fullmatch(r"-?\d+(\.0)?", value):
        raise UserError(
            f"{place}: {value} may be a class, and a list does not say which; write the names of "
            "the classes: a CSV file with the header path,label"
        )
    return value


def _refuse_classes(lines: Sequence[Line], path: pathlib.Path) -> None:
    """Raises UserError for `path 3`: a class without a name, too few to be frames."""
    parts = [line.rsplit(maxsplit=1) for _, line in lines]
    if not all(len(p) == 2 and p[1].isdecimal() and (is_file(p[0]) or _WORD(p[0])) for p in parts):
        return
    numbers = {int(number) for _, number in parts}
    if not numbers <= {0, 1} and max(numbers) < _FEWEST_FRAMES:
        raise UserError(
            f"{path}:{lines[0][0]}: the numbers {min(numbers)} to {max(numbers)} may be classes, "
            "and the list does not say which; write the names of the classes: a CSV file with the "
            "header path,label"
        )


def _of_split(value: str, split: str) -> bool:
    """Whether a word means a split: `training` means `train`."""
    return value.lower()[:3] == split.lower()[:3]


def _chosen(
    rows: Sequence[Row], splits: Mapping[int, str], split: str, path: pathlib.Path
) -> tuple[list[Row], tuple[str, ...]]:
    """The rows of one split, and how they were chosen; all, if it is not known which is wanted.

    splits: what each row states, by its line. Raises UserError if none is of the split.
    """
    stated = sorted(set(splits.values()))
    if not split or not splits or any(value.lower() not in _SPLITS for value in stated):
        return list(rows), ()
    found = [row for row in rows if _of_split(splits.get(row[0], ""), split)]
    if not found:
        raise UserError(f"{path}: no row of {split!r} in it; its rows are of {', '.join(stated)}")
    return found, (f"{len(found)} of {len(rows)} rows are of the split {split}",)


def _read_table(lines: Sequence[Line], path: pathlib.Path, split: str) -> Rows | None:
    """A table whose header has a column of names and one of labels, among others."""
    delimiter = next((mark for mark in "\t;,|" if mark in lines[0][1]), None)
    if delimiter is None:
        return None
    header = [cell.strip() for cell in _cells(lines[0], path, delimiter)]
    columns = [cell.lower() for cell in header]
    name, label = (
        next((i for i, one in enumerate(columns) if kind.fullmatch(one)), None)
        for kind in (_NAMES, _LABELS)
    )
    usual = len(columns) == 2 and name == 0 and delimiter in ",;"
    if name is None or label is None or usual or any(map(_TIMES.fullmatch, columns)):
        return None
    recording = columns.index(_RECORDING) if _RECORDING in columns else None
    part = next((i for i, one in enumerate(columns) if _SPLIT.fullmatch(one)), None)
    rows: list[Row] = []
    recordings: dict[int, str] = {}
    splits: dict[int, str] = {}
    for line in lines[1:]:
        cells = [cell.strip() for cell in _cells(line, path, delimiter)]
        if len(cells) != len(header) or not (cells[name] and cells[label]):
            raise UserError(
                f"{path}:{line[0]}: {line[1][:80]!r} is not '{delimiter.join(header)}', as the "
                "header says; correct the row"
            )
        rows.append((line[0], cells[name], _label(cells[label], f"{path}:{line[0]}")))
        if recording is not None:
            recordings[line[0]] = cells[recording]
        if part is not None:
            splits[line[0]] = cells[part]
    rows, notes = _chosen(rows, splits, split, path)
    used = (name, label, recording, *([part] if notes else []))
    others = [cell for i, cell in enumerate(header) if cell and i not in used]
    notes += (f"columns that are not read: {', '.join(others)}",) if others else ()
    return Rows(f"table of {header[name]} and {header[label]}", rows, notes, recordings)


def _cells(line: Line, path: pathlib.Path, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line[1]], strict=True, delimiter=delimiter))
    except csv.Error as error:
        raise UserError(f"{path}:{line[0]}: not a CSV row ({error})") from error


def _read_divided(lines: Sequence[Line]) -> Rows | None:
    """`path|label` and `path: label`, without a header."""
    for mark in ("|", ":"):
        cut = [(i, line.rpartition(mark)) for i, line in lines]
        parts = [(i, path.strip(), label.strip()) for i, (path, _, label) in cut]
        if all(is_file(path) and label and not is_file(label) for _, path, label in parts):
            rows: list[Row] = [(i, path, _label(label, f"line {i}")) for i, path, label in parts]
            return Rows(f"path{mark}label per line", rows)
    return None


def _read_label_first(lines: Sequence[Line]) -> Rows | None:
    """`label path`, told by the suffix of what is last.

    A blank is also part of names ("Camera 1.mp4"): there a label has to be 0, 1 or a normal one.
    """
    for mark in (r"\t+", ";", ",", r"\|", r"\s+"):
        parts = [(i, re.split(rf"\s*{mark}\s*", line, maxsplit=1)) for i, line in lines]
        if not all(len(p) == 2 and is_file(p[1]) and p[0] and not is_file(p[0]) for _, p in parts):
            continue
        labels = {label for _, (label, _) in parts}
        told = any(map(is_normal_label, labels)) and len(labels) > 1
        if told or (mark != r"\s+" and len(labels) < len(lines)):
            rows: list[Row] = [(i, path, _label(label, f"line {i}")) for i, (label, path) in parts]
            note = "every line was read as a label and a path, because files end the lines"
            return Rows("label and path per line", rows, (note,))
    return None


def _read_counted(lines: Sequence[Line]) -> Rows | None:
    """`path frames label`, as recognisers of actions have it; spans end after they begin."""
    parts = [(i, line.rsplit(maxsplit=2)) for i, line in lines]
    if not all(
        len(p) == 3 and p[1].isdecimal() and p[2] in ("0", "1") and (is_file(p[0]) or _WORD(p[0]))
        for _, p in parts
    ):
        return None
    if min(int(frames) for _, (_, frames, _) in parts) < _FEWEST_FRAMES:
        return None
    rows: list[Row] = [(i, name, _label(label, f"line {i}")) for i, (name, _, label) in parts]
    return Rows("path, frames and label per line", rows, ("the frames of each line are not read",))


def _read_json(content: str, path: pathlib.Path, split: str) -> Rows | None:
    """Names, or names with labels: a list, a mapping, JSON lines, or one of these per split."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        try:
            value = [json.loads(line) for line in content.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            return None  # data_prep.annotations says what is wrong
    if isinstance(value, dict) and value and all(key.lower() in _SPLITS for key in value):
        key = next((key for key in value if split and _of_split(key, split)), "")
        if not key:
            names = ", ".join(value)
            asked = f"no {split!r} among them" if split else "one list is needed"
            raise UserError(f"{path}: it holds the lists {names}; {asked}: save each to a file")
        value = value[key]
    entries = _json_entries(value, path)
    if not entries:
        return None
    splits = {}
    if all(isinstance(one, dict) for one in (value.values() if isinstance(value, dict) else value)):
        each = list(value.values() if isinstance(value, dict) else value)
        splits = {i: str(one.get(_key(one, _SPLIT), "")) for i, one in enumerate(each, 1)}
    entries, notes = _chosen(entries, splits, split, path)
    stated = any(label is not None for _, _, label in entries)
    return Rows("JSON of names and labels" if stated else "JSON of names", entries, notes)


def _json_entries(value: Any, path: pathlib.Path) -> list[Row]:
    """Rows of a JSON list or mapping, [] if it is something else."""
    if isinstance(value, dict) and all(map(_are_files, value.values())):
        pairs = [(name, label) for label, names in value.items() for name in names]
    elif isinstance(value, list) and all(isinstance(one, list) and len(one) == 2 for one in value):
        if not all(isinstance(one, str) and is_file(one) for one, _ in value):
            return []
        pairs = [tuple(one) for one in value]
    elif isinstance(value, dict):
        if not all(isinstance(label, str) or label in (0, 1) for label in value.values()):
            if not all(isinstance(one, dict) and _key(one, _LABELS) for one in value.values()):
                return []
            value = {name: one[_key(one, _LABELS)] for name, one in value.items() if _plain(one)}
        pairs = list(value.items())
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        pairs = [(name, None) for name in value]
    elif isinstance(value, list) and all(isinstance(one, dict) and _plain(one) for one in value):
        keys = [(_key(one, _NAMES), _key(one, _LABELS)) for one in value]
        if not all(name for name, _ in keys):
            return []
        pairs = [(one[n], one[k] if k else None) for one, (n, k) in zip(value, keys, strict=True)]
    else:
        return []
    rows: list[Row] = []
    for i, (name, label) in enumerate(pairs, 1):
        place = f"{path}, entry {i}"
        if isinstance(label, list) and label and all(isinstance(one, str) for one in label):
            label = ",".join(label)
        if isinstance(label, bool | int | float):
            label = str(int(label)) if label == int(label) else str(label)
        if not isinstance(name, str) or not isinstance(label, str | None):
            raise UserError(f"{place}: a name and a label are expected, not {name!r:.40}")
        rows.append((i, name, None if label is None else _label(label, place)))
    return rows


def _are_files(value: Any) -> bool:
    """Whether a value is a list of files."""
    return isinstance(value, list) and all(isinstance(one, str) and is_file(one) for one in value)


def _key(entry: Mapping[str, Any], kind: re.Pattern[str]) -> str:
    return next((key for key in entry if kind.fullmatch(key.lower())), "")


def _plain(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is no truth: it has neither times nor a label per frame."""
    lists = [key for key, value in entry.items() if isinstance(value, list | dict)]
    labels = entry.get(_key(entry, _LABELS))
    words = isinstance(labels, list) and all(isinstance(one, str) for one in labels)
    others = [key for key in lists if not (words and key == _key(entry, _LABELS))]
    return not others and not any(_TIMES.fullmatch(key.lower()) for key in entry)
