"""Resampling, the training list, and the held-out part."""

import itertools
import pathlib

import numpy as np
import pytest

from refinevad_jax.data.bags import Bag
from refinevad_jax.data.batches import (
    resample,
    resampled,
    training_bags,
)
from refinevad_jax.errors import UserError


def bag(name: str, label: str, length: int = 5, num_crops: int = 1) -> Bag:
    labels = np.array([label == "a", label == "b"])
    features = np.ones((num_crops, length, 4), np.float16)
    spans = np.zeros((0, 3), np.int32)
    return Bag(name, label, labels, features, 16 * length, 0.0, spans, has_truth=False)


def bags(num_normal: int, num_anomalous: int) -> list[Bag]:
    return [bag(f"n{i}", "Normal") for i in range(num_normal)] + [
        bag(f"x{i}", "ab"[i % 2]) for i in range(num_anomalous)
    ]


def test_resample_averages_bins_and_repeats_rows_of_short_videos() -> None:
    rows = np.arange(5, dtype=np.float32)[None, :, None]
    # linspace(0, 5, 3) = 0, 2.5, 5: bins {0, 1} and {2, 3, 4}.
    np.testing.assert_array_equal(resample(rows, 2)[0, :, 0], [0.5, 3.0])
    np.testing.assert_array_equal(resample(rows, 5)[0, :, 0], [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(resample(rows[:, :2], 5)[0, :, 0], [0, 0, 0, 1, 1])


def linspace_means(features: np.ndarray, count: int) -> np.ndarray:
    """The rule as RTFM and UR-DMU state it: the mean of rows r[i]:r[i+1], or row r[i]."""
    edges = np.linspace(0, len(features), count + 1, dtype=int)
    return np.stack(
        [
            features[a:b].mean(axis=0) if a < b else features[min(a, len(features) - 1)]
            for a, b in itertools.pairwise(edges)
        ]
    )


@pytest.mark.parametrize("length", [1, 31, 32, 33, 100, 511])
def test_resample_follows_the_rule_of_the_field(length: int) -> None:
    features = np.random.default_rng(length).normal(size=(length, 3)).astype(np.float32)
    expected = linspace_means(features, 32)
    np.testing.assert_allclose(resample(features[None], 32)[0], expected, atol=1e-6)


@pytest.mark.parametrize("length", [33, 64, 65, 100, 255, 256, 257, 511])
def test_bins_are_summed_as_numpy_sums_them_bit_by_bit(length: int) -> None:
    rng = np.random.default_rng(length)
    features = (rng.normal(size=(2, length, 5)) * 10 ** rng.uniform(-3, 3, (length, 1))).astype(
        "f2"
    )
    edges = np.linspace(0, length, 33, dtype=np.int64)
    sums = np.add.reduceat(features.astype(np.float32), edges[:-1], axis=1)
    found = resample(features, 32)
    np.testing.assert_array_equal(found, sums / np.diff(edges)[None, :, None])


@pytest.mark.parametrize(
    "length", [5, 31, 32, 33, 100, 200, 201, 255, 256, 257, 300, 511, 513, 1000]
)
def test_resample_is_the_published_one(shared_data: pathlib.Path, length: int) -> None:
    """RTFM's at 32 and 200 bins, VadCLIP's at 256 for the longer videos that it applies it to."""
    t, d = np.arange(length)[:, None], np.arange(4)[None]
    features = np.float32(np.sin(0.1 * t * (d + 1)) + 0.01 * t)[None]
    names = {"rtfm32": 32, "rtfm_style200": 200}
    if length > 256:
        names["vadclip_train256"] = 256
    with np.load(shared_data / "golden/resample.npz") as golden:
        for name, count in names.items():
            expected = golden[f"{name}_L{length}"]
            np.testing.assert_allclose(resample(features, count)[0], expected, atol=4e-6)


def test_training_bags_keep_chosen_columns_and_find_both_lists() -> None:
    made = resampled(training_bags(bags(3, 2), 6, np.array([1, 2])))
    assert isinstance(made.features, np.ndarray) and made.features.dtype == np.float16
    assert made.features.shape == (5, 1, 6, 2)
    np.testing.assert_array_equal(made.normal, [[0, 1, 2]])
    np.testing.assert_array_equal(made.anomalous, [[3, 4]])
    assert made.steps_per_epoch(4) == 1
    assert made.features.ctypes.data % 64 == 0  # so that the device takes it without a copy


@pytest.mark.parametrize(
    ("videos", "reason"),
    [
        ([], "empty"),
        (bags(3, 0), "normal"),
        (bags(0, 3), "anomalous"),
        ([bag("n", "Normal"), bag("x", "a", num_crops=2)], "crops"),
    ],
)
def test_training_bags_refuse_what_cannot_be_trained_on(videos: list[Bag], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        training_bags(videos, 4, np.arange(4))


def test_every_seed_trains_on_what_it_does_not_hold_out() -> None:
    held = [frozenset({"n0", "x1"}), frozenset({"n2", "x0"})]
    made = training_bags(bags(3, 3), 6, np.arange(4), held_out=held)
    np.testing.assert_array_equal(made.normal, [[1, 2], [0, 1]])
    np.testing.assert_array_equal(made.anomalous, [[3, 5], [4, 5]])
    assert made.features.shape == (6, 1, 6, 4)
    assert made.steps_per_epoch(2) == 2
