"""Ground truth as 0/1 vectors, one value per frame: mask folders, packed masks, concatenations."""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_prep.annotations.builder import Builder
from data_prep.annotations.record import Annotations
from data_prep.catalogue.listed_names import read_names
from data_prep.catalogue.lookup import data_set_of
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.metrics.truth import truth_runs


def spans_of_vector(labels: Any, place: str) -> list[Span]:
    """The runs of ones in a vector of [F] zeros and ones, or of 0 and 255.

    [F, 1] and [1, F] are vectors too. Raises UserError for anything else.
    """
    vector = np.asarray(labels)
    if vector.ndim == 2 and 1 in vector.shape:
        vector = vector.reshape(-1)
    if vector.ndim == 3 and vector.dtype.kind in "biuf":
        raise UserError(
            f"{place}: an array of shape {vector.shape}, a picture per frame; save "
            "array.any(axis=(1, 2)) instead, one value per frame"
        )
    usual = vector.ndim == 1 and vector.dtype.kind in "biuf"
    if usual and np.isin(vector, (0, 255)).all():
        vector = vector > 0
    if not usual or not np.isin(vector, (0, 1)).all():
        raise UserError(
            f"{place}: {vector.dtype} array of shape {vector.shape}, expected one 0 or 1 per "
            "frame; is this the ground truth?"
        )
    return [Span(start, end) for start, end in truth_runs(vector).tolist()]


_WORDS = {"true": "1", "false": "0"}


def parse_values(texts: Sequence[str]) -> list[int] | None:
    """The values of a mask written as text, 0 and 1 or 0 and 255; None if it is not one."""
    if not all(re.fullmatch(r"(0|1|255)(\.0*(e\+00)?)?|1\.0*e\+00|2\.550*e\+02", t) for t in texts):
        return None
    values = [int(float(text)) for text in texts]
    return values if values and not {1, 255} <= set(values) else None


def parse_mask(text: str) -> list[int] | None:
    """The values of a text file of one video, None if it is something else.

    Between white space, commas or brackets, or one after another; as True and False; below a
    header; or behind the number of their frame.
    """
    lines = [re.findall(r"[^\s,;\[\]]+", line) for line in text.split("\n")]
    lines = [fields for fields in lines if fields]
    if len(lines) > 1 and len(lines[0]) == 1 and re.fullmatch("[A-Za-z_ ]+", lines[0][0]):
        lines = lines if lines[0][0].lower() in _WORDS else lines[1:]
    if len(lines) > 4 and all(len(fields) == 2 for fields in lines):
        numbers = [fields[0] for fields in lines]
        if any(numbers == [str(i + first) for i in range(len(lines))] for first in (0, 1)):
            lines = [fields[1:] for fields in lines]
    fields = [_WORDS.get(field.lower(), field) for line in lines for field in line]
    if len(fields) == 1 and re.fullmatch("[01]{5,}", fields[0]):
        fields = [*fields[0]]
    return parse_values(fields)


def find_mask_rows(
    lines: Sequence[tuple[int, list[str]]], source: str
) -> dict[str, np.ndarray] | None:
    """The masks of lines `name 0 0 1 1 ...`, None if the lines are something else.

    Each has four values or more: fewer may be a span. Raises UserError for lines of values without
    names, and for a video with two.
    """
    texts = [",".join(fields).split(",") for _, fields in lines]
    if lines and all(parse_values(fields) for fields in texts):
        if all(len(fields) == 1 for fields in texts):
            raise UserError(concatenation_message(source))
        raise UserError(
            f"{source}, line {lines[0][0]}: values without the name of their video; write it "
            "first in every line"
        )
    if not lines or not all(len(f) > 4 and parse_values(f[1:]) for f in texts):
        return None
    found: dict[str, np.ndarray] = {}
    for (number, _), fields in zip(lines, texts, strict=True):
        name = fields[0].removesuffix(":")
        if name in found:
            raise UserError(f"{source}, line {number}: {name} appears twice; keep one")
        found[name] = np.array(parse_values(fields[1:]))
    return found


def read_vectors(vectors: Mapping[str, np.ndarray], source: str, grammar: str) -> Annotations:
    """Annotations from 0/1 vectors keyed by file or video name."""
    builder = Builder(grammar, source)
    for (name, vector), read in zip(vectors.items(), read_names(list(vectors)), strict=True):
        place, video = f"{source}, {name}", read.path
        spans = spans_of_vector(vector, place)
        label = None if spans else "Normal"
        builder.add(video, spans, place=place, label=label, num_frames=np.size(vector))
    # True frame counts are multiples of 16 only by chance.
    in_segments = all(np.size(vector) % 16 == 0 for vector in vectors.values())
    return builder.build(frames_from_segments=in_segments, unit_fixed="there is a value per frame")


def read_packed(path: pathlib.Path) -> Annotations:
    """A .npz with one 0/1 vector per video."""
    vectors = load_packed(path)
    if len(vectors) == 1 and not data_set_of(read_names(list(vectors))[0].video_id):
        raise UserError(concatenation_message(str(path)))
    return read_vectors(vectors, str(path), "0/1 vectors in .npz")


def concatenation_message(source: str) -> str:
    """Why one long vector cannot be read by itself."""
    return (
        f"{source}: a lone vector; give the folder with one vector per video, or, if it is the "
        "concatenation of all of them, give it to data_prep.check as --gt, with --list"
    )
