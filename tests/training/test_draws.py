"""Batches as a function of (seed, step)."""

import numpy as np
import pytest

from refinevad_jax.model.random_words import key_of_seed
from refinevad_jax.training.draws import cycled_permutation, draw_batches
from refinevad_jax.training.step import batch_keys

KEYS = key_of_seed([0])


def test_every_index_comes_once_per_cycle() -> None:
    seen = np.concatenate([cycled_permutation(KEYS, i, 4, 7)[0] for i in range(0, 28, 4)])
    np.testing.assert_array_equal(seen, cycled_permutation(KEYS, 0, 28, 7)[0])
    for cycle in seen.reshape(4, 7):
        assert sorted(cycle) == list(range(7))
    assert not np.array_equal(seen[:7], seen[7:14])


def test_a_batch_larger_than_the_list_repeats_it() -> None:
    seen = cycled_permutation(KEYS, 5, 16, 3)[0]
    # The first entry ends the cycle that starts at position 3.
    for cycle in seen[1:].reshape(5, 3):
        assert sorted(cycle) == [0, 1, 2]


def batches(seeds: list[int], first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    lists = np.tile(np.arange(8), (len(seeds), 1))
    return draw_batches(
        batch_keys(seeds),
        first,
        count,
        normal=lists[:, :5],
        anomalous=lists[:, 5:],
        num_crops=10,
        batch_size=8,
    )


@pytest.mark.parametrize(
    ("seed", "step", "videos", "crops"),
    [
        (0, 0, [1, 4, 0, 3, 6, 5, 7, 5], [1, 0, 3, 7, 6, 1, 8, 5]),
        (7, 40, [1, 0, 4, 2, 6, 5, 6, 5], [2, 0, 5, 9, 2, 3, 4, 5]),
    ],
)
def test_a_seed_has_the_batches_that_it_always_had(
    seed: int, step: int, videos: list[int], crops: list[int]
) -> None:
    """As the step drew them by jax.random before NumPy did (commit 3b6fb13)."""
    found = batches([seed], step, 1)
    np.testing.assert_array_equal(found, [[[videos]], [[crops]]])


def test_steps_and_seeds_together_are_those_drawn_one_by_one() -> None:
    together = batches([0, 7], 38, 4)
    for number, seed in enumerate((0, 7)):
        for offset in range(4):
            alone = batches([seed], 38 + offset, 1)
            for many, one in zip(together, alone, strict=True):
                assert many.dtype == np.int32
                np.testing.assert_array_equal(many[number, offset], one[0, 0])
