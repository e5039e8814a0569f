"""Batches from the files of a data set, read ahead by Grain while the device computes.

The batch of a step is a function of (seed, step), so that a stream can start at any step: nothing
but the step number is needed to go on, and the batches are those of bags in memory. Axis letters:
S seeds, B videos of a batch, T segments, D channels.
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np

from refinevad_jax.data.batches import StoredRows

NUM_THREADS = 16
BATCHES_AHEAD = 2

Draw = Callable[[int], tuple[np.ndarray, np.ndarray]]


class BatchStream:
    """The rows that this process needs of every batch, step after step."""

    def __init__(self, rows: StoredRows, draw: Draw, needed: np.ndarray) -> None:
        """Reads nothing yet.

        rows: the training list; draw: the videos and crops [S, B] of a step; needed: [S, B] bool,
        what the devices of this process compute.
        """
        self._rows, self._places = rows, np.argwhere(needed)
        self._draw = functools.lru_cache(maxsize=4 * BATCHES_AHEAD)(draw)
        self._shape = needed.shape
        self._step = -1
        self._features = np.zeros(0, np.float16)
        self._batches: Iterator[np.ndarray] = iter(())

    def features(self, step: int) -> np.ndarray:
        """Features [S, B, T, D] float16 of a step, 0 in rows that this process does not need.

        If a step does not follow the one before it, the reading begins again there.
        """
        if step != self._step:
            if step != self._step + 1 or self._step < 0:
                self._batches = self._from(step)
            found = next(self._batches)
            self._features = np.zeros((*self._shape, *found.shape[1:]), np.float16)
            self._features[tuple(self._places.T)] = found
            self._step = step
        return self._features

    def _from(self, first: int) -> Iterator[np.ndarray]:
        import grain

        count = len(self._places)

        def read(position: int) -> np.ndarray:
            step, number = divmod(position, count)
            videos, crops = self._draw(step)
            place = tuple(self._places[number])
            return self._rows.row(videos[place], crops[place])

        ahead = BATCHES_AHEAD * count
        options = grain.ReadOptions(num_threads=min(NUM_THREADS, ahead), prefetch_buffer_size=ahead)
        positions = grain.MapDataset.range(first * count, np.iinfo(np.int64).max)
        return iter(positions.map(read).to_iter_dataset(options).batch(count))
