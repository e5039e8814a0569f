"""MoTAR's shift: how much a segment moves decides how many channels it exchanges with neighbours.

Paper: "Motion-aware temporal attention and recalibration". Axis letters: B videos, T segments,
D feature channels, K folding factor.
"""

import jax
import jax.numpy as jnp
from flax import nnx

# Below float32 resolution of the variance of unit-norm features; keeps log(v) finite at rest.
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


def standardized_log(intensity: jax.Array, valid: jax.Array) -> jax.Array:
    """log(v + eps), standardised over the valid segments of each video.

    Raw v is 1e-5 to 1e-3 for unit-norm features: a sigmoid of it is a constant. No gradient flows.
    intensity: [B, T]; valid: [B, T] bool. Returns [B, T], 0 on padding and without any spread.
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


def channel_mask(ratio: jax.Array, num_channels: int, folding: int, *, live: bool) -> jax.Array:
    """Masks of the channels taken from the previous and the next segment.

    Forward, the hard masks c < s_t and s_t <= c < 2 s_t. Backward, when live, the straight-through
    gradient of a ramp of width R = D / 16 around u = r D / K; a floor alone would leave the gate
    without any gradient. ratio: [B, T]. Returns [2, B, T, D] float32.
    """
    channel = jnp.arange(num_channels)
    count = shift_count(ratio, num_channels, folding)[..., None]
    below_once, below_twice = channel < count, channel < 2 * count
    hard = jnp.stack([below_once, below_twice & ~below_once]).astype(ratio.dtype)
    if not live:
        return hard
    ramp_width = num_channels / 16
    edge = (ratio * (num_channels / folding))[..., None]

    def ramp(position: jax.Array) -> jax.Array:
        return jnp.clip((position + ramp_width / 2 - channel) / ramp_width, 0.0, 1.0)

    once, twice = ramp(edge), ramp(2 * edge)
    soft = jnp.stack([once, twice - once])
    return hard + soft - jax.lax.stop_gradient(soft)


def shift_channels(features: jax.Array, valid: jax.Array, mask: jax.Array) -> jax.Array:
    """y_t = x_{t-1} on the first masked channels, x_{t+1} on the second, x_t elsewhere.

    Both ends of a video see zeros, and so does padding, which never reaches a valid segment.
    features: [B, T, D]; valid: [B, T] bool; mask: [2, B, T, D]. Returns [B, T, D].
    """
    features = jnp.where(valid[..., None], features, 0.0)
    previous = jnp.pad(features, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    following = jnp.pad(features, ((0, 0), (0, 1), (0, 0)))[:, 1:]
    return features + mask[0] * (previous - features) + mask[1] * (following - features)


class ShiftGate(nnx.Module):
    """r_t = sigmoid(W3 gelu(W2 gelu(W1 v_t))), widths 1-16-16-1."""

    def __init__(self, *, width: int = 16, rngs: nnx.Rngs) -> None:
        self.w1 = nnx.Linear(1, width, rngs=rngs)
        self.w2 = nnx.Linear(width, width, rngs=rngs)
        self.w3 = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, intensity: jax.Array) -> jax.Array:
        """intensity: [B, T], standardised. Returns the shift ratio [B, T] in (0, 1)."""
        hidden = jax.nn.gelu(self.w1(intensity[..., None]))
        hidden = jax.nn.gelu(self.w2(hidden))
        return jax.nn.sigmoid(self.w3(hidden))[..., 0]
