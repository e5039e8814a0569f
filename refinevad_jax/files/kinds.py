"""What a file is, told by its first bytes: for files that are not what their name says."""

import pathlib
import re
import shlex
import zipfile
from typing import NamedTuple

from refinevad_jax.errors import UserError

_HEAD = 1024  # bytes; the mark of a tar archive is at 257


class Kind(NamedTuple):
    """A kind of file: a short name, "" if the bytes tell none; words and cure for a message."""

    name: str
    words: str = ""
    cure: str = ""


_UNPACK = "unpack it and name what is in it"
_AS_CSV = "save the sheet as CSV UTF-8"
_AS_TEXT = "save it as UTF-8 text"
_OTHER = "check which file is meant"
_NOT_DATA = "check the path: numbers or text are expected here"
# Bytes at a place; the first that fits counts.
_MARKS = (
    (0, b"\x93NUMPY", Kind("npy", "a NumPy array (.npy)", _OTHER)),
    (0, b"\x89HDF\r\n\x1a\n", Kind("hdf5", "an HDF5 file", _OTHER)),
    (0, b"MATLAB 5.0", Kind("mat", "a MAT-file", _OTHER)),
    (0, b"MATLAB 7.3", Kind("mat73", "a MAT-file v7.3", "save it in MATLAB with -v7")),
    (0, b"\x1f\x8b", Kind("gzip", "compressed by gzip", "unpack it with gunzip first")),
    (0, b"BZh", Kind("bzip2", "compressed by bzip2", "unpack it with bunzip2 first")),
    (0, b"\xfd7zXZ", Kind("xz", "compressed by xz", "unpack it with unxz first")),
    (0, b"\x28\xb5\x2f\xfd", Kind("zstd", "compressed by zstd", "unpack it with unzstd first")),
    (0, b"7z\xbc\xaf\x27\x1c", Kind("7z", "a 7z archive", _UNPACK)),
    (0, b"Rar!", Kind("rar", "a RAR archive", _UNPACK)),
    (257, b"ustar", Kind("tar", "a tar archive", _UNPACK)),
    (0, b"%PDF", Kind("pdf", "a PDF document", _AS_TEXT)),
    (0, b"{\\rtf", Kind("rtf", "an RTF document", _AS_TEXT)),
    (0, b"\xd0\xcf\x11\xe0", Kind("office", "an old Word or Excel file", "save it as CSV UTF-8")),
    (0, b"PAR1", Kind("parquet", "a Parquet table", "save it as CSV or .npy")),
    (0, b"ARROW1", Kind("arrow", "an Arrow table", "save it as CSV or .npy")),
    (0, b"SQLite format 3", Kind("sqlite", "an SQLite data base", "export it as CSV")),
    (0, b"\x89PNG", Kind("picture", "a picture (PNG)", _NOT_DATA)),
    (0, b"\xff\xd8\xff", Kind("picture", "a picture (JPEG)", _NOT_DATA)),
    (0, b"GIF8", Kind("picture", "a picture (GIF)", _NOT_DATA)),
    (4, b"ftyp", Kind("video", "a video (MP4)", _NOT_DATA)),
    (8, b"AVI ", Kind("video", "a video (AVI)", _NOT_DATA)),
    (8, b"WAVE", Kind("sound", "a sound file (WAVE)", _NOT_DATA)),
    (0, b"\x1aE\xdf\xa3", Kind("video", "a video (Matroska or WebM)", _NOT_DATA)),
    (0, b"\xff\xfe", Kind("utf-16", "text in UTF-16", "save it as UTF-8")),
    (0, b"\xfe\xff", Kind("utf-16", "text in UTF-16", "save it as UTF-8")),
)
_TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_CONVERTED = "numpy.save(f.rpartition('.')[0] + '.npy', {value}) for f in {files}]"
_TORCH = "torch.load(f, map_location='cpu', weights_only=True).float().numpy()"
_PICKLE = "numpy.array(pickle.load(open(f, 'rb')), 'float32')"
_OBJECTS = "numpy.array(numpy.load(f, allow_pickle=True).tolist(), 'float32')"
_UNSAFE = "which only unpickling could open, and that may run any code"


def kind_of(path: pathlib.Path) -> Kind:
    """The kind of a file, by its first bytes; of one that cannot be read, none."""
    if path.is_dir():
        return Kind("folder", "a folder", "name a file in it")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):  # whoever reads it says why
        return Kind("")
    if not head:
        return Kind("empty", "empty (0 bytes)", "download it or make it again")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"version https://git-lfs"):
        cure = "run `git lfs pull` in its repository, or download the file itself"
        return Kind("lfs", "a Git LFS pointer", cure)
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<script")) or (
        text.startswith(b"<?xml") and (b"<error" in text or b"<html" in text)
    ):
        cure = (
            "the download gave a page of the site (a login, a quota, an error): download it again"
        )
        return Kind("html", "a web page", cure)
    if head.startswith(b"PK"):
        return _of_zip(path)
    if head.startswith(_TORCH_LEGACY):
        return _torch(path)
    if len(head) > 2 and head[0] == 0x80 and head[1] in (2, 3, 4, 5):
        return Kind("pickle", f"a pickle, {_UNSAFE}", _convert("pickle", _PICKLE, path))
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 10**8 and b'"' in head[9:11]:
        return Kind("safetensors", "a safetensors file", _OTHER)
    for place, mark, kind in _MARKS:
        if head[place:].startswith(mark):
            return kind
    return Kind("")


def _of_zip(path: pathlib.Path) -> Kind:
    """A zip archive by what is in it: Office, PyTorch and NumPy use such archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # zipfile raises many kinds for a damaged file
        return Kind("zip", "a zip archive or .npz that is cut short", "copy or download it again")
    if any(name.startswith("xl/") for name in names):
        return Kind("office", "an Excel workbook", _AS_CSV)
    if any(name.startswith("word/") for name in names):
        return Kind("office", "a Word document", _AS_TEXT)
    if "mimetype" in names and "content.xml" in names:
        return Kind("office", "an OpenDocument file", f"{_AS_TEXT}, a table as CSV")
    if any(name.endswith("data.pkl") for name in names):
        return _torch(path)
    if names and all(name.endswith(".npy") for name in names):
        return Kind("npz", "an .npz of arrays", _OTHER)
    return Kind("zip", "a zip archive", _UNPACK)


def _torch(path: pathlib.Path) -> Kind:
    cure = _convert("torch", _TORCH, path).removeprefix("if you trust it, ")
    return Kind("torch", "a PyTorch file", f"{cure} (of a dict take the tensor first)")


def _convert(library: str, value: str, path: pathlib.Path) -> str:
    """The command that saves a file as .npy, with all files of the folder that are of its kind."""
    libraries, files = "numpy", f"[{str(path)!r}]"
    if library:
        libraries = f"glob, numpy, {library}"
        files = f"glob.glob({str(path.with_name('*' + path.suffix))!r})"
    code = f"import {libraries}; [{_CONVERTED.format(value=value, files=files)}"
    quoted = shlex.quote(code) if re.search(r'["$`\\!]', code) else f'"{code}"'
    return f"if you trust it, convert it: python -c {quoted}"


def object_array(path: pathlib.Path, shape: tuple[int, ...]) -> UserError:
    """The refusal of a .npy file of Python objects, with the command that converts it.

    shape: () of what numpy.save makes of a dict.
    """
    cure = _convert("", _OBJECTS, path)
    if not shape:
        load = f"numpy.load({str(path)!r}, allow_pickle=True).item()"
        target = str(path.with_suffix(".npz"))
        cure = (
            "if you trust it and it is a dict of arrays, save it in Python with "
            f"numpy.savez({target!r}, **{load})"
        )
    return UserError(f"{path}: an object array, {_UNSAFE}; {cure}, or save plain numbers")


def refuse_others(path: pathlib.Path, expected: str, *names: str) -> None:
    """Raises UserError if the first bytes tell that a file is of another kind than those named.

    expected: what is read here, for the message; names: of the kinds that are read, "" for what
    the bytes do not tell, as text.
    """
    kind = kind_of(path)
    if kind.name not in ("", *names):
        raise UserError(f"{path}: it is {kind.words}, not {expected}; {kind.cure}")
