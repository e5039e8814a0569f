"""RTFM's `Matlab_formate/<video>.mat`: the official UCF-Crime annotation, a file per video."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep.annotations.record import Annotations, Builder
from data_prep.feature_bags import Span
from data_prep.video_names import strip_video_path
from refinevad_jax.errors import UserError


def read_mat_files(files: Sequence[pathlib.Path], source: str) -> Annotations:
    """Struct Annotation_file{VideoName, Anno [K, 2], EventName}; a normal has Anno -1 -1."""
    builder = Builder("MAT-file Annotation_file", source)
    for path in files:
        name, spans, label = _read_mat(path)
        builder.add(name, spans, place=str(path), label=label)
    return builder.build()


def _read_mat(path: pathlib.Path) -> tuple[str, list[Span], str]:
    try:
        from scipy.io import loadmat  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise UserError(f"{path}: .mat files need SciPy: pip install scipy") from error
    try:
        record: Any = loadmat(path, simplify_cells=True)["Annotation_file"]
        name, label = record["VideoName"], record["EventName"]
        frames = np.asarray(record["Anno"])
    except FileNotFoundError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # SciPy raises many kinds for a damaged file
        raise UserError(
            f"{path}: no MAT-file with an Annotation_file, or damaged ({type(error).__name__})"
        ) from error
    if not isinstance(name, str) or not isinstance(label, str):
        raise UserError(f"{path}: VideoName and EventName must be words")
    if frames.dtype.kind not in "iu" or frames.size % 2 or frames.ndim > 2:
        raise UserError(f"{path}: Anno must hold whole frame numbers, two per span")
    pairs = frames.reshape(-1, 2).tolist()
    spans = [Span(start, end) for start, end in pairs if (start, end) != (-1, -1)]
    return strip_video_path(name), spans, label
