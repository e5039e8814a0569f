"""Whether feature rows have length 1: encoders and releases differ in it, and networks notice."""

from collections.abc import Iterable

import numpy as np

from refinevad_jax.data.bags import BagsInfo

# Components rounded to float16, once by the release and once here, move a length by less.
UNIT_TOLERANCE = 2e-3
_BLOCK = 32  # rows in float32 at a time


def by_modality(features: np.ndarray, info: BagsInfo) -> list[np.ndarray]:
    """The channels of each modality, of [..., D]."""
    edges = np.cumsum([modality.width for modality in info.modalities])[:-1]
    return np.split(features, edges, axis=-1)


def are_unit(norms: np.ndarray) -> bool | None:
    """Whether all these lengths are 1, zeros left out; None if all are zero."""
    norms = norms[norms > 0]
    return bool((np.abs(norms - 1) < UNIT_TOLERANCE).all()) if len(norms) else None


def has_unit_rows(features: np.ndarray) -> bool | None:
    """are_unit of all rows of [..., D], up to the first block that has another length."""
    rows = features.reshape(-1, features.shape[-1])
    found = set()
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK].astype(np.float32)
        found.add(are_unit(np.sqrt(np.einsum("rd,rd->r", block, block))))
        if False in found:
            return False
    return True if True in found else None


def name_normalization(units: Iterable[bool | None]) -> str:
    """Says "l2" if every row of a data set that is not zero has length 1, else "none"."""
    found = set(units)
    return "l2" if True in found and False not in found else "none"


def normalization_of(features: np.ndarray, info: BagsInfo) -> dict[str, str]:
    """The name for each modality of one video, [..., D]; without those that are all zero."""
    parts = zip(info.modalities, by_modality(features, info), strict=True)
    units = {modality.name: has_unit_rows(part) for modality, part in parts}
    return {name: name_normalization([unit]) for name, unit in units.items() if unit is not None}
