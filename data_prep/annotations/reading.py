"""Finds out what kind of file an annotation is and has it read."""

import codecs
import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_prep.annotations.builder import Builder, joined
from data_prep.annotations.columns import understand
from data_prep.annotations.csv_files import read_csv
from data_prep.annotations.json_files import read_json
from data_prep.annotations.mat import read_mat_files
from data_prep.annotations.pipes import read_pipes
from data_prep.annotations.record import Annotations
from data_prep.annotations.table_files import read_table, read_unnamed
from data_prep.annotations.text import read_text
from data_prep.annotations.vectors import (
    concatenation_message,
    parse_mask,
    read_packed,
    read_vectors,
)
from data_prep.annotations.xml_files import read_xml
from refinevad_jax.encoders.video_files import some
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_array, read_header
from refinevad_jax.files.kinds import refuse_others


def read_annotations(path: pathlib.Path) -> Annotations:
    """Reads temporal annotations in any grammar of the field, and in exports of common tools.

    Args:
        path: a text, CSV, JSON, XML, .mat or .npz file, or a folder with a file per video: .mat,
            .npy with the 0/1 vector, or text, tables or exports named as the video.

    Raises UserError, one line naming file, line and cure, if the file is missing, damaged, in an
    unknown grammar, or contradicts itself. A pickle is never opened.
    """
    if path.is_dir():
        return _read_directory(path)
    suffix = path.suffix.lower()
    if suffix == ".mat":
        return read_mat_files([path], str(path))
    if suffix == ".npz":
        return read_packed(path)
    if suffix == ".npy":
        read_header(path)  # explains why an object array is refused
        raise UserError(concatenation_message(str(path)))
    return _read_content(read_lines(path), path, path.stem)


def _read_content(content: str, path: pathlib.Path, stem: str) -> Annotations:
    """The annotations of a text of any kind; stem: the name of the video if it names none."""
    source, start = str(path), content.lstrip()
    if (piped := read_pipes(content, source)) is not None:
        return piped
    if start[:1] in ("{", "["):
        return read_json(parse_json(content, path), source, stem)
    if start[:1] == "<":
        return read_xml(content, source, stem)
    found = read_csv(content, source) or read_table(content, source, stem)
    found = found or read_unnamed(content, source, stem)
    if found is not None:
        return found
    first = start.split("\n", 1)[0].strip()
    columns = [word.strip().lower() for word in re.split("[,;]", first)]
    if columns[0] in ("path", "video", "video-id") and len(columns) < 3:
        raise UserError(
            f"{source}, line 1: {first[:60]!r} begins a list of videos, not a table of times; "
            "give it as --list, or add columns 'start' and 'end'"
        )
    return read_text(content, source)


# A folder of these holds a file per video.
_PER_VIDEO = (".txt", ".csv", ".tsv", ".eaf", ".json", ".xml")


def _read_directory(path: pathlib.Path) -> Annotations:
    """The files of a folder and its subfolders, whose names are part of those of the videos."""
    found = [f for f in sorted(path.rglob("*")) if f.is_file()]
    found = [f for f in found if not any(part[:1] == "." for part in f.relative_to(path).parts)]
    texts = {f: f.relative_to(path).as_posix() for f in found if f.suffix.lower() in _PER_VIDEO}
    if files := sorted(path.glob("*.mat")):
        return _beside(read_mat_files(files, str(path)), [*texts.values()])
    if files := [f for f in found if f.suffix.lower() == ".npy"]:
        vectors = {file.relative_to(path).as_posix(): load_array(file) for file in files}
        masks = read_vectors(vectors, str(path), "0/1 vectors in .npy files")
        return _beside(masks, [*texts.values()])
    if not texts:
        raise UserError(
            f"{path}: a folder without .mat, .npy, {', '.join(_PER_VIDEO[:-1])} or .xml files; "
            "name the annotation file"
        )
    return _read_texts({name: (file, read_lines(file)) for file, name in texts.items()}, path)


def _beside(truth: Annotations, others: list[str]) -> Annotations:
    """The truth, with a note of what else lies in its folder."""
    note = f"files beside them that were not read: {some(others)}"
    return dataclasses.replace(truth, notes=(*truth.notes, note)) if others else truth


def _read_texts(files: Mapping[str, tuple[pathlib.Path, str]], path: pathlib.Path) -> Annotations:
    """Files with their texts, by their names in a folder: masks, or events of a video each."""
    masks = {name: parse_mask(text) for name, (_, text) in files.items()}
    if any(masks.values()):
        vectors = {name: np.array(values) for name, values in masks.items() if values}
        if len(vectors) < len(files):
            other = next(file for name, (file, _) in files.items() if not masks[name])
            raise UserError(
                f"{other}: not one 0 or 1 (or 0 or 255) per frame, as {next(iter(vectors))} has; "
                "write all files of the folder in one way"
            )
        return read_vectors(vectors, str(path), "0/1 values in text files, one file per video")
    parts, empty = [], []
    for name, (file, text) in files.items():
        stem = name.removesuffix(file.suffix)
        if len(files) > 1 and _is_empty(text):
            builder = Builder("file without events", str(file))
            builder.add(stem, (), place=str(file), label="Normal")
            parts.append(builder.build())
            empty.append(name)
        else:
            parts.append(_read_content(text, file, stem))
    truth = joined(parts, str(path))
    note = f"files without an event, whose videos are normal: {some(empty)}"
    return dataclasses.replace(truth, notes=(*truth.notes, note)) if empty else truth


def _is_empty(text: str) -> bool:
    """Whether a file has nothing, or the names of columns alone."""
    lines = [line for line in text.splitlines() if line.strip()]
    return not lines or (len(lines) == 1 and understand(re.split("[,;\t]", lines[0])).has_events)


def read_lines(path: pathlib.Path) -> str:
    """A text file as UTF-8, or as UTF-16 with its byte order mark. Raises UserError if it is not.

    Excel writes "Unicode text" in UTF-16.
    """
    refuse_others(path, "a text file", "empty", "utf-16")
    try:
        content = path.read_bytes()
        wide = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        text = content.decode("utf-16" if wide else "utf-8-sig")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not a UTF-8 text file (byte {error.start}); save it as UTF-8"
        ) from error


def parse_json(content: str, path: pathlib.Path) -> object:
    """A JSON text, or JSON lines as a list. Raises UserError with the line of the fault."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(
                f"{path}: the key {twice[:80]!r} appears twice in one object, of which JSON keeps "
                "the last; put all that belongs to it under one key"
            )
        return found

    try:
        try:
            return json.loads(content, object_pairs_hook=once)
        except json.JSONDecodeError as error:
            lines = [line for line in content.splitlines() if line.strip()]
            if error.msg != "Extra data" or len(lines) < 2:
                raise
            return [json.loads(line, object_pairs_hook=once) for line in lines]
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error
    except (RecursionError, ValueError) as error:
        raise UserError(f"{path}: not a JSON file that can be read ({error})") from error
