"""MoTAR's shift against explicit loops, hand values and its gradient."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from refinevad_jax.data.batches import resample
from refinevad_jax.model import fast, motar


def readable(features: Any, valid: Any, ratio: Any, folding: int) -> jax.Array:
    """MoTAR's shift as motar.py has it, of features with padding."""
    x = jnp.where(valid[..., None], features, 0.0)
    return motar.shift_channels(x, ratio, folding=folding)


def tuned(features: Any, valid: Any, ratio: Any, folding: int) -> jax.Array:
    """The same as the network calls it."""
    return fast.shift(jnp.where(valid[..., None], features, 0.0), ratio, folding)


# Compiled whole: op by op, these tests would spend their time in the compiler.
SHIFTS = {f.__name__: jax.jit(f, static_argnums=3) for f in (readable, tuned)}
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
@pytest.mark.parametrize("name", SHIFTS)
def test_masked_shift_equals_the_loop_for_every_count(count: int, name: str) -> None:
    num_channels, folding, length = 32, 4, 5
    features = np.random.default_rng(count).normal(size=(1, 7, num_channels)).astype(np.float32)
    valid = np.arange(7)[None] < length
    ratio = np.full((1, 7), min(count * folding / num_channels, 1.0), np.float32)
    shifted = SHIFTS[name](features, valid, ratio, folding)
    expected = loop_shift(features[0], length, np.full(7, count))
    np.testing.assert_allclose(shifted[0, :length], expected[:length], atol=1e-6)


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
def test_counts_may_differ_from_segment_to_segment(shift: Any) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 9, 64)).astype(np.float32)
    ratio = rng.uniform(size=(2, 9)).astype(np.float32)
    valid = np.arange(9)[None] < np.array([[9], [4]])
    shifted = shift(features, valid, ratio, 4)
    counts = np.asarray(shift_count(ratio, 64, 4))
    for video, length in enumerate((9, 4)):
        expected = loop_shift(features[video], length, counts[video])
        np.testing.assert_allclose(shifted[video, :length], expected[:length], atol=1e-6)


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
def test_padding_is_never_pulled_in(shift: Any) -> None:
    features = np.ones((1, 4, 8))
    features[:, 2:] = np.nan
    valid = np.array([[True, True, False, False]])
    shifted = shift(features, valid, np.ones((1, 4)), 4)
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


def test_last_motion_hand_values() -> None:
    # The second value is the first change (motion_intensity copies it to the first segment).
    intensity = np.float32([[0, 0, 3, 0, 0, 2, 0, 0], [5, 5, 0, 1, 0, 0, 0, 0], [0] * 8])
    valid = np.arange(8)[None] < np.array([[7], [8], [8]])
    found = jax.jit(motar.last_motion)(intensity, valid)
    expected = [[3, 3, 3, 3, 3, 2, 2, 0], [5, 5, 5, 1, 1, 1, 1, 1], [0] * 8]
    np.testing.assert_array_equal(found, np.float32(expected))


@pytest.mark.parametrize("length", [2, 7, 20, 31])
def test_the_gate_reads_the_same_of_a_video_whose_rows_are_repeated(length: int) -> None:
    """Training resamples to T segments; evaluation at full length and streams do not."""
    rows = np.random.default_rng(length).normal(size=(1, length, 48)).astype(np.float16)
    count = 5 * length
    repeated = resample(rows, count).astype(np.float16)

    @jax.jit
    def read(x: jax.Array) -> jax.Array:
        valid = jnp.ones(x.shape[:2], bool)
        found = motar.last_motion(motar.motion_intensity(x, valid), valid)
        return motar.standardized_log(found, valid)

    whole, training = read(np.float32(rows)), read(np.float32(repeated))
    np.testing.assert_allclose(training, np.repeat(whole, 5, axis=1), atol=1e-4)


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


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
def test_zero_ratio_shifts_nothing(shift: Any) -> None:
    features = np.random.default_rng(0).normal(size=(1, 6, 16)).astype(np.float32)
    shifted = shift(features, np.ones((1, 6), bool), np.zeros((1, 6)), 4)
    np.testing.assert_array_equal(shifted, features)


@pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)
def test_the_ratio_has_the_gradient_of_the_ramps(shift: Any) -> None:
    """By hand: x_{t-1} = 1, x_t = 0 and x_{t+1} = 0, so that the sum of y_t is that of the mask."""
    num_channels, folding = 32, 4  # ramp width 2
    features = np.zeros((1, 3, num_channels), np.float32)
    features[:, 0] = 1
    gradient = jax.grad(lambda r: shift(features, np.ones((1, 3), bool), r, folding)[0, 1].sum())
    # Every unit of u = r D / K uncovers one channel of the ramp: d sum / d r = D / K.
    found = gradient(np.full((1, 3), 0.53, np.float32))
    np.testing.assert_allclose(found[0, 1], num_channels / folding)


def test_the_tuned_shift_is_the_readable_one_in_value_and_gradient() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 11, 48)).astype(np.float32)
    ratio = rng.uniform(size=(3, 11)).astype(np.float32)
    weights = rng.normal(size=features.shape).astype(np.float32)
    valid = np.arange(11)[None] < np.array([[11], [5], [1]])

    @jax.jit
    def both(features: jax.Array, ratio: jax.Array) -> Any:
        def weighted(shift: Any, x: jax.Array, r: jax.Array) -> Any:
            shifted = shift(x, valid, r, 4)
            return (shifted * weights).sum(), shifted

        return [
            jax.value_and_grad(functools.partial(weighted, shift), argnums=(0, 1), has_aux=True)(
                features, ratio
            )
            for shift in (readable, tuned)
        ]

    expected, found = both(features, ratio)
    np.testing.assert_array_equal(found[0][1], expected[0][1])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-4), found[1], expected[1]
    )
