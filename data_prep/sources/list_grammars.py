"""Lists that people write themselves: JSON, tables with columns in any order, the label first.

Each reader answers None for a list of another grammar; sources/lists.py then goes on.
"""

import csv
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from data_prep.catalogue.video_names import is_normal_label, is_video_path
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import SUFFIXES, UNSAFE

Line = tuple[int, str]
Row = tuple[int, str, str | None]  # line, path, label or None

# Columns or keys, in lower case.
_NAMES = re.compile(r"(video|file|clip)?[ _-]?(path|name)|video[ _-]?id|video|file|clip|feature")
_LABELS = re.compile(
    r"labels?|class([ _-]?name)?|category|target|(is[ _-]?)?(anomal(y|ous)|abnormal)"
)
# Of tables that lists.py reads, whose labels are taken as they are.
HEADERS = {
    (name, label)
    for name in ("path", "video", "video_name", "video_path", "filename", "file", "name", "clip")
    for label in ("label", "class", "category")
}
_RECORDING = "source"  # the recording that a video is a piece of
# Those of a truth, which data_prep.annotations reads.
_TIMES = re.compile(r"(start|end|begin|stop|onset|offset|from|to|glance)(_.*)?|segments?|events?")
_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_SPLITS |= dict.fromkeys(("val", "valid", "validation", "dev"), "val")
_SPLIT_COLUMNS = ("split", "subset", "set", "partition")
_WORD = re.compile(r"[^\s,;|]+").fullmatch
_NUMBER = re.compile(r"-?[0-9.]+").fullmatch
_FEWEST_FRAMES = 16  # of one segment: what is below is not a number of frames


_T = TypeVar("_T")


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
    for read in (_read_table, _read_counted, _read_divided, _read_label_first):
        if found := read(lines, path, split):
            return found
    return None


def is_file(text: str) -> bool:
    """Whether a text names a video or a feature file, by its suffix."""
    return is_video_path(text) or text.strip().lower().endswith((*SUFFIXES, *UNSAFE))


def _label(value: str, place: str) -> str:
    """A label as it is used; 0 and 1, true and false are normal and not."""
    if re.fullmatch(r"[01](\.0)?|true|false", value.lower()):
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


def _read_table(lines: Sequence[Line], path: pathlib.Path, split: str) -> Rows | None:
    """A table whose header has a column of names and one of labels, among others.

    Of several columns of labels, one with words counts before numbers. If a column states splits,
    the rows of the one that is read are the list.
    """
    delimiter = next((mark for mark in "\t;,|" if mark in lines[0][1]), None)
    if delimiter is None:
        return None
    header = [cell.strip() for cell in _cells(lines[0], path, delimiter)]
    columns = [cell.lower() for cell in header]
    name = next((i for i, one in enumerate(columns) if _NAMES.fullmatch(one)), None)
    labels = [i for i, one in enumerate(columns) if _LABELS.fullmatch(one) and i != name]
    usual = tuple(columns) in HEADERS and delimiter in ",;"
    if name is None or not labels or usual or any(map(_TIMES.fullmatch, columns)):
        return None
    recording = columns.index(_RECORDING) if _RECORDING in columns else None
    table = []
    for line in lines[1:]:
        cells = [cell.strip() for cell in _cells(line, path, delimiter)]
        if len(cells) != len(header) or not (cells[name] and all(cells[i] for i in labels)):
            raise UserError(
                f"{path}:{line[0]}: {line[1][:80]!r} is not '{delimiter.join(header)}', as the "
                "header says; correct the row"
            )
        table.append((line[0], cells))
    divided = next((i for i, one in enumerate(columns) if one in _SPLIT_COLUMNS), None)
    notes: list[str] = []
    if divided is not None:
        table, notes = _of_split(table, [cells[divided] for _, cells in table], path, split)
        divided = divided if notes else None
    words = [i for i in labels if not all(_NUMBER(cells[i]) for _, cells in table)]
    label = (words or labels)[0]
    rows: list[Row] = [(i, cells[name], _label(cells[label], f"{path}:{i}")) for i, cells in table]
    recordings = {} if recording is None else {i: cells[recording] for i, cells in table}
    read = (name, label, recording, divided)
    if others := [cell for i, cell in enumerate(header) if cell and i not in read]:
        notes.append(f"columns that are not read: {', '.join(others)}")
    return Rows(f"table of {header[name]} and {header[label]}", rows, tuple(notes), recordings)


def _of_split(
    entries: Sequence[_T], words: Sequence[Any], path: pathlib.Path, split: str
) -> tuple[list[_T], list[str]]:
    """The entries of the split that is read, and a note; all without one if words are no splits.

    words: what each entry says of its split. Raises UserError if none is of the one that is read.
    """
    found = [_SPLITS.get(str(word).lower(), "") for word in words]
    if split not in _SPLITS.values() or "" in found:
        return list(entries), []
    if split not in found:
        raise UserError(
            f"{path}: its rows are of {', '.join(dict.fromkeys(found))}, none of {split}; give the "
            "list of that split"
        )
    chosen = [entry for entry, one in zip(entries, found, strict=True) if one == split]
    return chosen, [f"{len(chosen)} of {len(entries)} rows are of the split {split}"]


def _read_counted(lines: Sequence[Line], path: pathlib.Path, split: str) -> Rows | None:
    """`path frames label` of MMAction2: what is last is no end of an event, it is smaller."""
    parts = [(i, line.rsplit(maxsplit=2)) for i, line in lines]
    if not all(
        len(p) == 3
        and (is_file(p[0]) or _WORD(p[0]))
        and p[1].isdecimal()
        and p[2].isdecimal()
        and int(p[2]) < _FEWEST_FRAMES <= int(p[1])
        for _, p in parts
    ):
        return None
    rows: list[Row] = [(i, name, _label(label, f"{path}:{i}")) for i, (name, _, label) in parts]
    return Rows("path, frames and label per line", rows, ("the frames of the list are not read",))


def _cells(line: Line, path: pathlib.Path, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line[1]], strict=True, delimiter=delimiter))
    except csv.Error as error:
        raise UserError(f"{path}:{line[0]}: not a CSV row ({error})") from error


def _read_divided(lines: Sequence[Line], path: pathlib.Path, split: str) -> Rows | None:
    """`path|label` and `path: label`, without a header."""
    for mark in ("|", ":"):
        cut = [(i, line.rpartition(mark)) for i, line in lines]
        parts = [(i, name.strip(), label.strip()) for i, (name, _, label) in cut]
        if all(is_file(name) and label and not is_file(label) for _, name, label in parts):
            rows: list[Row] = [(i, name, _label(label, f"{path}:{i}")) for i, name, label in parts]
            return Rows(f"path{mark}label per line", rows)
    return None


def _read_label_first(lines: Sequence[Line], path: pathlib.Path, split: str) -> Rows | None:
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
            rows: list[Row] = [
                (i, name, _label(label, f"{path}:{i}")) for i, (label, name) in parts
            ]
            note = "every line was read as a label and a path, because files end the lines"
            return Rows("label and path per line", rows, (note,))
    return None


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
        key = next((key for key in value if split in (key, _SPLITS[key.lower()])), None)
        if key is None:
            names = ", ".join(value)
            asked = f"no {split!r} among them" if split else "one list is needed"
            raise UserError(f"{path}: it holds the lists {names}; {asked}: save each to a file")
        value = value[key]
    value, notes = _json_split(value, path, split)
    entries = _json_entries(value, path)
    if not entries:
        return None
    stated = any(label is not None for _, _, label in entries)
    return Rows("JSON of names and labels" if stated else "JSON of names", entries, tuple(notes))


def _json_split(value: Any, path: pathlib.Path, split: str) -> tuple[Any, list[str]]:
    """The entries of the split that is read, if they state theirs and are no truth."""
    if not value or not isinstance(value, dict | list):
        return value, []
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    if not all(isinstance(one, dict) and _plain(one) for _, one in pairs):
        return value, []
    key = next((key for _, one in pairs for key in one if key.lower() in _SPLIT_COLUMNS), "")
    pairs, notes = _of_split(pairs, [one.get(key) for _, one in pairs], path, split)
    return (dict(pairs) if isinstance(value, dict) else [one for _, one in pairs]), notes


def _json_entries(value: Any, path: pathlib.Path) -> list[Row]:
    """Rows of a JSON list or mapping, [] if it is something else."""
    if isinstance(value, dict):
        of_lists = bool(value) and all(map(_are_names, value.values()))
        of_files = of_lists and all(is_file(one) for names in value.values() for one in names)
        if of_files or (of_lists and any(map(is_normal_label, value))):  # {class: [videos]}
            value = {name: label for label, names in value.items() for name in names}
        elif of_lists and any(is_normal_label(one[0]) for one in value.values()):
            value = {name: ",".join(labels) for name, labels in value.items()}
        if not all(
            label is None or isinstance(label, str) or _is_class(label) for label in value.values()
        ):
            if not all(isinstance(one, dict) and _key(one, _LABELS) for one in value.values()):
                return []
            value = {name: one[_key(one, _LABELS)] for name, one in value.items() if _plain(one)}
        pairs = list(value.items())
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        pairs = [(name, None) for name in value]
    elif isinstance(value, list) and all(_is_pair(one) for one in value):
        pairs = [(one[0], one[1]) for one in value]
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


def _are_names(value: Any) -> bool:
    """Whether a value is a list of texts."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _is_pair(value: Any) -> bool:
    """Whether a value is a file and its label."""
    is_two = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
    return is_two and is_file(value[0])


def _is_class(value: Any) -> bool:
    """Whether a value may be the number of a class: there are more frames in a video."""
    return isinstance(value, int | float) and value in range(-1, _FEWEST_FRAMES)


def _key(entry: Mapping[str, Any], kind: re.Pattern[str]) -> str:
    return next((key for key in entry if kind.fullmatch(key.lower())), "")


def _plain(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is no truth: it has neither times nor a label per frame."""
    lists = [key for key, value in entry.items() if isinstance(value, list | dict)]
    labels = entry.get(_key(entry, _LABELS))
    words = isinstance(labels, list) and all(isinstance(one, str) for one in labels)
    others = [key for key in lists if not (words and key == _key(entry, _LABELS))]
    return not others and not any(_TIMES.fullmatch(key.lower()) for key in entry)
