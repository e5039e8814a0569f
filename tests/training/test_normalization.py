"""Inputs standardised over the training segments: hand values, evidence, a whole run."""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from refinevad_jax import analysis
from refinevad_jax.data.bags import read_split
from refinevad_jax.data.batches import TrainingBags, resample
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import (
    DifferenceNorm,
    TrainingNorm,
    VideoNorm,
    create,
    median_over_time,
)
from refinevad_jax.runs.checkpoints import TrainState
from refinevad_jax.training import loop
from refinevad_jax.training.members import stack
from refinevad_jax.training.normalization import standardized
from refinevad_jax.training.step import parameters_key

NETWORK = ModelConfig((2, 1), 2, normalization="training", width=8, num_layers=0, scorer_width=4)


def test_mean_and_deviation_are_of_what_each_seed_is_trained_on() -> None:
    # The first modality is without evidence in one segment of the first video.
    features = np.array(
        [[[[1, 2, 5], [0, 0, 7]]], [[[3, 4, 1], [5, 6, 3]]], [[[9, 9, 9], [9, 9, 9]]]], np.float16
    )
    bags = TrainingBags(
        features, np.zeros((3, 2), bool), np.array([[0], [0]]), np.array([[1], [2]])
    )
    params = stack([create(NETWORK, parameters_key(seed))[1] for seed in (0, 1)])
    found = standardized(TrainState(jnp.zeros(2), params, None), bags, NETWORK)
    norm = found.params["modality_norm"]
    np.testing.assert_allclose(norm["mean"][0], [3, 4, 4])
    np.testing.assert_allclose(
        norm["deviation"][0], [np.std([1, 3, 5])] * 2 + [np.std([5, 7, 1, 3])]
    )
    np.testing.assert_allclose(norm["mean"][1], [19 / 3, 20 / 3, 7.5], rtol=1e-6)


def test_outliers_are_clipped_and_a_modality_without_evidence_is_zero() -> None:
    norm = TrainingNorm((2, 1))
    norm.mean[...] = jnp.array([1.0, 1.0, 1.0])
    norm.deviation[...] = jnp.array([1.0, 0.1, 2.0])
    found = norm(jnp.array([[[3.0, 9.0, 0.0], [0.0, 0.0, -2.0]]]), jnp.ones((1, 2), bool))
    np.testing.assert_allclose(found, [[[2.0, 10.0, 0.0], [0.0, 0.0, -1.5]]], rtol=1e-6)


def test_the_median_over_time_is_that_of_numpy() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 9, 30)).astype(np.float16).astype(np.float32)
    values[1] = values[1].round()  # equal values
    values[2] *= 1e4
    known = rng.random((4, 9, 30)) < 0.6
    known[3, :, 0] = False
    found = np.asarray(jax.jit(median_over_time)(values, known))
    known[3, 0, 0], values[3, 0, 0] = True, 0.0
    expected = np.nanmedian(np.where(known, values, np.nan), axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_deviations_from_the_median_of_the_video() -> None:
    norm = VideoNorm((1, 1))
    norm.deviation[...] = jnp.array([2.0, 1.0])
    # Padding and segments without evidence of a modality are not in its median.
    rows = [[1.0, 5.0], [3.0, 0.0], [9.0, 6.0], [99.0, -99.0]]
    features = np.array([rows, [[4.0, 1.0], [6.0, 9.0], [9.0, 9.0], [9.0, 9.0]], rows], np.float32)
    valid = np.arange(4)[None] < np.array([[3], [2], [1]])
    found = np.asarray(jax.jit(norm)(features, valid))
    np.testing.assert_allclose(found[0], [[-1.0, -0.5], [0.0, 0.0], [3.0, 0.5], [0.0, 0.0]])
    # Two segments are equally far from their middle, one alone is at it.
    np.testing.assert_allclose(found[1, :2], [[-0.5, -4.0], [0.5, 4.0]])
    np.testing.assert_array_equal(found[2], np.zeros((4, 2)))


def test_differences_from_recordings_are_scaled_and_clipped() -> None:
    norm = DifferenceNorm((1, 1))
    norm.deviation[...] = jnp.array([2.0, 1.0])
    found = norm(jnp.array([[[-3.0, 0.0], [30.0, 4.0]]]), jnp.ones((1, 2), bool))
    np.testing.assert_allclose(found, [[[-1.5, 0.0], [10.0, 4.0]]])


def test_deviations_are_measured_on_what_each_seed_is_trained_on() -> None:
    network = dataclasses.replace(NETWORK, normalization="video")
    features = np.zeros((2, 1, 3, 3), np.float16)
    features[0, 0] = [[1, 2, 5], [0, 0, 7], [3, 2, 9]]  # medians 2, 2, 7
    features[1, 0] = [[7, 7, 0], [8, 9, 0], [9, 7, 0]]  # medians 8, 7; one modality is absent
    bags = TrainingBags(features, np.zeros((2, 2), bool), np.array([[0]]), np.array([[1]]))
    params = {"modality_norm": {"deviation": np.ones((1, 3))}}
    found = standardized(TrainState(np.zeros(1), params, None), bags, network)
    norm = found.params["modality_norm"]
    assert set(norm) == {"deviation"}
    expected = np.sqrt([[4 / 5, 4 / 5, 8 / 3]])
    np.testing.assert_allclose(norm["deviation"], expected, rtol=1e-6)
    # Differences from recordings are taken as they are.
    network = dataclasses.replace(NETWORK, normalization="recording")
    found = standardized(TrainState(np.zeros(1), params, None), bags, network)
    known = np.sqrt([[(1 + 9 + 49 + 64 + 81) / 5, (4 + 4 + 49 + 81 + 49) / 5, (25 + 49 + 81) / 3]])
    np.testing.assert_allclose(found.params["modality_norm"]["deviation"], known, rtol=1e-6)


def test_a_run_keeps_what_it_standardises_by(
    tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    tiny_config.data.normalization = "training"
    tiny_config.train.num_epochs = 2
    loop.train(tiny_config, tmp_path / "run")
    model = analysis.load_model(tmp_path / "run", "last")
    bags = read_split(tiny_config.data.data_dir, "tiny", "train")
    rows = np.concatenate(
        [resample(bag.features, 16).astype(np.float16).reshape(-1, 24) for bag in bags]
    ).astype(np.float64)
    # Neither learned nor decayed: after the last step they are what they were before the first.
    np.testing.assert_allclose(model.modality_norm.mean[...], rows.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(model.modality_norm.deviation[...], rows.std(axis=0), rtol=1e-4)
