"""One feature file in any format that people bring: .npy, text, .npz, .mat, HDF5, safetensors.

A file with several arrays holds one video per array (or per group): each is then a path below the
file, `features.h5/Abuse028`. The kind of a file is told by its bytes, not by its suffix. T, D: of
one video.
"""

import collections
import contextlib
import csv
import dataclasses
import functools
import math
import pathlib
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import MAX_UNPACKED_BYTES, Header, load_array, read_header
from refinevad_jax.files.kinds import kind_of
from refinevad_jax.files.matlab import read_variables

TEXTS = (".txt", ".csv")
CONTAINERS = (".npz", ".mat", ".h5", ".hdf5", ".safetensors")
SUFFIXES = (".npy", *CONTAINERS, *TEXTS)
UNSAFE = (".pt", ".pth", ".pkl", ".pickle")  # found, to say how to convert them
CROP_COUNTS = (1, 5, 10)
_WIDTHS = (128, 256, 384, 400, 512, 768, 1024, 1280, 2048, 4096)  # D of the encoders of the field
_NAMED = ("features", "feature", "feats", "feat")  # the array that is meant, of several
# Arrays that several videos have, each of its own.
_MODALITIES = ("rgb", "flow", "audio", "visual", "text", "i3d", "clip", "c3d", "swin", "vggish")
_ROW_NUMBERS = ("", "index", "unnamed: 0", "row", "segment", "snippet", "clip", "frame", "id")
_NO_FEATURES = re.compile(
    r"((start|end|frame)[ _-]?)?(time|timestamp|sec|second|ms)s?|(start|end)([ _-]?frame)?|labels?|"
    r"class|category|target|(is[ _-]?)?(anomaly|anomalous|abnormal)"
)
_SHAPES = "(T, D), (T, crops, D) or (crops, T, D)"
_MAX_MEMBERS = 100_000

AXES, INTEGERS, VECTOR, OTHERS, HEADING = (
    "axes of length 1 were removed",
    "whole numbers are read as they are; scale them first if they are quantised",
    "one vector is read as one segment",
    "other arrays in the file are not read",
    "headings, row numbers, times and labels of tables were left out",
)


@dataclasses.dataclass(frozen=True)
class FeatureHeader(Header):
    """Shape (two or three axes) and dtype of a feature file, and what had to be done to read it.

    Attributes:
        remarks: AXES, INTEGERS, ..., and in words what was found in this file.
    """

    remarks: Mapping[str, str] = dataclasses.field(default_factory=dict)


def feature_paths(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """Every feature file below a folder, or of one file, in path order; each array is a path.

    Tables (.csv) and files that only unpickling could open count if there is nothing else. Raises
    UserError if it cannot be told which array of a file belongs to which video.
    """
    files = sorted(path for path in [root, *root.rglob("*")] if path.is_file())
    for suffixes in ((".npy", ".txt", *CONTAINERS), (".csv",), UNSAFE):
        found = [path for path in files if path.suffix.lower() in suffixes or path == root]
        if found:
            break
    seen: dict[str, pathlib.Path] = {}
    for path in found:
        videos = _videos(path) if path.suffix.lower() in CONTAINERS else []
        for name in videos:
            if name in seen:
                raise UserError(
                    f"{seen[name]} and {path} both hold an array {name!r}; if it is the features, "
                    "save it alone or as 'features', else give every video its own name"
                )
            seen[name] = path
            if pathlib.PurePath(name).is_absolute() or str(path / name) != f"{path}/{name}":
                raise UserError(f"{path}: array {name!r} is not named as a video; rename it")
            yield path / name
        if not videos:
            yield path


def file_of(path: pathlib.Path) -> pathlib.Path:
    """The file that holds a feature file: itself, or that of the array."""
    return _split(path)[0]


def read_shape(path: pathlib.Path) -> FeatureHeader:
    """Shape and dtype of a feature file, from its header alone if its format has one.

    Raises UserError if the file is damaged, empty or does not hold numbers in two or three axes.
    """
    header, _, others = _raw_header(path)
    return _canonical(path, header, others)


def load_file(path: pathlib.Path, *, mapped: bool = False) -> np.ndarray:
    """A feature file as read_shape describes it. mapped: a .npy is read where it is touched.

    Raises UserError naming it, for text with the row.
    """
    file, _ = _split(path)
    header, name, others = _raw_header(path)
    shape = _canonical(path, header, others).shape
    kind = kind_of(file).name
    if kind == "npy" and mapped:
        return np.load(file, mmap_mode="r", allow_pickle=False).reshape(shape)
    array = load_array(file) if kind == "npy" else _OPENERS[kind](file, name)[name]
    assert isinstance(array, np.ndarray)
    return array.reshape(shape)


def load_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Every array of numbers of a container, by name, whatever they mean."""
    kind = kind_of(path)
    if kind.name not in _OPENERS or not kind.name:
        words = kind.words or f"not a {path.suffix} file"
        raise UserError(f"{path}: it is {words}; {kind.cure or 'copy it again'}")
    opener = _OPENERS[kind.name]
    headers = {name: _header(value) for name, value in opener(path, "").items()}
    names = [name for name, header in headers.items() if header.dtype.kind in "fiu"]
    if not names:
        raise UserError(f"{path}: no array of numbers in it; save one per video")
    return {name: opener(path, name)[name] for name in names}


def transposed(shapes: Mapping[pathlib.Path, tuple[int, ...]]) -> str:
    """Why files of one folder look like (D, T), or (crops, D, T), in words; "" if they do not."""
    crops = {shape[:-2] for shape in shapes.values()}
    first, last = ({shape[axis] for shape in shapes.values()} for axis in (-2, -1))
    if (
        len(shapes) < 2
        or len(first) != 1
        or not (crops == {()} or crops <= {(count,) for count in CROP_COUNTS})
    ):
        return ""
    (width,) = first
    if (len(last) > 1 and width >= min(_WIDTHS)) or (width in _WIDTHS and last.isdisjoint(_WIDTHS)):
        example = next(iter(shapes))
        axis, found, meant, cure = (
            ("first", "(D, T)", "(T, D)", "array.T")
            if crops == {()}
            else ("second", "(crops, D, T)", "(crops, T, D)", "array.swapaxes(1, 2)")
        )
        return (
            f"{example}: shape {shapes[example]}; the {axis} axis is {width} in all files, as D "
            f"is: they look like {found}; save them as {meant}, in NumPy {cure}"
        )
    return ""


def _canonical(path: pathlib.Path, header: Header, others: Sequence[str]) -> FeatureHeader:
    """The header with two or three axes: axes of 1 removed, one vector as one row."""
    shape, remarks = header.shape, {}
    what = f"{path}: {header.dtype} of shape {shape}"
    if header.dtype.hasobject:
        raise UserError(
            f"{path}: an object array, which only unpickling could open, and that may run any code;"
            " save plain numbers, as numpy.array(x.tolist(), 'float32')"
        )
    if header.dtype.kind not in "fiu" or not shape:
        raise UserError(f"{what}; expected numbers of shape {_SHAPES}")
    if 0 in shape:
        raise UserError(f"{path}: no segments (shape {shape}); leave the video out")
    if len(shape) == 1:
        remarks[VECTOR] = f"{shape} as {(1, *shape)}"
        shape = (1, *shape)
    while len(shape) > 2 and shape[-1] == 1:  # (T, D, 1, 1) of a network's last layer
        shape = shape[:-1]
    if len(shape) > 3:
        shape = tuple(size for size in shape if size > 1)
        shape = (1,) * (2 - len(shape)) + shape
    if len(shape) > 3:
        channels_first = shape[-2] == shape[-1] != shape[1]
        axes = tuple(range(2, len(shape)) if channels_first else range(1, len(shape) - 1))
        raise UserError(
            f"{what}; expected {_SHAPES}: take the mean over height and width first, if it is a "
            f"map per segment, as in array.mean(axis={axes})"
        )
    if len(shape) != len(header.shape) and VECTOR not in remarks:
        remarks[AXES] = f"{header.shape} as {shape}"
    if header.dtype.kind != "f":
        remarks[INTEGERS] = str(header.dtype)
    if others:
        key = HEADING if others == (HEADING,) else OTHERS
        remarks[key] = "" if key == HEADING else _and_more(others)
    return FeatureHeader(shape, header.dtype, remarks)


def _and_more(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _split(path: pathlib.Path) -> tuple[pathlib.Path, str]:
    """The file, and which array of it the path means: "" if it names none."""
    if not path.is_file():
        for parent in path.parents:
            if parent.suffix.lower() in CONTAINERS and parent.is_file():
                return parent, path.relative_to(parent).as_posix()
    return path, ""


def _raw_header(path: pathlib.Path) -> tuple[Header, str, Sequence[str]]:
    """Header as stored, the array that is meant, and the names of the others."""
    file, video = _split(path)
    kind = kind_of(file)
    suffix = file.suffix.lower()
    if not kind.name and suffix in CONTAINERS:
        version = "; if it is an old one, save it in MATLAB with -v7" if suffix == ".mat" else ""
        raise UserError(f"{path}: its bytes are not those of {suffix}: copy it again{version}")
    if kind.name == "npy" or (not kind.name and suffix not in TEXTS):
        return read_header(file), "", ()  # says what is wrong with others
    if kind.name not in _OPENERS:
        raise UserError(f"{path}: it is {kind.words}, not a feature file; {kind.cure}")
    headers = {name: _header(value) for name, value in _OPENERS[kind.name](file, "").items()}
    if not kind.name:
        heading = headers.pop(HEADING, None)
        return headers[""], "", (HEADING,) if heading else ()
    if video:
        within = {n: h for n, h in headers.items() if n == video or n.startswith(f"{video}/")}
        name = video if video in within else _meant(within)
        others = [other for other in within if other != name]
    else:
        name = _meant(headers)
        others = [other for other in headers if other != name]
    if name is None:
        arrays = [f"{name} {header.dtype} {header.shape}" for name, header in headers.items()]
        found = _and_more(arrays) or "no array of real numbers"
        raise UserError(
            f"{path}: it holds {found}; save the features of one video, "
            f"{_SHAPES}, alone or as 'features'"
        )
    return headers[name], name, others


def _header(value: Any) -> Header:
    return value if isinstance(value, Header) else Header(tuple(value.shape), np.dtype(value.dtype))


def _usable(headers: Mapping[str, Header]) -> list[str]:
    """The arrays that can be features: numbers in two axes or more, else the only array."""
    found = [n for n, h in headers.items() if h.dtype.kind in "fiu" and len(h.shape) > 1]
    return found or (list(headers) if len(headers) == 1 else [])


def _meant(headers: Mapping[str, Header]) -> str | None:
    """The one array that is the features of a video, None if there is none or several."""
    usable = _usable(headers)
    named = [name for name in usable if name.rpartition("/")[2].lower() in _NAMED]
    chosen = usable if len(usable) == 1 else named
    return chosen[0] if len(chosen) == 1 else None


def _videos(path: pathlib.Path) -> list[str]:
    """The names of the videos in a file, [] if it holds one video (or what read_shape refuses)."""
    try:
        kind = kind_of(path).name
        headers = {n: _header(v) for n, v in _OPENERS[kind](path, "").items()} if kind else {}
    except (KeyError, UserError):
        return []
    if _meant(headers) is not None:
        return []
    found: list[str] = []
    groups: dict[str, list[str]] = {}
    for name in _usable(headers):
        groups.setdefault(name.rpartition("/")[0], []).append(name)
    for group, names in groups.items():
        one = _meant({name: headers[name] for name in names}) if group else None
        # A group is a video if its array is called as those of all others; Fire/v1 is in a class.
        end = one and one.rpartition("/")[2]
        alone = all(within == [f"{other}/{end}"] for other, within in groups.items())
        found += [group] if end and (end.lower() in _NAMED or alone) else names
    ends = collections.Counter(name.rpartition("/")[2].lower() for name in found if "/" in name)
    if any(ends[word] > 1 for word in _MODALITIES):
        raise UserError(
            f"{path}: it holds {_and_more(found)}; name the features of each video 'features'"
        )
    return found


def _open_text(path: pathlib.Path, name: str) -> dict[str, Any]:
    """Numbers of a text file or table; HEADING beside them if columns were left out."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            first = next((line.strip() for line in file if line.strip()), "")
        delimiter = next((mark for mark in (";", ",") if mark in first), None)
        headings = next(csv.reader([first], delimiter=delimiter)) if delimiter else []
        is_table = _are_headings(headings)
        with warnings.catch_warnings(action="error"):  # for a file without numbers
            array = np.loadtxt(
                path,
                np.float32,
                comments=None,
                delimiter=delimiter,
                encoding="utf-8-sig",
                ndmin=2,
                skiprows=int(is_table),
            )
    except (OSError, ValueError, UserWarning, csv.Error) as error:
        reason = str(error).split(";")[0].rstrip(".")  # what follows is advice to programmers
        raise UserError(
            f"{path}: {reason}; text of features has one row of numbers per segment, copy or write "
            "the file again"
        ) from error
    if not is_table:
        return {"": array}
    names = [heading.strip().lower() for heading in headings]
    steps = np.diff(array[:, 0])
    kept = [i for i, name in enumerate(names) if not _NO_FEATURES.fullmatch(name)]
    if names[0] in _ROW_NUMBERS and (steps == steps[:1]).all():
        kept = [i for i in kept if i]
    return {"": array[:, kept], HEADING: array}


def _are_headings(cells: Sequence[str]) -> bool:
    """Whether the first row of a table names its columns: by words, or as 0, 1, 2, ... of Pandas.

    A row of numbers with one damaged cell is not a heading.
    """
    named = [cell.strip() for cell in cells if cell.strip()]
    counted = [[str(start + i) for i in range(len(named))] for start in (0, 1)]
    return len(named) > 1 and (named in counted or not any(map(_is_number, named)))


def _is_number(cell: str) -> bool:
    with contextlib.suppress(ValueError):
        float(cell)
        return True
    return False


@contextlib.contextmanager
def _damaged(path: pathlib.Path, what: str) -> Iterator[None]:
    """Raises UserError for whatever a library says of a damaged file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # libraries raise many kinds
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise UserError(f"{path}: not {what}, or damaged ({reason}); copy it again") from error


def _open_npz(path: pathlib.Path, name: str) -> dict[str, Any]:
    """Headers of all arrays, or the one of a name."""
    found: dict[str, Any] = {}
    with _damaged(path, "an .npz file of plain arrays"), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if len(members) > _MAX_MEMBERS:
            raise ValueError(f"{len(members)} members, {_MAX_MEMBERS} are allowed")
        for info in members:
            key = info.filename.removesuffix(".npy")
            if name and key != name:
                continue
            if info.file_size > MAX_UNPACKED_BYTES:
                raise ValueError(f"{key} unpacks to {info.file_size:,} bytes")
            with archive.open(info) as file:
                if name:
                    found[key] = np.lib.format.read_array(file, allow_pickle=False)
                    continue
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    read = np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
                size = 0 if dtype.hasobject else math.prod(shape) * dtype.itemsize
                if min(shape, default=0) < 0 or size > info.file_size:
                    raise ValueError(f"{key} is cut short")
                found[key] = Header(shape, dtype)
    return found


def _open_mat(path: pathlib.Path, name: str) -> dict[str, Any]:
    with _damaged(path, "a MAT-file that is read here (save it with -v7)"):
        stat = path.stat()
        return dict(_mat_arrays(path, stat.st_mtime_ns, stat.st_size))


@functools.lru_cache(maxsize=1)  # of a file with many videos
def _mat_arrays(path: pathlib.Path, changed: int, size: int) -> dict[str, np.ndarray]:
    if size > MAX_UNPACKED_BYTES:
        raise ValueError(f"{size:,} bytes, {MAX_UNPACKED_BYTES:,} are allowed")
    found: dict[str, np.ndarray] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, np.ndarray):
            found[name] = value
        elif isinstance(value, dict):
            for field, inner in value.items():
                add(f"{name}/{field}", inner)

    for name, value in read_variables(path.read_bytes(), MAX_UNPACKED_BYTES).items():
        add(name, value)
    return found


def _open_hdf5(path: pathlib.Path, name: str, *, matlab: bool = False) -> dict[str, Any]:
    """Headers of all data sets, or the one of a name. MATLAB stores the last axis first."""
    try:
        import h5py
    except ImportError as error:
        raise UserError(
            f"{path}: an HDF5 file, which h5py reads: pip install 'refinevad_jax[h5]', or save it "
            "as .npy"
        ) from error
    found: dict[str, Any] = {}

    def visit(key: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or item.shape is None or key.startswith("#"):
            return
        if len(found) >= _MAX_MEMBERS:
            raise ValueError(f"more than {_MAX_MEMBERS} data sets")
        if not (matlab and item.attrs.get("MATLAB_class") == b"char"):
            found[key] = Header(item.shape[::-1] if matlab else item.shape, item.dtype)

    with _damaged(path, "an HDF5 file"), h5py.File(path, "r") as file:
        if not name:
            file.visititems(visit)
            return found
        if file[name].size * file[name].dtype.itemsize > MAX_UNPACKED_BYTES:
            raise ValueError(f"{name} holds more than {MAX_UNPACKED_BYTES:,} bytes")
        array = file[name][()]
        return {name: np.ascontiguousarray(array.T) if matlab else array}


def _open_safetensors(path: pathlib.Path, name: str) -> dict[str, Any]:
    from safetensors import safe_open

    with _damaged(path, "a safetensors file"), safe_open(path, framework="np") as file:
        if name:
            return {name: file.get_tensor(name)}
        kinds = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2"}
        kinds |= {"I8": "i1", "U8": "u1", "U16": "u2", "U32": "u4", "U64": "u8", "BOOL": "?"}
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
        for key, one in slices.items():
            if one.get_dtype() not in kinds:
                raise UserError(
                    f"{path}: {key} is of type {one.get_dtype()}, which NumPy does not have; save "
                    "it as float16"
                )
        return {
            key: Header(tuple(one.get_shape()), np.dtype(kinds[one.get_dtype()]))
            for key, one in slices.items()
        }


_OPENERS: dict[str, Callable[[pathlib.Path, str], dict[str, Any]]] = {
    "": _open_text,
    "npz": _open_npz,
    "mat": _open_mat,
    "mat73": functools.partial(_open_hdf5, matlab=True),
    "hdf5": _open_hdf5,
    "safetensors": _open_safetensors,
}
