"""RTFM's `Matlab_formate/<video>.mat`: the official UCF-Crime annotation, one file per video.

A reader for as much of MAT-files (level 5) as these hold: structs, numbers, text, compressed or
not. SciPy's reader ends the process on some damaged files, so it is not used.
"""

import math
import pathlib
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep.annotations.record import Annotations, Builder
from data_prep.catalogue.video_names import strip_video_path
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError, as_damaged

# An annotation takes some hundred bytes. A file may hold, and may unpack to, this many.
MAX_BYTES = 2**20

_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_MATRIX, _COMPRESSED, _UTF8 = 14, 15, 16
_STRUCT_CLASS, _CHAR_CLASS, _NUMBER_CLASSES = 2, 4, range(6, 16)


def read_mat_files(files: Sequence[pathlib.Path], source: str) -> Annotations:
    """Struct Annotation_file{VideoName, Anno [K, 2], EventName}; a normal has Anno -1 -1."""
    builder = Builder("MAT-file Annotation_file", source)
    for path in files:
        name, spans, label = _read_annotation(path)
        builder.add(name, spans, place=str(path), label=label)
    return builder.build()


def _read_annotation(path: pathlib.Path) -> tuple[str, list[Span], str]:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: larger than an annotation may be ({MAX_BYTES:,} bytes)")
    with as_damaged(f"{path}: not a MAT-file with an Annotation_file, or damaged; copy it again"):
        record = read_variables(content)["Annotation_file"]
        name, label, frames = record["VideoName"], record["EventName"], record["Anno"]
    if not (isinstance(name, str) and isinstance(label, str) and isinstance(frames, np.ndarray)):
        raise UserError(f"{path}: VideoName and EventName must be words, Anno numbers")
    if frames.size % 2 or not np.array_equal(frames, np.floor(frames)):
        raise UserError(f"{path}: Anno must hold whole frame numbers, two per span")
    pairs = [(int(start), int(end)) for start, end in frames.reshape(-1, 2)]
    spans = [Span(start, end) for start, end in pairs if (start, end) != (-1, -1)]
    return strip_video_path(name), spans, label


def read_variables(content: bytes) -> dict[str, Any]:
    """The variables of a MAT-file, level 5: dict, [..] array or str each.

    Structs of one element become dicts. Raises ValueError for anything damaged or of another kind.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("not a level 5 MAT-file")
    variables = {}
    rest, left = content[128:], MAX_BYTES
    while rest:
        kind, data, rest = _element(rest, order)
        if kind == _COMPRESSED:
            try:
                data = zlib.decompressobj().decompress(data, left + 1)
            except zlib.error as error:
                raise ValueError(str(error)) from error
            left -= len(data)
            if left < 0:
                raise ValueError(f"it unpacks to more than {MAX_BYTES:,} bytes")
            kind, data, _ = _element(data, order)
        if kind == _MATRIX:
            name, value = _matrix(data, order, depth=0)
            variables[name] = value
    return variables


def _element(content: bytes, order: str) -> tuple[int, bytes, bytes]:
    """Type, data and what follows of the data element that content starts with."""
    if len(content) < 8:
        raise ValueError("cut short")
    kind, size = struct.unpack(f"{order}II", content[:8])
    if kind >> 16:  # up to four bytes are packed into the tag
        kind, size, start, end = kind & 0xFFFF, kind >> 16, 4, 8
    else:
        start = 8
        end = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
    if size > len(content) - start or (start == 4 and size > 4):
        raise ValueError("cut short")
    return kind, content[start : start + size], content[end:]


def _matrix(content: bytes, order: str, depth: int) -> tuple[str, Any]:
    """Name and value of an array element."""
    if depth > 4:
        raise ValueError("nested too deep")
    _, flags, rest = _element(content, order)
    kind, sizes, rest = _element(rest, order)
    _, name, rest = _element(rest, order)
    if len(flags) < 4 or kind != 5 or len(sizes) % 4:
        raise ValueError("not an array")
    array_class = struct.unpack(f"{order}I", flags[:4])[0] & 0xFF
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    text_name = name.decode("ascii", "replace")
    if array_class == _STRUCT_CLASS:
        if math.prod(shape) != 1:
            raise ValueError(f"struct of shape {shape}")
        return text_name, _struct(rest, order, depth)
    kind, data, _ = _element(rest, order)
    if array_class == _CHAR_CLASS:
        encoding = "utf-8" if kind == _UTF8 or kind in (1, 2) else f"utf-16-{'lb'[order == '>']}e"
        return text_name, data.decode(encoding, "replace")
    if array_class not in _NUMBER_CLASSES or kind not in _NUMBERS:
        raise ValueError(f"array class {array_class}, data type {kind}")
    dtype = np.dtype(order + _NUMBERS[kind])
    if min(shape) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes for shape {shape} {dtype}")
    return text_name, np.frombuffer(data, dtype).reshape(shape, order="F")


def _struct(content: bytes, order: str, depth: int) -> dict[str, Any]:
    _, length, rest = _element(content, order)
    _, names, rest = _element(rest, order)
    width = struct.unpack(f"{order}i", length)[0] if len(length) == 4 else 0
    if width <= 0 or len(names) % width:
        raise ValueError("damaged field names")
    fields = {}
    for i in range(0, len(names), width):
        kind, data, rest = _element(rest, order)
        if kind != _MATRIX:
            raise ValueError("damaged field")
        field = names[i : i + width].split(b"\0")[0].decode("ascii", "replace")
        fields[field] = _matrix(data, order, depth + 1)[1]
    return fields
