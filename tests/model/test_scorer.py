"""Smoothing of logits over time: hand values, masks, its meaning at other resolutions."""

import jax
import jax.numpy as jnp
import numpy as np

from refinevad_jax.model.scorer import exponential_smoothing


def weighted_mean(values: np.ndarray, share: float) -> np.ndarray:
    distance = np.abs(np.subtract.outer(np.arange(len(values)), np.arange(len(values))))
    weights = np.exp(-distance / (share * len(values)))
    return weights @ values / weights.sum(axis=1)


def test_smoothing_is_the_exponentially_weighted_mean_of_valid_segments() -> None:
    values = np.random.default_rng(0).normal(size=(2, 9)).astype(np.float32)
    valid = np.arange(9)[None] < np.array([[9], [5]])
    smoothed = np.asarray(exponential_smoothing(jnp.asarray(values), valid, share=0.1))
    np.testing.assert_allclose(smoothed[0], weighted_mean(values[0], 0.1), rtol=1e-5)
    np.testing.assert_allclose(smoothed[1, :5], weighted_mean(values[1, :5], 0.1), rtol=1e-5)
    assert not smoothed[1, 5:].any()


def test_two_segments_by_hand() -> None:
    # share x T = 1: the neighbour weighs 1 / e.
    smoothed = exponential_smoothing(jnp.array([[0.0, 1.0]]), jnp.ones((1, 2), bool), share=0.5)
    np.testing.assert_allclose(smoothed[0], [1 / (np.e + 1), np.e / (np.e + 1)], rtol=1e-6)


def test_constant_values_stay_and_an_empty_video_is_zero() -> None:
    valid = jnp.array([[True] * 6, [False] * 6])
    smoothed = exponential_smoothing(jnp.full((2, 6), 3.0), valid, share=0.05)
    np.testing.assert_allclose(smoothed, [[3.0] * 6, [0.0] * 6], rtol=1e-6)
    gradient = jax.grad(lambda x: exponential_smoothing(x, valid, share=0.05).sum())(
        jnp.ones((2, 6))
    )
    assert np.isfinite(gradient).all()


def test_a_share_means_the_same_at_every_number_of_segments() -> None:
    step = np.repeat([0.0, 1.0], 200)[None].astype(np.float32)
    fine = exponential_smoothing(jnp.asarray(step), jnp.ones((1, 400), bool), share=0.1)
    coarse = exponential_smoothing(jnp.asarray(step[:, ::4]), jnp.ones((1, 100), bool), share=0.1)
    np.testing.assert_allclose(np.asarray(fine)[0, ::4], np.asarray(coarse)[0], atol=0.03)
