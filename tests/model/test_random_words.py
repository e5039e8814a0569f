"""Random words in NumPy against jax.random."""

import jax
import numpy as np
import pytest

from refinevad_jax.model import random_words

LENGTHS = (1, 2, 53, 3000)  # 0, 1, 1 and 2 rounds of sorting
ENDS = (1, 10, 70_000)


@jax.jit
def by_jax(key: jax.Array) -> tuple[list[jax.Array], list[jax.Array], list[jax.Array]]:
    keys = [jax.random.fold_in(key, 12), *jax.random.split(key, 3)]
    numbers = [jax.random.randint(key, (9,), 0, end) for end in ENDS]
    orders = [jax.random.permutation(key, length) for length in LENGTHS]
    return (
        [jax.random.key_data(one) for one in (key, *keys)],
        [jax.random.bits(key, (11,)), *numbers],
        orders,
    )


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_they_are_those_of_jax(seed: int) -> None:
    keys, numbers, orders = jax.device_get(by_jax(jax.random.key(np.uint32(seed))))
    key = random_words.key_of_seed(seed)
    found = [key, random_words.fold_in(key, 12), *random_words.split(key, 3)]
    np.testing.assert_array_equal(found, keys)
    np.testing.assert_array_equal(random_words.words(key, 11), numbers[0])
    np.testing.assert_array_equal(random_words.words(key, 4, first=7), numbers[0][7:])
    for end, expected in zip(ENDS, numbers[1:], strict=True):
        np.testing.assert_array_equal(random_words.integers(key, 9, end), expected)
    for length, order in zip(LENGTHS, orders, strict=True):
        np.testing.assert_array_equal(random_words.permutation(key, length), order)


def test_several_keys_give_what_each_gives_alone() -> None:
    keys = random_words.key_of_seed([3, 4])
    for draw in (
        lambda key: random_words.permutation(key, 7),
        lambda key: random_words.integers(key, 5, 10),
        lambda key: random_words.fold_in(key, 2),
    ):
        np.testing.assert_array_equal(draw(keys), [draw(key) for key in keys])
