"""Feature files as the field releases them, found by video name, in whatever layout.

Layouts of a video: (T, D) in one file; (T, D) in a file per crop, `<video>__<k>.npy`, crop 0 with
or without suffix; (T, crops, D) or (crops, T, D) in one file; Sultani's text, 32 lines x D.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from data_prep.catalogue.video_names import match_key, parse_path
from data_prep.sources.released_lists import ListEntry
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import Header, load_array, read_header

SUFFIXES = (".npy", ".txt")


@dataclasses.dataclass(frozen=True)
class FeatureFile:
    """A file below the feature folder.

    Attributes:
        path: where it is.
        video_id: read from its name.
        crop: crop index, None where the name has none.
        ending: the encoder's ending, see VideoName.
    """

    path: pathlib.Path
    video_id: str
    crop: int | None
    ending: str


def index_folder(root: pathlib.Path) -> dict[str, list[FeatureFile]]:
    """Every .npy and .txt file below root, by match_key of its video, in order of path.

    Raises UserError where the folder is missing or holds none.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; name the one with the feature files")
    found: dict[str, list[FeatureFile]] = {}
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            name = parse_path(path.name)
            file = FeatureFile(path, name.video_id, name.crop, name.ending)
            found.setdefault(match_key(name.video_id), []).append(file)
    if not found:
        raise UserError(f"{root}: no .npy or .txt file below it; name the feature folder")
    return found


def files_of_video(
    entries: Sequence[ListEntry], index: Mapping[str, Sequence[FeatureFile]], source: str
) -> tuple[pathlib.Path, ...]:
    """The files that a video's rows of a list mean, in crop order; () where there is none.

    A row with a crop means that crop's file; a row without means all crops that are there. Of
    several files that fit (RGB/ beside Flow/) the one whose path ends like the row's is taken.

    Raises UserError where that leaves several.
    """
    files = index.get(match_key(entries[0].video_id), ())
    wanted = {entry.crop or 0: entry for entry in entries}
    if len(entries) == 1 and entries[0].crop is None:
        wanted |= {file.crop or 0: entries[0] for file in files}
    chosen = []
    for crop in sorted(wanted):
        fitting = [file.path for file in files if (file.crop or 0) == crop]
        if len(fitting) > 1:
            fitting = _most_alike(fitting, wanted[crop].path)
        if len(fitting) > 1:
            raise UserError(
                f"{fitting[1]}: {fitting[0]} is the same crop of {entries[0].video_id} ({source}, "
                f"line {entries[0].line}); name the folder of one encoder only"
            )
        chosen += fitting
    return tuple(chosen)


def _most_alike(paths: Iterable[pathlib.Path], written: str) -> list[pathlib.Path]:
    """The paths that share the longest ending with the path of a list."""
    parts = re.split(r"[/\\]", written)[::-1]

    def common(path: pathlib.Path) -> int:
        count = 0
        for mine, theirs in zip(path.parts[::-1], parts, strict=False):
            if mine != theirs:
                break
            count += 1
        return count

    lengths = {path: common(path) for path in paths}
    return [path for path, length in lengths.items() if length == max(lengths.values())]


def read_shape(path: pathlib.Path) -> Header:
    """Shape and dtype of a feature file, from the header of .npy, by counting in text.

    Raises UserError where the file is damaged or does not hold numbers in two or three axes.
    """
    header = read_header(path) if path.suffix.lower() != ".txt" else _text_shape(path)
    if header.dtype.kind not in "fiu" or len(header.shape) not in (2, 3) or 0 in header.shape:
        raise UserError(
            f"{path}: {header.dtype} of shape {header.shape}; expected numbers of shape (T, D), "
            "(T, crops, D) or (crops, T, D)"
        )
    return header


def _text_shape(path: pathlib.Path) -> Header:
    widths: dict[int, int] = {}
    try:
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    widths[number] = len(line.split())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error})") from error
    if len(set(widths.values())) != 1:
        first = next(iter(widths.values()), 0)
        line_number = next((n for n, width in widths.items() if width != first), 1)
        raise UserError(
            f"{path}, line {line_number}: {widths.get(line_number, 0)} numbers where the first "
            f"line has {first}; copy the file again"
        )
    return Header((len(widths), next(iter(widths.values()))), np.dtype(np.float32))


def load_file(path: pathlib.Path) -> np.ndarray:
    """All of a feature file. Raises UserError naming it, for text with the line."""
    if path.suffix.lower() != ".txt":
        return load_array(path)
    rows = []
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error})") from error
    for number, line in enumerate(lines, 1):
        try:
            rows.append(np.array(line.split(), dtype=np.float32))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}; copy the file again") from error
    rows = [row for row in rows if row.size]
    if not rows or len({row.size for row in rows}) > 1:
        raise UserError(f"{path}: lines of different length; copy the file again")
    return np.stack(rows)


def load_crops(files: Sequence[pathlib.Path], layout: str, num_crops: int = 0) -> np.ndarray:
    """One video's files as [N, T, D].

    Args:
        files: one file, or one (T, D) file per crop.
        layout: "crops_first" or "time_first" for a file of three axes, see choose_layout.
        num_crops: the first of its crops that are wanted, the others are not read; 0: all.
    """
    if len(files) > 1:
        files = files[: num_crops or None]
        arrays = [load_file(path) for path in files]
        if len({array.shape for array in arrays}) > 1 or arrays[0].ndim != 2:
            shapes = ", ".join(f"{p.name} {a.shape}" for p, a in zip(files, arrays, strict=True))
            raise UserError(f"{files[0]}: the crops differ in shape: {shapes}")
        return np.stack(arrays)
    features = load_file(files[0])
    if features.ndim == 2:
        return features[None]
    if layout == "time_first":
        features = features.swapaxes(0, 1)
    return features[: num_crops or None]
