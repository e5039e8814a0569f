"""Ground truth as 0/1 vectors, one value per frame: mask folders, packed masks, concatenations."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_prep.annotations.record import Annotations, Builder
from data_prep.catalogue.listed_names import read_names
from data_prep.catalogue.lookup import data_set_of
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.metrics.truth import truth_runs


def spans_of_vector(labels: Any, place: str) -> list[Span]:
    """The runs of ones in a vector of [F] zeros and ones. Raises UserError for anything else."""
    vector = np.asarray(labels)
    if vector.ndim != 1 or vector.dtype.kind not in "biuf" or not np.isin(vector, (0, 1)).all():
        raise UserError(
            f"{place}: {vector.dtype} array of shape {vector.shape}, expected one 0 or 1 per "
            "frame; is this the ground truth?"
        )
    return [Span(start, end) for start, end in truth_runs(vector).tolist()]


def read_vectors(vectors: Mapping[str, np.ndarray], source: str, grammar: str) -> Annotations:
    """Annotations from 0/1 vectors keyed by file or video name."""
    builder = Builder(grammar, source)
    for (name, vector), read in zip(vectors.items(), read_names(list(vectors)), strict=True):
        place, video = f"{source}, {name}", read.path
        spans = spans_of_vector(vector, place)
        label = None if spans else "Normal"
        builder.add(video, spans, place=place, label=label, num_frames=len(vector))
    # True frame counts are multiples of 16 only by chance.
    in_segments = all(len(vector) % 16 == 0 for vector in vectors.values())
    return builder.build(frames_from_segments=in_segments)


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
