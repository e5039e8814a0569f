"""Finds out what kind of file an annotation is and has it read."""

import json
import pathlib
import re

from data_prep.annotations.csv_files import read_csv
from data_prep.annotations.json_files import read_json
from data_prep.annotations.mat import read_mat_files
from data_prep.annotations.pipes import read_pipes
from data_prep.annotations.record import Annotations
from data_prep.annotations.text import read_text
from data_prep.annotations.vectors import concatenation_message, read_packed, read_vectors
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_array, read_header
from refinevad_jax.files.kinds import refuse_others


def read_annotations(path: pathlib.Path) -> Annotations:
    """Reads temporal annotations in any grammar of the field.

    Args:
        path: a text, CSV, JSON, .mat or .npz file, or a folder of .mat files or of .npy files with
            the 0/1 vector of one video each.

    Raises UserError, one line naming file, line and cure, if the file is missing, damaged, in an
    unknown grammar, or contradicts itself. A pickle is never opened.
    """
    if path.is_dir():
        return _read_directory(path)
    if path.suffix.lower() == ".mat":
        return read_mat_files([path], str(path))
    if path.suffix.lower() == ".npz":
        return read_packed(path)
    if path.suffix.lower() == ".npy":
        read_header(path)  # explains why an object array is refused
        raise UserError(concatenation_message(str(path)))
    content = read_lines(path)
    if (piped := read_pipes(content, str(path))) is not None:
        return piped
    if content.lstrip()[:1] in ("{", "["):
        return read_json(parse_json(content, path), str(path))
    first = content.strip().split("\n", 1)[0]
    if "," in first and not re.fullmatch(r"[^\s,]+\s+\S+", first):  # `name class,class` is text
        return read_csv(content, str(path))
    return read_text(content, str(path))


def _read_directory(path: pathlib.Path) -> Annotations:
    if files := sorted(path.glob("*.mat")):
        return read_mat_files(files, str(path))
    if files := sorted(path.glob("*.npy")):
        vectors = {file.name: load_array(file) for file in files}
        return read_vectors(vectors, str(path), "0/1 vectors in .npy files")
    raise UserError(f"{path}: a folder without .mat or .npy files; name the annotation file")


def read_lines(path: pathlib.Path) -> str:
    """A text file as UTF-8, without a leading byte order mark. Raises UserError if it is not."""
    refuse_others(path, "a text file", "empty")
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not a UTF-8 text file (byte {error.start}); save it as UTF-8"
        ) from error


def parse_json(content: str, path: pathlib.Path) -> object:
    """A JSON text. Raises UserError with the line of the fault."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error
    except (RecursionError, ValueError) as error:
        raise UserError(f"{path}: not a JSON file that can be read ({error})") from error
