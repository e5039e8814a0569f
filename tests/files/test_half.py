"""What features lose in float16, on values whose loss is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from refinevad_jax.errors import UserError
from refinevad_jax.files.half import DEGRADED, LOST, NOT_FINITE, TOO_LARGE, require_half, to_half

ROWS = np.random.default_rng(0).standard_normal((1, 50, 64)).astype(np.float32)
CHANNELS = np.arange(64, dtype=np.float32)
FEW = np.arange(50)[:, None] < 3

GOOD = {
    "around zero": ROWS,
    "after a ReLU": np.maximum(ROWS, 0) * 0.01,
    "rows of length 1": ROWS / np.linalg.norm(ROWS, axis=2, keepdims=True),
    "offset 10": 10 + ROWS,
    "float64": ROWS.astype(np.float64),
    "in float16 already": ((1000 + ROWS).astype(np.float16)),
    "saved as float32 from float16": (1000 + ROWS).astype(np.float16).astype(np.float32),
    "whole numbers": (np.abs(ROWS) * 50).astype(np.uint8),
    "0 and 1": ROWS > 0,
    "all zero before": np.zeros((1, 5, 4)),
    "constant before": np.full((2, 50, 64), 1000.3, np.float32),
    "constant in time before": np.broadcast_to(ROWS[:, :1], ROWS.shape),
    "constant but for float32's rounding": ROWS[:, :1] + 1e-7 * ROWS,
    "a video in which little moves": ROWS[:, :1] + 3e-3 * ROWS,
    "one row": ROWS[:, :1],
    "one channel": ROWS[..., :1],
    "one value": ROWS[:, :1, :1],
    "one large channel": np.where(CHANNELS == 3, 3e4, ROWS),
    "no row": ROWS[:, :0],
}


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_said_of_good_features(name):
    half = to_half(GOOD[name])
    assert (half.fault, half.words) == ("", "")
    assert half.values.dtype == np.float16 and half.values.shape == GOOD[name].shape


@pytest.mark.parametrize(
    ("features", "fault", "words"),
    [
        (ROWS * 1e-9, LOST, r"all rows become zero in float16 \(values -3\.89942e-09 \.\. 3\.06"),
        (ROWS * np.float32(1e-30), LOST, "all rows become zero"),
        (ROWS.astype(np.float64) * 1e-200, LOST, "all rows become zero"),
        (np.full((1, 3, 4), 65535, np.uint16), TOO_LARGE, "value 65535 does not fit float16"),
        (np.concatenate([ROWS, ROWS * 1e-9]), LOST, "all rows become zero"),  # of one crop
        (1000 + 0.01 * ROWS, LOST, "all rows lose the differences between their channels"),
        (1000 + 0.1 * ROWS[:, :1], LOST, "all rows lose the differences"),
        (np.int32(60_000) + (ROWS * 3).astype(np.int32), LOST, "all rows lose the differences"),
        (1000 + 0.01 * ROWS[..., :1], LOST, "all rows become the same"),
        (1000 + CHANNELS + 1e-2 * ROWS, LOST, "all rows become the same"),
        (np.where(FEW, 1e-10, 1) * ROWS, DEGRADED, "3 of 50 rows become zero"),
        (np.where(FEW, 2000 + 1e-2 * ROWS, ROWS), DEGRADED, "3 of 50 rows lose the differences"),
        (1000 + ROWS, DEGRADED, "changes values by 15% of what they differ by"),
        (1000 + ROWS[..., :1], DEGRADED, "of what they differ by"),
        (ROWS * 1e-6, DEGRADED, "changes values by 2% of what they differ by"),
        (ROWS * 1e-7, DEGRADED, "changes values by 17% of what they differ by"),
        (100 * CHANNELS + ROWS, DEGRADED, "changes values by 67% of what they differ over time"),
        ((ROWS * 1e6).astype(np.int32), TOO_LARGE, r"value 3\.89942e\+06 does not fit float16"),
        (ROWS.astype(np.float64) * 1e300, TOO_LARGE, "does not fit float16"),
        (np.where(CHANNELS == 5, np.nan, ROWS), NOT_FINITE, "nan at crop 0, segment 0, channel 5"),
        (np.where(FEW, -np.inf, ROWS), NOT_FINITE, "-inf at crop 0, segment 0, channel 0"),
    ],
)
def test_what_is_lost_is_named(features, fault, words):
    half = to_half(features)
    assert half.fault == fault
    with pytest.raises(UserError, match=f"^a.npy: .*{words}"):
        raise UserError(f"a.npy: {half.words}")
    if fault == DEGRADED:
        assert require_half(features, "a.npy").words == half.words
    else:
        with pytest.raises(UserError, match="^a.npy: .*" + words):
            require_half(features, "a.npy")


def test_scaled_as_it_advises_features_are_good():
    for features in (ROWS * 1e-9, 1000 + 0.01 * ROWS, 100 * CHANNELS + ROWS):
        scaled = (features - features.mean(axis=1)) / features.std(axis=1)
        assert not to_half(scaled).fault


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(
        st.one_of(
            arrays.floating_dtypes(endianness="<"),
            arrays.integer_dtypes(endianness="<"),
            arrays.unsigned_integer_dtypes(endianness="<"),
        ),
        arrays.array_shapes(min_dims=3, max_dims=3, max_side=5),
    )
)
def test_any_values_end_in_an_answer(features):
    half = to_half(features)
    assert half.values.shape == features.shape and bool(half.words) == bool(half.fault)
    if half.fault in ("", DEGRADED):
        assert np.isfinite(half.values).all()
