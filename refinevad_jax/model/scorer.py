"""The light classifier of segments, and what becomes of its logits over the video.

Axis letters: B videos, T segments.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from refinevad_jax.model.fast import LayerNorm, Linear
from refinevad_jax.model.first_values import PlainLinear, zeros


def exponential_smoothing(
    values: jax.Array, valid: jax.Array, *, share: float, beyond: jax.Array
) -> jax.Array:
    """Averages over time with weights exp(-|t - u| / (share T_valid)), u on both sides without end.

    The width is a share of the video, so that it means the same at every number of segments. Before
    and after the video the value is `beyond`.
    values: [B, T]; valid: [B, T] bool, True on a run from the first segment on; beyond: [B].
    Returns [B, T], 0 on padding; a video of values equal to beyond keeps them.
    """
    length = jnp.maximum(valid.sum(axis=-1), 1)
    rate = 1.0 / (share * length)
    decay = jnp.exp(-rate)
    sequence = jnp.moveaxis(jnp.where(valid, values, 0.0), -1, 0)

    def run(carry: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
        carry = decay * carry + row
        return carry, carry

    start = jnp.zeros_like(sequence[0])
    _, before = jax.lax.scan(run, start, sequence)
    _, after = jax.lax.scan(run, start, sequence, reverse=True)
    inside = jnp.moveaxis(before + after - sequence, 0, -1)
    # Geometric series: of all weights, and of those before the first and after the last segment.
    time, last, rate = jnp.arange(valid.shape[-1]), length[:, None] - 1, rate[:, None]
    tails = jnp.exp(-rate * (time + 1)) + jnp.exp(-rate * jnp.abs(last - time + 1))
    outside = tails / -jnp.expm1(-rate)
    weight = (1.0 + decay[:, None]) / -jnp.expm1(-rate)
    return jnp.where(valid, (inside + outside * beyond[:, None]) / weight, 0.0)


def center_anomalous(logits: jax.Array, valid: jax.Array, *, share: float) -> jax.Array:
    """Takes a share of the video's mean logit from each segment, if that mean is above 0.

    The label of a video raises all of its segments, but only a few of them are anomalous: what they
    have in common counts for less. A video with a mean below 0 keeps its logits, and with a
    share below 1 the mean keeps its sign.
    logits: [B, T]; valid: [B, T] bool. Returns [B, T], 0 on padding.
    """
    length = jnp.maximum(valid.sum(axis=-1, keepdims=True), 1)
    mean = jnp.sum(jnp.where(valid, logits, 0.0), axis=-1, keepdims=True) / length
    return jnp.where(valid, logits - share * jax.nn.relu(mean), 0.0)


class RunningMean:
    """A mean of the past: a value seen n values ago has the weight exp(-n / width).

    The causal form of both functions above. The weights of what has been seen sum to 1, so nothing
    stands for what comes later or came before the first value. `exponential_smoothing` counts that
    as "no evidence", which in a stream would be nearly half of the newest segment's weight.
    """

    def __init__(self, width: float) -> None:
        """width: in values, above 0."""
        self._decay = math.exp(-1.0 / width)
        self._total = 0.0
        self._mean: np.ndarray | float = 0.0

    def push(self, value: np.ndarray) -> np.ndarray:
        """The mean up to this value. value: an array, of one shape in every call."""
        self._total = self._decay * self._total + 1.0
        self._mean = self._mean + (value - self._mean) / self._total
        return self._mean


class Scorer(nnx.Module):
    """The light classifier: LayerNorm, 128 GELU, dropout, one logit per segment."""

    def __init__(self, num_inputs: int, width: int, dropout: float, *, rngs: nnx.Rngs) -> None:
        self.norm = LayerNorm(num_inputs, rngs=rngs)
        self.hidden = Linear(num_inputs, width, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)
        self.output = PlainLinear(width, 1, rngs=rngs)

    def __call__(self, x: jax.Array, rngs: nnx.Rngs | None) -> jax.Array:
        """x: [B, T, inputs]; rngs: dropout keys or None. Returns logits [B, T]."""
        hidden = jax.nn.gelu(self.hidden(self.norm(x)))
        hidden = self.dropout(hidden, deterministic=rngs is None, rngs=rngs)
        return self.output(hidden)[..., 0]


class LinearScorer(nnx.Module):
    """One weight per channel of the normalised features: what a small set carries.

    It starts at 0, so that what training does not reach says nothing.
    """

    def __init__(self, num_channels: int, *, rngs: nnx.Rngs) -> None:
        self.output = PlainLinear(num_channels, 1, kernel_init=zeros, rngs=rngs)

    def __call__(self, normed: jax.Array) -> jax.Array:
        """normed: [B, T, D], normalised features. Returns logits [B, T]."""
        return self.output(normed)[..., 0]
