"""MoTAR's shift against explicit loops, hand values and its gradient."""

import jax
import numpy as np
import pytest
from flax import nnx

from refinevad_jax.model import motar

# Compiled whole: op by op, these tests would spend their time in the compiler.
channel_mask = jax.jit(motar.channel_mask, static_argnums=(1, 2), static_argnames="live")
shift_channels = jax.jit(motar.shift_channels)
shift_count = jax.jit(motar.shift_count, static_argnums=(1, 2))
motion_intensity = jax.jit(motar.motion_intensity)
standardized_log = jax.jit(motar.standardized_log)


def loop_shift(features: np.ndarray, length: int, counts: np.ndarray) -> np.ndarray:
    """The paper's equation, segment by segment and channel by channel."""
    shifted = features.copy()
    for t in range(length):
        previous = features[t - 1] if t > 0 else np.zeros_like(features[t])
        following = features[t + 1] if t + 1 < length else np.zeros_like(features[t])
        s = counts[t]
        shifted[t, :s] = previous[:s]
        shifted[t, s : 2 * s] = following[s : 2 * s]
    return shifted


@pytest.mark.parametrize("count", range(9))
@pytest.mark.parametrize("live", [True, False])
def test_masked_shift_equals_the_loop_for_every_count(count: int, live: bool) -> None:
    num_channels, folding, length = 32, 4, 5
    features = np.random.default_rng(count).normal(size=(1, 7, num_channels)).astype(np.float32)
    valid = np.arange(7)[None] < length
    ratio = np.full((1, 7), min(count * folding / num_channels, 1.0), np.float32)
    mask = channel_mask(ratio, num_channels, folding, live=live)
    shifted = shift_channels(features, valid, mask)
    expected = loop_shift(features[0], length, np.full(7, count))
    np.testing.assert_allclose(shifted[0, :length], expected[:length], atol=1e-6)


def test_counts_may_differ_from_segment_to_segment() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 9, 64)).astype(np.float32)
    ratio = rng.uniform(size=(2, 9)).astype(np.float32)
    valid = np.arange(9)[None] < np.array([[9], [4]])
    mask = channel_mask(ratio, 64, 4, live=True)
    shifted = shift_channels(features, valid, mask)
    counts = np.asarray(shift_count(ratio, 64, 4))
    for video, length in enumerate((9, 4)):
        expected = loop_shift(features[video], length, counts[video])
        np.testing.assert_allclose(shifted[video, :length], expected[:length], atol=1e-6)


def test_padding_is_never_pulled_in() -> None:
    features = np.ones((1, 4, 8))
    features[:, 2:] = np.nan
    valid = np.array([[True, True, False, False]])
    mask = channel_mask(np.ones((1, 4)), 8, 4, live=True)
    shifted = shift_channels(features, valid, mask)
    assert np.isfinite(shifted).all()
    np.testing.assert_array_equal(shifted[0, 1, 2:4], [0.0, 0.0])


def test_shift_count_hand_values() -> None:
    ratio = np.array([[0.0, 0.49, 0.5, 0.999, 1.0]])
    np.testing.assert_array_equal(shift_count(ratio, 1536, 4), [[0, 188, 192, 383, 384]])


def test_motion_intensity_hand_values() -> None:
    features = np.array([[[0.0, 0.0], [1.0, 3.0], [1.0, 3.0], [9.0, 9.0]]])
    valid = np.array([[True, True, True, False]])
    # Changes (1, 3) and (0, 0): variances over the channels 1 and 0; the first copies the second.
    np.testing.assert_allclose(motion_intensity(features, valid), [[1.0, 1.0, 0.0, 0.0]])


def test_one_segment_does_not_move() -> None:
    one = motion_intensity(np.ones((2, 1, 4)), np.ones((2, 1), bool))
    np.testing.assert_array_equal(one, np.zeros((2, 1)))
    assert np.isfinite(standardized_log(one, np.ones((2, 1), bool))).all()


def test_standardized_log_has_mean_zero_and_spread_one_over_valid_segments() -> None:
    intensity = np.float32(10.0 ** np.random.default_rng(0).uniform(-5, -3, size=(3, 50)))
    valid = np.arange(50)[None] < np.array([[50], [20], [2]])
    result = np.asarray(standardized_log(intensity, valid))
    for row, length in zip(result, (50, 20, 2), strict=True):
        assert abs(row[:length].mean()) < 1e-4
        assert abs(row[:length].std() - 1) < 1e-2
        assert not row[length:].any()


def test_constant_motion_gives_one_ratio() -> None:
    valid = np.ones((1, 20), bool)
    intensity = standardized_log(np.full((1, 20), 3e-4, np.float32), valid)
    ratio = jax.jit(lambda x: motar.ShiftGate(rngs=nnx.Rngs(0))(x))(intensity)
    assert np.ptp(ratio) < 1e-6


def test_zero_ratio_shifts_nothing() -> None:
    features = np.random.default_rng(0).normal(size=(1, 6, 16)).astype(np.float32)
    mask = channel_mask(np.zeros((1, 6)), 16, 4, live=True)
    shifted = shift_channels(features, np.ones((1, 6), bool), mask)
    np.testing.assert_array_equal(shifted, features)


def test_gradient_of_the_live_mask_is_the_ramps_and_of_the_dead_one_zero() -> None:
    num_channels, folding = 32, 4  # ramp width 2

    def prev_sum(ratio: jax.Array, live: bool) -> jax.Array:
        return channel_mask(ratio, num_channels, folding, live=live)[0].sum()

    gradient = jax.jit(jax.grad(prev_sum), static_argnums=1)
    ratio = np.full((1, 1), 0.53, np.float32)
    # Every unit of u = r D / K uncovers one channel of the ramp: d sum / d r = D / K.
    np.testing.assert_allclose(gradient(ratio, True), [[num_channels / folding]])
    np.testing.assert_array_equal(gradient(ratio, False), [[0.0]])
