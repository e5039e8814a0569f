"""JAX's random words in NumPy: integers, so equal bit by bit, and nothing is traced or compiled.

Threefry-2x32 with 20 rounds (Salmon et al. 2011), as jax.random uses it with
jax_threefry_partitionable, its default. A key is what jax.random.key_data gives: [..., 2] uint32.
"""

from collections.abc import Sequence

import numpy as np


def key_of_seed(seed: int | Sequence[int]) -> np.ndarray:
    """jax.random.key. seed: from 0 to 2^32 - 1, or several of them."""
    own = np.asarray(seed, np.uint32)
    return np.stack([np.zeros_like(own), own], axis=-1)


def fold_in(key: np.ndarray, number: int | np.ndarray) -> np.ndarray:
    """jax.random.fold_in. number: from 0 to 2^32 - 1; leading axes of both are broadcast."""
    found = _threefry(key[..., None, :], np.asarray(number)[..., None])
    return np.concatenate(found, axis=-1)


def split(key: np.ndarray, count: int) -> np.ndarray:
    """jax.random.split. Returns [..., count, 2]."""
    return fold_in(key[..., None, :], np.arange(count))


def words(key: np.ndarray, count: int, first: int = 0) -> np.ndarray:
    """jax.random.bits from place first on. Returns [..., count] uint32."""
    return np.bitwise_xor(*_threefry(key[..., None, :], np.arange(first, first + count)))


def integers(key: np.ndarray, count: int, end: int) -> np.ndarray:
    """jax.random.randint from 0 to end - 1. Returns [..., count] int32."""
    span = np.uint32(end)
    high, low = np.moveaxis(words(split(key, 2), count), -2, 0)
    half = (1 << 16) % end
    factor = np.uint32(half * half % (1 << 32) % end)  # JAX's overflows
    return ((high % span * factor + low % span) % span).astype(np.int32)


def permutation(key: np.ndarray, length: int) -> np.ndarray:
    """jax.random.permutation of 0 to length - 1. Returns [..., length] int64."""
    found = np.broadcast_to(np.arange(length), (*key.shape[:-1], length))
    # So often that words of 32 bits hardly ever leave two entries in their order.
    for _ in range(int(np.ceil(3 * np.log(max(1, length)) / np.log(np.iinfo(np.uint32).max)))):
        key, own = np.moveaxis(split(key, 2), -2, 0)
        order = np.argsort(words(own, length), axis=-1, kind="stable")
        found = np.take_along_axis(found, order, axis=-1)
    return found


def _threefry(key: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The block cipher of the counters (0, number).

    key: [..., 1, 2] uint32, number: [..., n] int, broadcast. Returns two arrays [..., n] uint32.
    """
    left, right = key[..., 0], key[..., 1]
    keys = (left, right, left ^ right ^ np.uint32(0x1BD11BDA))
    second = number.astype(np.uint32) + right
    first = np.broadcast_to(left, second.shape).copy()
    rest = np.empty_like(second)
    for group in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            first += second
            np.right_shift(second, np.uint32(32 - turn), out=rest)
            second <<= np.uint32(turn)
            second |= rest
            second ^= first
        first += keys[(group + 1) % 3]
        second += keys[(group + 2) % 3]
        second += np.uint32(group + 1)
    return first, second
