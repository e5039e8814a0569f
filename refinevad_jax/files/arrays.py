"""Reads .npy and .npz arrays: headers alone if that is enough, within limits, never a pickle."""

import dataclasses
import math
import os
import pathlib
import zipfile
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError
from refinevad_jax.files.kinds import object_array, refuse_others

# What an .npz may unpack to: a few kilobytes can claim to hold terabytes.
MAX_UNPACKED_BYTES = 2**32
MAX_MEMBERS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Header:
    """What a .npy file says before its data: shape and dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_header(path: pathlib.Path) -> Header:
    """Shape and dtype of a .npy file, from its header alone.

    Raises UserError if the file is missing, of another kind, damaged, shorter or longer than it
    says, or an object array.
    """
    refuse_others(path, "an .npy array", "npy")
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version[0] == 1:
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            else:
                shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            size = os.fstat(file.fileno()).st_size - file.tell()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # NumPy parses the header as Python text: many kinds
        raise UserError(
            f"{path}: not an .npy file or damaged ({type(error).__name__}); copy it again"
        ) from error
    if dtype.hasobject:
        raise object_array(path, shape)
    expected = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size < expected:
        raise UserError(
            f"{path}: {size} bytes of data for shape {shape} {dtype}; the file is cut short or "
            "damaged, copy it again"
        )
    if size > expected:
        raise UserError(
            f"{path}: {size - expected} bytes more than shape {shape} {dtype} takes; if several "
            "arrays were saved into it, save each into its own file, else copy it again"
        )
    return Header(shape, dtype)


def load_array(path: pathlib.Path) -> np.ndarray:
    """A whole .npy file. Raises UserError as read_header does."""
    read_header(path)
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:
        raise UserError(f"{path}: damaged ({type(error).__name__}); copy it again") from error


def load_packed(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Every array of an .npz file, by name, in the file's order.

    Raises UserError, which names the array if it is to blame, if the file is damaged, holds no
    array or holds an object array.
    """
    refuse_others(path, "an .npz of arrays", "npz", "zip")
    arrays: dict[str, np.ndarray] = {}
    place = str(path)
    try:
        # zipfile first: np.load leaves a file open that is not an archive.
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as packed:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise ValueError(f"{len(members)} members, {MAX_MEMBERS} are allowed")
            # zipfile never unpacks more of a member than it claims.
            claimed = sum(member.file_size for member in members)
            if claimed > MAX_UNPACKED_BYTES:
                raise ValueError(
                    f"it unpacks to {claimed:,} bytes, {MAX_UNPACKED_BYTES:,} are allowed"
                )
            for name in packed.files:
                place = f"{path}, {name!r}"
                value = packed[name]
                if not isinstance(value, np.ndarray):
                    raise ValueError(f"{name} is not an array")
                arrays[name] = value
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds for a damaged file
        raise UserError(
            f"{place}: not an .npz file of plain arrays, or damaged ({type(error).__name__}: "
            f"{error}); copy it again, or save numbers and fixed-width text, no objects"
        ) from error
    if not arrays:
        raise UserError(f"{path}: no array in it; copy it again")
    return arrays
