"""Smoothing and centring of logits: hand values, masks, their meaning at other resolutions."""

import jax
import jax.numpy as jnp
import numpy as np

from refinevad_jax.model.scorer import RunningMean, center_anomalous, exponential_smoothing

BEYOND = -1.5


def smooth(values: np.ndarray, valid: np.ndarray, share: float) -> jax.Array:
    beyond = jnp.full(len(values), BEYOND)
    return exponential_smoothing(
        jnp.asarray(values), jnp.asarray(valid), share=share, beyond=beyond
    )


def weighted_mean(values: np.ndarray, share: float) -> np.ndarray:
    """The definition, with a thousand segments of BEYOND on both sides."""
    long = np.pad(values.astype(np.float64), 1000, constant_values=BEYOND)
    distance = np.abs(np.subtract.outer(np.arange(len(values)) + 1000, np.arange(len(long))))
    weights = np.exp(-distance / (share * len(values)))
    return weights @ long / weights.sum(axis=1)


def test_smoothing_is_the_exponentially_weighted_mean() -> None:
    values = np.random.default_rng(0).normal(size=(2, 9)).astype(np.float32)
    valid = np.arange(9)[None] < np.array([[9], [5]])
    for share in (0.05, 0.1, 1.0):
        smoothed = np.asarray(smooth(values, valid, share))
        np.testing.assert_allclose(smoothed[0], weighted_mean(values[0], share), atol=1e-5)
        np.testing.assert_allclose(smoothed[1, :5], weighted_mean(values[1, :5], share), atol=1e-5)
        assert not smoothed[1, 5:].any()


def test_one_segment_by_hand() -> None:
    # share x T = 1: weights 1 for the segment, 2 / (e - 1) for all that is beyond it.
    outside = 2 / (np.e - 1)
    expected = (3.0 + outside * BEYOND) / (1 + outside)
    smoothed = smooth(np.array([[3.0]]), np.ones((1, 1), bool), 1.0)
    np.testing.assert_allclose(smoothed, [[expected]], rtol=1e-6)


def test_values_as_beyond_stay_and_an_empty_video_is_zero() -> None:
    valid = np.array([[True] * 6, [False] * 6])
    smoothed = smooth(np.full((2, 6), BEYOND), valid, 0.05)
    np.testing.assert_allclose(smoothed, [[BEYOND] * 6, [0.0] * 6], rtol=1e-6)
    gradient = jax.grad(lambda x: smooth(x, valid, 0.05).sum())(jnp.ones((2, 6)))
    assert np.isfinite(gradient).all()


def test_days_of_video_keep_their_precision() -> None:
    length = 200_000
    smoothed = smooth(np.ones((1, length), np.float32), np.ones((1, length), bool), 0.05)
    np.testing.assert_allclose(smoothed[0, length // 2], 1.0, atol=1e-3)
    assert BEYOND < float(smoothed[0, 0]) < 1.0


def test_a_share_means_the_same_at_every_number_of_segments() -> None:
    step = np.repeat([0.0, 1.0], 200)[None].astype(np.float32)
    fine = smooth(step, np.ones((1, 400), bool), 0.1)
    coarse = smooth(step[:, ::4], np.ones((1, 100), bool), 0.1)
    np.testing.assert_allclose(np.asarray(fine)[0, ::4], np.asarray(coarse)[0], atol=0.05)


def test_centring_by_hand() -> None:
    logits = jnp.array([[4.0, 1.0, 1.0, 9.0], [-4.0, 1.0, 1.0, 0.0], [7.0, 7.0, 7.0, 7.0]])
    valid = jnp.array([[True, True, True, False], [True, True, True, True], [False] * 4])
    # Means 2, -0.5 and none: the first video loses 0.25 x 2, the others nothing.
    expected = [[3.5, 0.5, 0.5, 0.0], [-4.0, 1.0, 1.0, 0.0], [0.0] * 4]
    np.testing.assert_allclose(center_anomalous(logits, valid, share=0.25), expected, rtol=1e-6)


def test_centring_keeps_order_signs_of_means_and_gradients() -> None:
    logits = jnp.asarray(np.random.default_rng(1).normal(0.3, 2.0, (50, 12)), jnp.float32)
    valid = jnp.ones((50, 12), bool).at[0].set(False)
    centred = np.asarray(center_anomalous(logits, valid, share=0.5))
    np.testing.assert_array_equal(np.argsort(centred[1:], axis=1), np.argsort(logits[1:], axis=1))
    np.testing.assert_array_equal(
        np.sign(centred[1:].mean(axis=1)), np.sign(np.asarray(logits)[1:].mean(axis=1))
    )
    gradient = jax.grad(lambda x: center_anomalous(x, valid, share=0.5).sum())(logits)
    assert np.isfinite(gradient).all() and not np.asarray(gradient[0]).any()


def test_a_running_mean_is_the_past_half_of_the_smoothing() -> None:
    """Its weights fall at the same rate and sum to 1 at every moment."""
    impulses = np.eye(9)
    mean = RunningMean(0.3 * 9)
    weights = np.stack([np.array(mean.push(row)) for row in impulses])  # [moment, value]
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    ages = np.subtract.outer(np.arange(9), np.arange(9))
    expected = np.where(ages >= 0, np.exp(-ages / (0.3 * 9)), 0.0)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-12)
    constant = RunningMean(2.0)
    assert [float(constant.push(np.array(-3.5))) for _ in range(4)] == [-3.5] * 4
