"""MoTAR's shift: how much a segment moves decides how many channels it exchanges with neighbours.

Paper: "Motion-aware temporal attention and recalibration". Axis letters: B videos, T segments,
D feature channels, K folding factor.
"""

import functools

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


def shift_channels(
    features: jax.Array, valid: jax.Array, ratio: jax.Array, *, folding: int, live: bool = True
) -> jax.Array:
    """y_t = x_{t-1} on channels c < s_t, x_{t+1} on s_t <= c < 2 s_t, x_t elsewhere.

    Backward, when live, the ratio has the straight-through gradient of ramps of width R = D / 16
    around u = r D / K and 2u, as if the masks were clip((u + R / 2 - c) / R, 0, 1); a floor alone
    would leave the gate without any gradient. Both ends of a video see zeros, and so does padding,
    which never reaches a valid segment.

    features: [B, T, D]; valid: [B, T] bool; ratio: [B, T] in [0, 1]. Returns [B, T, D].
    """
    features = jnp.where(valid[..., None], features, 0.0)
    return _shift(features, ratio if live else jax.lax.stop_gradient(ratio), folding)


# The gradient is written by hand: through the masks themselves, four arrays of [B, T, D] would be
# kept and summed.
@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _shift(x: jax.Array, ratio: jax.Array, folding: int) -> jax.Array:
    previous, following = neighbours(x)
    once, twice = _hard_masks(ratio, x.shape[-1], folding)
    return jnp.where(once, previous, jnp.where(twice, following, x))


def _shift_forward(
    x: jax.Array, ratio: jax.Array, folding: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _shift(x, ratio, folding), (x, ratio)


def _shift_backward(
    folding: int, kept: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, ratio = kept
    channels = x.shape[-1]
    once, twice = _hard_masks(ratio, channels, folding)
    _, to_previous = neighbours(jnp.where(once, gradient, 0.0))
    to_following, _ = neighbours(jnp.where(twice & ~once, gradient, 0.0))
    to_x = jnp.where(twice, 0.0, gradient) + to_previous + to_following
    # y = x + once(u) (x_{t-1} - x) + (once(2u) - once(u)) (x_{t+1} - x), once a ramp.
    previous, following = neighbours(x)
    edge = (ratio * (channels / folding))[..., None]
    width = channels / 16

    def on_ramp(position: jax.Array) -> jax.Array:
        return jnp.abs(position - jnp.arange(channels)) < width / 2

    slope = jnp.where(on_ramp(edge), previous - following, 0.0)
    slope += jnp.where(on_ramp(2 * edge), 2 * (following - x), 0.0)
    return to_x, jnp.sum(gradient * slope, axis=-1) * (channels / folding / width)


_shift.defvjp(_shift_forward, _shift_backward)


def neighbours(x: jax.Array, distance: int = 1) -> tuple[jax.Array, jax.Array]:
    """x_{t-d} and x_{t+d} of [B, T, D], zeros beyond both ends."""
    padded = jnp.pad(x, ((0, 0), (distance, distance), (0, 0)))
    return padded[:, : -2 * distance], padded[:, 2 * distance :]


def _hard_masks(ratio: jax.Array, channels: int, folding: int) -> tuple[jax.Array, jax.Array]:
    """c < s_t and c < 2 s_t, [B, T, D] bool."""
    channel = jnp.arange(channels)
    count = shift_count(ratio, channels, folding)[..., None]
    return channel < count, channel < 2 * count


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
