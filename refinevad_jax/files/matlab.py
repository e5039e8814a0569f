"""Variables of MAT-files (level 5): structs, numbers and text, compressed or not.

SciPy's reader ends the process on some damaged files, so it is not used.
"""

import math
import struct
import zlib
from typing import Any

import numpy as np

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
_FLOATS = {6: "f8", 7: "f4"}  # of double and single
_MATRIX, _COMPRESSED, _UTF8 = 14, 15, 16
_STRUCT_CLASS, _CHAR_CLASS, _NUMBER_CLASSES = 2, 4, range(6, 16)


def read_variables(content: bytes, max_bytes: int) -> dict[str, Any]:
    """The variables of a MAT-file, level 5: dict, [..] array or str each; None for other kinds.

    Structs of one element become dicts. max_bytes: what compressed variables may unpack to. Raises
    ValueError for anything damaged, or if it is not such a file.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("not a level 5 MAT-file")
    variables = {}
    rest, left = content[128:], max_bytes
    while rest:
        kind, data, rest = _element(rest, order)
        if kind == _COMPRESSED:
            try:
                data = zlib.decompressobj().decompress(data, left + 1)
            except zlib.error as error:
                raise ValueError(str(error)) from error
            left -= len(data)
            if left < 0:
                raise ValueError(f"it unpacks to more than {max_bytes:,} bytes")
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
        return text_name, _struct(rest, order, depth) if math.prod(shape) == 1 else None
    is_complex = flags[1 if order == "<" else 2] & 8
    if array_class not in (_CHAR_CLASS, *_NUMBER_CLASSES) or is_complex:
        return text_name, None
    kind, data, _ = _element(rest, order)
    if array_class == _CHAR_CLASS:
        encoding = "utf-8" if kind == _UTF8 or kind in (1, 2) else f"utf-16-{'lb'[order == '>']}e"
        return text_name, data.decode(encoding, "replace")
    if kind not in _NUMBERS:
        raise ValueError(f"array class {array_class}, data type {kind}")
    dtype = np.dtype(order + _NUMBERS[kind])
    if min(shape) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes for shape {shape} {dtype}")
    array = np.frombuffer(data, dtype).reshape(shape, order="F")
    # MATLAB stores whole numbers of a double array in fewer bytes.
    return text_name, array.astype(_FLOATS.get(array_class, dtype))


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
