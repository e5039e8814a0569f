"""Files of scores in the formats that people bring: by video name, or one array without names.

Arrays (.npy, .npz, .mat, HDF5, safetensors), tables (.csv, .tsv, .txt), JSON, and folders with a
file per video. Nothing is unpickled. What the arrays mean is for score_files.py to tell.
"""

import csv
import json
import math
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_array, load_packed
from refinevad_jax.files.feature_files import load_arrays
from refinevad_jax.files.hashes import file_sha256, json_sha256
from refinevad_jax.files.kinds import kind_of, refuse_others
from refinevad_jax.metrics.truth import FRAMES_PER_SEGMENT
from refinevad_jax.runs.evaluations import is_evaluation

TABLES = (".csv", ".tsv", ".txt")
CONTAINERS = (".mat", ".h5", ".hdf5", ".safetensors")
SUFFIXES = (".npz", ".npy", *TABLES, ".json", *CONTAINERS)
MAX_TEXT_BYTES = 2**30
# Columns or keys, in lower case.
_NAMES = re.compile(r"(video|clip|file)[ _-]?(name|id|path)?")
_OTHER_NAMES = re.compile(r"name|path"), re.compile(r"id")
_SCORES = re.compile(
    r"(anomaly|abnormal|frame|segment|pred|predicted)?[ _-]?(scores?|prob|probability|probs)"
)
_OTHER_SCORES = re.compile(r"pred(iction)?s?|values?|p")  # beside scores, they are decisions
_WRAPPERS = re.compile(r"scores?|results?|videos?|data|predictions?", re.IGNORECASE)
_FRAMES = re.compile(r"(start[ _-]?)?frames?([ _-]?(id|idx|index|no|nr|num|number))?")
_PLACES = re.compile(
    rf"{_FRAMES.pattern}|(segment|snippet|clip|window|time|start|second)s?"
    r"([ _-]?(id|idx|index|no|nr|number|s))?|index|idx|t|i|position|step"
)
_GAP = 1.5  # usual steps; the times of frames vary by less
_LAST_FRAME = 10**8


def read_content(path: pathlib.Path) -> tuple[dict[str, np.ndarray] | np.ndarray, list[str]]:
    """The arrays of a file or folder by name, or one array; and what to know of the reading.

    Raises UserError if it is missing, damaged, of another kind, or cannot be understood.
    """
    if path.is_dir():
        return _read_folder(path)
    _refuse_pickles(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        refuse_others(path, "a file of scores", "npy", "npz", "mat", "mat73", "hdf5")
        raise UserError(
            f"{path}: scores are read from .npz, .json, {', '.join(CONTAINERS)} (by video), .npy "
            f"(one array), {' or '.join(TABLES)} (video,score), or a folder with a file per video"
        )
    if suffix == ".npy":
        return load_array(path), []
    if suffix in CONTAINERS:
        return load_arrays(path), []
    if suffix == ".npz":
        return dict(load_packed(path)), []
    return _read_json(path) if suffix == ".json" else _read_table(path)


def content_sha256(path: pathlib.Path) -> str:
    """SHA-256 of a file of scores, or of the names and digests of a folder's files."""
    if path.is_dir():
        return json_sha256({_below(file, path): file_sha256(file) for file in _files(path)})
    return file_sha256(path)


def _refuse_pickles(path: pathlib.Path) -> None:
    kind = kind_of(path)
    if kind.name in ("pickle", "torch"):
        what = kind.words.split(",")[0]
        load = "torch.load(F, map_location='cpu')" if kind.name == "torch" else "pickle.load(F)"
        raise UserError(
            f"{path}: {what}, which only unpickling could open, and that may run any code; if you "
            f"trust it, save its dict of arrays in Python with F = open({str(path)!r}, 'rb'); "
            f"numpy.savez({str(path.with_suffix('.npz'))!r}, **{load})"
        )


def is_name_of_scores(name: str) -> bool:
    """Whether a name of an array, column or key says that it is scores."""
    return any(kind.fullmatch(name.lower()) for kind in (_SCORES, _OTHER_SCORES))


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in files if path.suffix.lower() in (".npy", ".json", *TABLES)]


def _below(path: pathlib.Path, folder: pathlib.Path) -> str:
    return path.relative_to(folder).as_posix()


def _read_folder(folder: pathlib.Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """One video per file, named by the file and its folders."""
    if is_evaluation(folder):
        raise UserError(f"{folder}: an evaluation, which is done: its numbers are in metrics.json")
    found: dict[str, np.ndarray] = {}
    files = _files(folder)
    for path in files:
        content, _ = read_content(path)
        if isinstance(content, dict):
            if len(content) != 1:
                raise UserError(f"{path}: scores of {len(content)} videos; a file holds one here")
            (content,) = content.values()
        name = _below(path.with_suffix(""), folder)
        if name in found:
            raise UserError(f"{path}: another file there has the same name; keep one of them")
        found[name] = content
    if not found:
        raise UserError(
            f"{folder}: a folder without a file per video, .npy, .json or {', '.join(TABLES)}; "
            "name the file of scores"
        )
    known = {*files, *(parent for file in files for parent in file.parents)}
    others = sorted(_below(path, folder) for path in folder.rglob("*") if path not in known)
    left = f"left out of the folder: {', '.join(others[:4])}{', ...' if others[4:] else ''}"
    return found, [left] if others else []


def _text(path: pathlib.Path) -> str:
    refuse_others(path, "a table or JSON of scores")
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise UserError(f"{path}: longer than {MAX_TEXT_BYTES:,} bytes; save it as .npz")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8 ({error})") from error


def _read_json(path: pathlib.Path) -> tuple[dict[str, np.ndarray] | np.ndarray, list[str]]:
    """`{video: [scores]}`, `[{"video": .., "scores": [..]}]`, rows of a table, or one list."""
    content = _text(path)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        try:
            value = [json.loads(line) for line in content.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise UserError(f"{path}: not JSON ({error})") from error
    while isinstance(value, dict) and len(value) == 1 and _WRAPPERS.fullmatch(next(iter(value))):
        (value,) = value.values()
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return _json_rows(value, path)
    if not isinstance(value, dict):
        return _numbers(value, str(path)), []
    if value and all(map(_is_by_place, value.values())):
        rows = [
            (video, float(at), _numbers([score], f"{path}, {video}").tolist(), f"{path}, {video}")
            for video, one in value.items()
            for at, score in one.items()
        ]
        return _by_video(rows, in_frames=True)
    found = {}
    for name, one in value.items():
        if isinstance(one, dict):
            key = next(filter(is_name_of_scores, one), None)
            if key is None:
                words = ", ".join(one)[:80]
                raise UserError(f"{path}, {name}: keys {words}; 'scores' is needed")
            one = one[key]
        found[name] = np.atleast_1d(_numbers(one, f"{path}, {name}"))
    return found, []


def _is_by_place(one: Any) -> bool:
    """Whether a value is `{"0": score, "1": score}`."""
    return isinstance(one, dict) and bool(one) and all(map(_is_number, one))


def _json_rows(
    value: Sequence[Mapping[str, Any]], path: pathlib.Path
) -> tuple[dict[str, np.ndarray], list[str]]:
    columns = list(value[0])
    name, place, score = _columns(columns)
    if name is None or score is None:
        raise UserError(f"{path}: keys {', '.join(columns)[:80]}; 'video' and 'scores' are needed")
    rows: list[tuple[str, float | None, list[float], str]] = []
    for i, one in enumerate(value, 1):
        where = f"{path}, entry {i}"
        if list(one) != columns or not isinstance(one[columns[name]], str):
            raise UserError(f"{where}: it has other keys than entry 1, or its video is not a text")
        scores = np.atleast_1d(_numbers(one[columns[score]], where))
        if scores.ndim > 1:
            raise UserError(f"{where}: scores of shape {scores.shape}; give one list of numbers")
        at = None if place is None else float(_numbers(one[columns[place]], where))
        rows.append((one[columns[name]], at, scores.tolist(), where))
    in_frames = place is not None and _FRAMES.fullmatch(columns[place].lower()) is not None
    return _by_video(rows, in_frames=in_frames)


def _numbers(value: Any, where: str) -> np.ndarray:
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where}: {str(value)[:40]!r} is not a list of numbers") from error
    if value is None or isinstance(value, str):
        raise UserError(f"{where}: {value!r:.40} is not a list of numbers")
    return array


def _read_table(path: pathlib.Path) -> tuple[dict[str, np.ndarray] | np.ndarray, list[str]]:
    """Rows `video,score[,score ...]`; with a header also the frame or segment; or numbers alone."""
    content = _text(path)
    first = next((line for line in content.splitlines() if line.strip()), "")
    delimiter = next((mark for mark in "\t;," if mark in first), ",")
    if delimiter == "," and "," not in first and len(first.split()) > 1:
        delimiter = " "
    try:
        reader = csv.reader(
            content.splitlines(), strict=True, delimiter=delimiter, skipinitialspace=True
        )
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise UserError(f"{path}: not a table ({error})") from error
    if delimiter == " ":
        rows = [(number, [cell for cell in row if cell]) for number, row in rows]
    if rows and all(_is_number(cell) for _, row in rows for cell in row):
        return np.array([float(cell) for _, row in rows for cell in row]), []
    header = rows[0][1] if rows and not any(map(_is_number, rows[0][1][1:])) else None
    if header is not None:
        rows = rows[1:]
    if not rows:
        raise UserError(f"{path}: no row video,score in it")
    if header and len(header) == 1 and all(len(row) == 1 for _, row in rows):
        return np.array([_score(row[0], path, number, header) for number, row in rows]), []
    if header and not _is_wide(header):
        return _named_columns(rows, header, path)
    _refuse_numbered(rows, path)
    found: dict[str, list[float]] = {}
    for number, row in rows:
        scores = [_score(cell, path, number, row) for cell in row[1:]]
        found.setdefault(row[0], []).extend(scores)
    return {name: np.array(values, np.float64) for name, values in found.items()}, []


def _named_columns(
    rows: Sequence[tuple[int, list[str]]], header: Sequence[str], path: pathlib.Path
) -> tuple[dict[str, np.ndarray], list[str]]:
    """A row per frame or segment: the columns are told by their names."""
    name, place, score = _columns(header)
    if name is None or score is None:
        raise UserError(
            f"{path}: columns {', '.join(header)[:80]}; name them video, frame (or segment) and "
            "score, or give rows video,score without a header"
        )
    found: list[tuple[str, float | None, list[float], str]] = []
    for number, row in rows:
        if len(row) != len(header):
            raise UserError(f"{path}:{number}: {len(row)} cells, the header has {len(header)}")
        at = None if place is None else _score(row[place], path, number, row)
        where = f"{path}:{number}"
        found.append((row[name], at, [_score(row[score], path, number, row)], where))
    others = [cell for i, cell in enumerate(header) if cell and i not in (name, place, score)]
    in_frames = place is not None and _FRAMES.fullmatch(header[place].lower()) is not None
    by_video, notes = _by_video(found, in_frames=in_frames)
    if others:
        notes.append(f"columns that are not read: {', '.join(others)}")
    return by_video, notes


def _is_wide(header: Sequence[str]) -> bool:
    """Whether the scores of a video are one row: `video,score`, or a number in every heading."""
    name, _, score = _columns(header)
    numbered = all(re.search(r"\d", cell) for cell in header[1:])
    return name == 0 and len(header) > 1 and (numbered or (score == 1 and len(header) == 2))


def _columns(header: Sequence[str]) -> tuple[int | None, int | None, int | None]:
    """Which columns are the video, the place in it and the score; None if there is none."""
    words = [cell.strip().lower() for cell in header]

    def first(kind: re.Pattern[str], *taken: int | None) -> int | None:
        free = ((i, word) for i, word in enumerate(words) if i not in taken)
        return next((i for i, word in free if kind.fullmatch(word)), None)

    found = (first(kind) for kind in (_NAMES, *_OTHER_NAMES))
    name = next((place for place in found if place is not None), None)
    found = (first(kind, name) for kind in (_SCORES, _OTHER_SCORES))
    score = next((place for place in found if place is not None), None)
    return name, first(_PLACES, name, score), score


def _by_video(
    rows: Iterable[tuple[str, float | None, list[float], str]], *, in_frames: bool
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Scores of each video in the order of their places, if there are any.

    rows: video, place, scores, and where the row is; in_frames: whether places are numbers of
    frames. Raises UserError for a place that is repeated, or if some are missing.
    """
    grouped: dict[str, list[tuple[float | None, list[float]]]] = {}
    where_of: dict[str, str] = {}
    seen: set[tuple[str, float]] = set()
    for video, at, scores, where in rows:
        if at is not None and ((video, at) in seen or not math.isfinite(at)):
            raise UserError(f"{where}: place {at:g} of {video} appears twice; keep one row of them")
        if at is not None:
            seen.add((video, at))
        grouped.setdefault(video, []).append((at, scores))
        where_of.setdefault(video, where)
    unsorted, moved, found = [], [], {}
    for video, parts in grouped.items():
        places = [at for at, _ in parts if at is not None]
        if places != sorted(places):
            unsorted.append(video)
            parts.sort(key=lambda part: part[0] or 0.0)
            places.sort()
        values = np.array([score for _, scores in parts for score in scores])
        if len(places) > 1 and len(places) == len(values):
            _refuse_gaps(places, f"{where_of[video]}: {video}")
            given = values
            values = _on_frames(given, places) if in_frames else given
            if len(values) > len(given):
                moved.append(f"{video} {places[0]:g}, {places[1]:g}, ...")
        found[video] = values
    notes = [
        f"{what} ({', '.join(videos[:3])})"
        for videos, what in (
            (unsorted, f"the rows of {len(unsorted)} videos were sorted by time"),
            (moved, f"scores of {len(moved)} videos were repeated for frames without a row"),
        )
        if videos
    ]
    return found, notes


def _refuse_gaps(places: Sequence[float], where: str) -> None:
    """Raises UserError if a place is missing: all scores behind it would be taken for earlier."""
    steps = np.diff(places)
    step = float(np.sort(steps)[(len(steps) - 1) // 2])  # the median, the lower of two
    if (steps > _GAP * step).any():
        i = int(np.argmax(steps > _GAP * step))
        raise UserError(
            f"{where} has a score at {places[i]:g} and the next at {places[i + 1]:g}, others are "
            f"{step:g} apart; give a score for each place"
        )
    if places[-1] > _LAST_FRAME:
        raise UserError(f"{where} has a score at {places[-1]:g}; no video is as long")


def _on_frames(values: np.ndarray, places: Sequence[float]) -> np.ndarray:
    """Scores [L] at frames that are equally apart, also for those before and between them.

    One per segment stays as it is. Up to one step, the first frame may be counted from 1, or be the
    last of its step.
    """
    steps = np.diff(places)
    step = int(steps[0])
    if (steps != step).any():
        return values
    if places[0] > step:
        values = np.concatenate([np.full(int(places[0] // step), values[0]), values])
    return values if step == FRAMES_PER_SEGMENT else np.repeat(values, step)


def _refuse_numbered(rows: Sequence[tuple[int, list[str]]], path: pathlib.Path) -> None:
    """Raises UserError for `video,0,0.3` `video,1,0.2`: numbers of frames, taken for scores."""
    by_video: dict[str, list[str]] = {}
    for _, row in rows:
        if len(row) != 3:
            return
        by_video.setdefault(row[0], []).append(row[1])
    if all(len(cells) == 1 for cells in by_video.values()):
        return
    for cells in by_video.values():
        if not all(cell.isdecimal() for cell in cells):
            return
        steps = np.diff([int(cell) for cell in cells])
        if (steps <= 0).any():
            return
    raise UserError(
        f"{path}: the second numbers count up in every video: frames or segments, not scores; "
        "write a header video,frame,score"
    )


def _score(cell: str, path: pathlib.Path, number: int, row: Sequence[str]) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise UserError(
            f"{path}:{number}: {', '.join(row)[:80]!r} is not video,score[,score ...]"
        ) from error


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
