"""Features that stay in the files of a data set until they are asked for."""

from typing import Any

import numpy as np


class StoredFeatures:
    """Features [N, T, D] of one video; each indexing reads its record again."""

    dtype = np.dtype(np.float16)

    def __init__(self, records: Any, number: int, shape: tuple[int, ...], *, finite: bool) -> None:
        """records: gives the record of a number, from any thread; finite: what a reading found."""
        self.finite = finite
        self._records, self._number, self.shape = records, number, shape

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._records[self._number]["features"][index]
