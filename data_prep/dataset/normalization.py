"""Whether feature rows have length 1, as some encoders and some releases give them."""

from collections.abc import Iterable

import numpy as np

# Components rounded to float16, once by the release and once here, move a length by less.
TOLERANCE = 2e-3
_BLOCK = 32  # rows in float32 at a time


def are_unit(norms: np.ndarray) -> bool | None:
    """Whether all these lengths are 1; zeros stand for nothing and are left out.

    None where all are zero.
    """
    norms = norms[norms > 0]
    return bool((np.abs(norms - 1) < TOLERANCE).all()) if len(norms) else None


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
    """Says "l2" where every row of a data set that is not zero has length 1, else "none"."""
    found = set(units)
    return "l2" if True in found and False not in found else "none"
