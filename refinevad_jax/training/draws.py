"""Which videos a step sees, as a function of (seed, step) alone: no state is kept, so a resumed run
sees the batches of an uninterrupted one.

Drawn in NumPy, because in the program of the step it would be a seventh of what is compiled. Axis
letters: S seeds, B videos of a batch.
"""

import numpy as np

from refinevad_jax.model import random_words


def draw_batches(
    keys: np.ndarray,
    first: int,
    count: int,
    *,
    normal: np.ndarray,
    anomalous: np.ndarray,
    num_crops: int,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The videos and crops of steps: the first half normal, the second half anomalous.

    keys: [S, 2] uint32, of the seeds' batches; first, count: the steps; normal, anomalous: [S, ...]
    indices of the two lists. Returns indices of videos and of crops, each [S, count, B] int32.
    """
    half = batch_size // 2
    *list_keys, crop_keys = np.moveaxis(random_words.split(keys, 3), 1, 0)
    videos = []
    for own, indices in zip(list_keys, (normal, anomalous), strict=True):
        entries = cycled_permutation(own, first * half, count * half, indices.shape[1])
        found = np.take_along_axis(indices, entries, axis=1)
        videos.append(found.reshape(len(keys), count, half).astype(np.int32))
    step_keys = random_words.fold_in(crop_keys[:, None], np.arange(first, first + count))
    crops = random_words.integers(step_keys, batch_size, num_crops)
    return np.concatenate(videos, axis=-1), crops


def cycled_permutation(keys: np.ndarray, start: int, count: int, length: int) -> np.ndarray:
    """Entries start .. start + count - 1 of endless runs of permutations of range(length).

    Every index comes once per cycle; each cycle has its own key. keys: [S, 2] uint32. Returns
    [S, count] int.
    """
    cycle, place = np.divmod(np.arange(start, start + count), length)
    cycles = np.arange(cycle[0], cycle[-1] + 1)
    orders = random_words.permutation(random_words.fold_in(keys[:, None], cycles), length)
    return orders[:, cycle - cycle[0], place]
