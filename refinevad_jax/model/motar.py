"""MoTAR: how much a segment moves decides how many channels it exchanges with its neighbours.

Paper: "Motion-aware temporal attention and recalibration". Axis letters: B videos, T segments,
D feature channels, H model width, K folding factor.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from refinevad_jax.model import fast
from refinevad_jax.model.first_values import PlainLinear
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.temporal_encoder import TemporalEncoder

# Below float32 resolution of the variance of unit-norm features: what moves less than this repeats
# the segment before. Keeps log(v) finite at rest.
VARIANCE_FLOOR = 1e-8


def motion_intensity(features: jax.Array, valid: jax.Array) -> jax.Array:
    """v_t = Var over D of (x_t - x_{t-1}); the first segment takes the value of the second.

    features: [B, T, D]; valid: [B, T] bool, a run from the first segment on. Returns [B, T] >= 0,
    0 on padding and for videos of one segment.
    """
    if features.shape[1] < 2:
        return jnp.zeros(features.shape[:2])
    change = jnp.var(features[:, 1:] - features[:, :-1], axis=-1)
    change = jnp.where(valid[:, 1:], change, 0.0)
    return jnp.concatenate([change[:, :1], change], axis=1)


def last_motion(intensity: jax.Array, valid: jax.Array) -> jax.Array:
    """v of the last segment, up to each, that differs from the one before it.

    Resampling a short video to more segments repeats its rows. A repeat has v = 0 and is no motion
    of the video: without this, the gate would read other values in training than at full length.
    Repeats before the first change take the value of that change, as the first segment does.

    intensity: [B, T] of `motion_intensity`; valid: [B, T] bool. Returns [B, T], 0 on padding and if
    nothing moves.
    """
    time, moved = jnp.arange(intensity.shape[1]), intensity > VARIANCE_FLOOR
    first = jnp.argmax(moved, axis=1, keepdims=True)
    newest = jax.lax.cummax(jnp.where(moved, time, first), axis=1)
    return jnp.where(valid, jnp.take_along_axis(intensity, newest, axis=1), 0.0)


def standardized_log(intensity: jax.Array, valid: jax.Array) -> jax.Array:
    """log(v + eps), standardised over the valid segments of each video.

    Raw v is 1e-5 to 1e-3 for unit-norm features: a sigmoid of it is a constant. No gradient flows.
    intensity: [B, T]; valid: [B, T] bool. Returns [B, T], 0 on padding; all 0 if nothing varies.
    """
    log = jnp.log(jax.lax.stop_gradient(intensity) + VARIANCE_FLOOR)
    count = jnp.maximum(valid.sum(axis=1, keepdims=True), 1)
    # jnp.where and not the argument of jnp.sum, which converters to ONNX do not know.
    mean = jnp.sum(jnp.where(valid, log, 0.0), axis=1, keepdims=True) / count
    variance = jnp.sum(jnp.where(valid, (log - mean) ** 2, 0.0), axis=1, keepdims=True) / count
    return jnp.where(valid, (log - mean) * jax.lax.rsqrt(variance + 1e-6), 0.0)


def shift_count(ratio: jax.Array, num_channels: int, folding: int) -> jax.Array:
    """s_t = floor(r_t D / K). ratio: [B, T] in [0, 1]. Returns [B, T] int32 in [0, D / K]."""
    return jnp.floor(ratio * (num_channels / folding)).astype(jnp.int32)


def shift_channels(x: jax.Array, ratio: jax.Array, *, folding: int) -> jax.Array:
    """y_t = x_{t-1} on channels c < s_t, x_{t+1} on s_t <= c < 2 s_t, x_t elsewhere.

    Both ends of a video see zeros. The ratio gets the straight-through gradient of ramps of width
    R = D / 16 around u = r D / K and 2u; a floor alone would leave the gate without any gradient.
    The network calls `fast.shift`, which is this function with its gradient written by hand.

    x: [B, T, D], 0 on padding, which then never reaches a valid segment; ratio: [B, T] in [0, 1].
    Returns [B, T, D].
    """
    channels = x.shape[-1]
    previous, following = fast.neighbours(x)
    count = shift_count(ratio, channels, folding)[..., None]
    edge = (ratio * (channels / folding))[..., None]
    once = _straight_through_mask(count, edge, channels)  # c < s_t
    twice = _straight_through_mask(2 * count, 2 * edge, channels)  # c < 2 s_t
    return once * previous + (twice - once) * following + (1 - twice) * x


def _straight_through_mask(count: jax.Array, edge: jax.Array, channels: int) -> jax.Array:
    """c < count, with the gradient of clip((edge + R / 2 - c) / R, 0, 1)."""
    channel, width = jnp.arange(channels), channels / 16
    ramp = jnp.clip((edge + width / 2 - channel) / width, 0.0, 1.0)
    return (channel < count) + (ramp - jax.lax.stop_gradient(ramp))


class ShiftGate(nnx.Module):
    """r_t = sigmoid(W3 gelu(W2 gelu(W1 v_t))), widths 1-16-16-1."""

    def __init__(self, *, width: int = 16, rngs: nnx.Rngs) -> None:
        self.w1 = PlainLinear(1, width, rngs=rngs)
        self.w2 = PlainLinear(width, width, rngs=rngs)
        self.w3 = PlainLinear(width, 1, rngs=rngs)

    def __call__(self, intensity: jax.Array) -> jax.Array:
        """intensity: [B, T], standardised. Returns the shift ratio [B, T] in (0, 1)."""
        hidden = jax.nn.gelu(self.w1(intensity[..., None]))
        hidden = jax.nn.gelu(self.w2(hidden))
        return jax.nn.sigmoid(self.w3(hidden))[..., 0]


class Motar(nnx.Module):
    """When: normalised features to segments that know their neighbours.

    The gate reads the motion and says how many channels a segment exchanges with its neighbours;
    the temporal encoder mixes what was shifted over the whole video.
    """

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        if config.shift in ("adaptive", "dead"):
            self.gate = ShiftGate(rngs=rngs)
        self.encoder = TemporalEncoder(config, rngs=rngs)

    def __call__(
        self, normed: jax.Array, valid: jax.Array, rngs: nnx.Rngs | None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """normed: [B, T, D], 0 on padding; valid: [B, T]; rngs: keys in training, or None.

        Returns the encoded segments [B, T, H], the ratio r [B, T] and the count s [B, T].
        """
        ratio = self.shift_ratio(normed, valid)
        shifted = normed
        if self.config.shift != "none":
            shifted = fast.shift(normed, ratio, self.config.folding)
        count = shift_count(ratio, self.config.num_channels, self.config.folding)
        return self.encoder(shifted, valid, rngs), ratio, count

    def shift_ratio(self, normed: jax.Array, valid: jax.Array) -> jax.Array:
        """r_t [B, T], 0 on padding. normed: [B, T, D], 0 on padding; valid: [B, T]."""
        if self.config.shift == "none":
            return jnp.zeros(valid.shape)
        if self.config.shift == "constant":
            return jnp.where(valid, 0.5, 0.0)
        intensity = standardized_log(last_motion(motion_intensity(normed, valid), valid), valid)
        ratio = jnp.where(valid, self.gate(intensity), 0.0)
        return jax.lax.stop_gradient(ratio) if self.config.shift == "dead" else ratio
