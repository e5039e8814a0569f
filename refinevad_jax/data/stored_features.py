"""Features that stay in the files of a data set until they are asked for."""

from typing import Any

import numpy as np

from refinevad_jax.errors import UserError


class StoredFeatures:
    """Features [N, T, D] of one video; each indexing reads its record again."""

    dtype = np.dtype(np.float16)

    def __init__(
        self, records: Any, number: int, shape: tuple[int, ...], *, finite: bool, place: str
    ) -> None:
        """records: gives the record of a number, from any thread; finite: what a reading found.

        place: the files, for errors.
        """
        self.finite, self._place = finite, place
        self._records, self._number, self.shape = records, number, shape

    def __getitem__(self, index: Any) -> np.ndarray:
        """The rows asked for. Raises UserError where the files have gone or changed since."""
        try:
            return self._records[self._number]["features"][index]
        except Exception as error:  # the readers below raise many kinds for a damaged file
            raise UserError(
                f"{self._place}: a video cannot be read now ({type(error).__name__}: {error}); "
                "bring the files back or package the data again, then run the same command again"
            ) from error
