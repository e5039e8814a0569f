"""RTFM's `Matlab_formate/<video>.mat`: the official UCF-Crime annotation, one file per video."""

import pathlib
from collections.abc import Sequence

import numpy as np

from data_prep.annotations.builder import Builder
from data_prep.annotations.record import Annotations
from data_prep.catalogue.video_names import strip_video_path
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.kinds import refuse_others
from refinevad_jax.files.matlab import read_variables

# An annotation takes some hundred bytes. A file may hold, and may unpack to, this many.
MAX_BYTES = 2**20


def read_mat_files(files: Sequence[pathlib.Path], source: str) -> Annotations:
    """Struct Annotation_file{VideoName, Anno [K, 2], EventName}; a normal has Anno -1 -1."""
    builder = Builder("MAT-file Annotation_file", source)
    for path in files:
        name, spans, label = _read_annotation(path)
        builder.add(name, spans, place=str(path), label=label)
    return builder.build()


def _read_annotation(path: pathlib.Path) -> tuple[str, list[Span], str]:
    refuse_others(path, "a MAT-file", "mat")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: larger than an annotation may be ({MAX_BYTES:,} bytes)")
    with as_damaged(f"{path}: not a MAT-file with an Annotation_file, or damaged; copy it again"):
        record = read_variables(content, MAX_BYTES)["Annotation_file"]
        name, label, frames = record["VideoName"], record["EventName"], record["Anno"]
    if not (isinstance(name, str) and isinstance(label, str) and isinstance(frames, np.ndarray)):
        raise UserError(f"{path}: VideoName and EventName must be words, Anno numbers")
    if frames.size % 2 or not np.array_equal(frames, np.floor(frames)):
        raise UserError(f"{path}: Anno must hold whole frame numbers, two per span")
    pairs = [(int(start), int(end)) for start, end in frames.reshape(-1, 2)]
    spans = [Span(start, end) for start, end in pairs if (start, end) != (-1, -1)]
    return strip_video_path(name), spans, label
