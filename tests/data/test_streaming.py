"""Bags that stay in their files: the arrays and the batches of bags in memory."""

import pathlib

import numpy as np
import pytest

from refinevad_jax.data.bags import StoredFeatures, read_info, read_split
from refinevad_jax.data.batches import StoredRows, resampled, training_bags
from refinevad_jax.data.streaming import BatchStream
from tests.conftest import NUM_CHANNELS

COLUMNS = np.arange(4, NUM_CHANNELS)


def draw(step: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(step)
    return rng.integers(0, 24, (2, 6)), rng.integers(0, 2, (2, 6))


@pytest.fixture(scope="module")
def both(tiny_data: pathlib.Path) -> tuple[np.ndarray, StoredRows]:
    made = []
    for memory_gb in (1.0, 0.0):
        bags = read_split(str(tiny_data), "tiny", "train", memory_gb=memory_gb)
        made.append(resampled(training_bags(bags, 16, COLUMNS)).features)
    return made[0], made[1]


def test_videos_in_files_are_the_videos_in_memory(tiny_data: pathlib.Path) -> None:
    read_info(str(tiny_data), "tiny")
    held = read_split(str(tiny_data), "tiny", "val")
    stored = read_split(str(tiny_data), "tiny", "val", memory_gb=0)
    for ours, theirs in zip(stored, held, strict=True):
        assert ours.video_id == theirs.video_id and ours.num_segments == theirs.num_segments
        np.testing.assert_array_equal(ours.features[:], theirs.features)
    size = sum(bag.features.nbytes for bag in held) / 1e9  # the records take a little more
    for memory_gb, kind in ((size, StoredFeatures), (1.1 * size, np.ndarray)):
        bags = read_split(str(tiny_data), "tiny", "val", memory_gb=memory_gb)
        assert all(isinstance(bag.features, kind) for bag in bags)


def test_batches_are_those_of_memory_from_any_step(both: tuple[np.ndarray, StoredRows]) -> None:
    held, stored = both
    assert stored.shape == held.shape and stored.nbytes == held.nbytes
    stream = BatchStream(stored, draw, np.ones((2, 6), bool))
    for step in (0, 1, 2, 2, 3, 7, 8, 1):  # on, again, ahead, back
        np.testing.assert_array_equal(stream.features(step), held[draw(step)])


def test_a_process_reads_its_own_rows_alone(
    both: tuple[np.ndarray, StoredRows],
) -> None:
    held, stored = both
    needed = np.zeros((2, 6), bool)
    needed[1, :3] = True
    stream = BatchStream(stored, draw, needed)
    found = stream.features(5)
    np.testing.assert_array_equal(found[1, :3], held[draw(5)][1, :3])
    assert not found[0].any() and not found[1, 3:].any()
