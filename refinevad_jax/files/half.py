"""float16, the type in which features are kept: what becomes of values in it.

It holds 11 bits: steps of 1/1024 to 1/2048 of a value, no step below 6e-8, nothing above 65504.
Features of 1e-9 become zero, features of 1000 with small differences become equal.
"""

from typing import NamedTuple

import numpy as np

from refinevad_jax.errors import UserError

# Of how values differ, the share that rounding may change unsaid. Features around zero lose 0.0003;
# where it is 0.01, five bits more are lost, by an offset or by the scale.
MAX_LOSS = 0.01
# Of how they differ over time alone: if nothing moves in a video, its rows differ little.
MAX_LOSS_IN_TIME = 0.25
# Values that differ by a smaller share are equal, but for the rounding of float32 in an encoder.
_EQUAL = 1e-6
_BLOCK = 256  # rows at a time

NOT_FINITE, TOO_LARGE, LOST, DEGRADED = "not finite", "too large", "lost in float16", "degraded"


class Half(NamedTuple):
    """Features in float16.

    Attributes:
        values: of the shape that was given.
        fault: NOT_FINITE, TOO_LARGE, LOST (nothing useful is left of a crop) or DEGRADED; "" if
            they are as they were, but for the rounding of float16.
        words: what is the matter and what to do, for a person; "" without a fault.
    """

    values: np.ndarray
    fault: str = ""
    words: str = ""


def all_finite(half: np.ndarray) -> bool:
    """np.isfinite(half).all() for float16, by the bits of the exponent: several times faster."""
    return bool((half.view(np.uint16) & 0x7FFF).max(initial=0) < 0x7C00)


def to_half(features: np.ndarray) -> Half:
    """Features [N, T, D] of any real type in float16, and what they lose by it.

    A row [D] that was not zero must not become zero, rows that differed must not become equal, over
    time or over channels: a crop of which no row is left, or no difference, is LOST. Otherwise the
    measure is the rounding error (root mean square) as a share of the standard deviation of all
    values of the crop and of that over time, the mean over channels; above MAX_LOSS and
    MAX_LOSS_IN_TIME the features are DEGRADED.
    """
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(features, np.float16)
    if not all_finite(half):
        bad = np.argwhere(~np.isfinite(features))
        if len(bad):
            crop, segment, channel = bad[0]
            value = features[crop, segment, channel]
            place = f"{value} at crop {crop}, segment {segment}, channel {channel}"
            return Half(half, NOT_FINITE, f"{place}; extract the file again")
        largest = max(float(features.max()), -float(features.min()))
        return Half(half, TOO_LARGE, f"value {largest:g} does not fit float16; scale the features")
    if features.dtype == np.float16 or not features.size:
        return Half(half)
    worst = Half(half)
    for crop, rounded in zip(features, half, strict=True):
        fault, words = _loss(crop, rounded)
        if fault == LOST:
            return Half(half, fault, words)
        if fault and not worst.fault:
            worst = Half(half, fault, words)
    return worst


def require_half(features: np.ndarray, source: str) -> Half:
    """to_half, if the features can be used: without a fault, or DEGRADED.

    Raises UserError naming the source otherwise.
    """
    half = to_half(features)
    if half.fault not in ("", DEGRADED):
        raise UserError(f"{source}: {half.words}")
    return half


def _loss(rows: np.ndarray, half: np.ndarray) -> tuple[str, str]:
    """What one crop [T, D] loses, as fault and words of Half."""
    rows = rows.astype(np.result_type(rows.dtype, np.float32), copy=False)
    first, error, zeroed, levelled = rows[0], 0.0, 0, 0
    sums, squares = np.zeros((2, rows.shape[1]))
    for start in range(0, len(rows), _BLOCK):
        block, rounded = rows[start : start + _BLOCK], half[start : start + _BLOCK]
        change = block - rounded
        error += float(np.einsum("td,td->", change, change))
        difference = np.subtract(block, first, out=change)
        sums += difference.sum(axis=0)
        squares += np.einsum("td,td->d", difference, difference)
        bits = rounded.view(np.int16)  # compared much faster than float16
        zero = ~(bits & 0x7FFF).any(axis=1)
        level = (bits == bits[:, :1]).all(axis=1) & ~zero
        if zero.any():
            zeroed += int(block[zero].any(axis=1).sum())
        if level.any():
            levelled += int((~_are_equal(block[level])).sum())
    if not (error or zeroed or levelled):  # squares of the smallest values are zero
        return "", ""
    error = (error / rows.size) ** 0.5
    mean = sums / len(rows)
    in_time = float(np.maximum(squares / len(rows) - mean**2, 0).mean()) ** 0.5
    mean += first
    # Of all values: the variance over time, and that of the channels' means.
    spread = (in_time**2 + float(mean.var())) ** 0.5
    least = _EQUAL * float(np.square(mean).mean()) ** 0.5
    frozen = in_time > least and bool((half == half[0]).all())
    filled = int(rows.any(axis=1).sum()) if zeroed or levelled else 0
    for count, total, what in (
        (zeroed, filled, "become zero"),
        (levelled, filled, "lose the differences between their channels"),
        (len(rows) * frozen, len(rows), "become the same"),
    ):
        if count:
            share = "all rows" if count == total else f"{count} of {total} rows"
            return LOST if count == total else DEGRADED, _words(f"{share} {what} in float16", rows)
    for variation, most, what in (
        (spread if rows.shape[1] > 1 else in_time, MAX_LOSS, "differ"),
        (in_time, MAX_LOSS_IN_TIME, "differ over time"),
    ):
        if variation > least and error > most * variation:
            share = f"{error / variation:.0%} of what they {what} by"
            return DEGRADED, _words(f"float16 changes values by {share}", rows)
    return "", ""


def _words(what: str, rows: np.ndarray) -> str:
    return (
        f"{what} (values {rows.min():.6g} .. {rows.max():.6g}); scale each channel, or subtract "
        "its mean and divide by its standard deviation"
    )


def _are_equal(rows: np.ndarray) -> np.ndarray:
    """Whether the channels of rows [R, D] are the same, but for float32's rounding."""
    low, high = rows.min(axis=1), rows.max(axis=1)
    return high - low <= _EQUAL * np.maximum(abs(low), abs(high))
