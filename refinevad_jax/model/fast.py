"""The same values and gradients as the plain layers, in the form that processors compute fast.

Linear layers, LayerNorm and MoTAR's shift have gradients written by hand, for speed alone. Tests
hold each equal to its plain form, in value and in gradient. Axis letters: B videos, T segments, D
channels, K folding factor; rows are all axes before the last.
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from refinevad_jax.model.first_values import kernel, ones, zeros

# As float32 everywhere: accelerators would round the numbers that are summed.
EXACT = jax.lax.Precision.HIGHEST
EPSILON = 1e-6


@jax.custom_batching.custom_vmap
def sum_of_rows(x: jax.Array) -> jax.Array:
    """[..., D] -> [D]. A product with ones: XLA's reduction over rows takes ten times as long."""
    return _sums(x[None])[0]


@sum_of_rows.def_vmap
def _sum_of_rows_batched(_: int, in_batched: list[bool], x: jax.Array) -> tuple[jax.Array, bool]:
    """For several seeds: one array of ones for all of them would make XLA transpose x."""
    assert in_batched[0]
    return _sums(x), True


def _sums(x: jax.Array) -> jax.Array:
    """[S, ..., D] -> [S, D]."""
    rows = x.reshape(len(x), -1, x.shape[-1])
    ones = jnp.ones((len(x), 1, rows.shape[1]), x.dtype)
    return jnp.matmul(ones, rows, precision=EXACT)[:, 0]


@jax.custom_vjp
def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x + bias, the gradient of bias by sum_of_rows. x: [..., D]; bias: [D]. Returns [..., D]."""
    return x + bias


def _add_bias_backward(_: None, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    return gradient, sum_of_rows(gradient)


add_bias.defvjp(lambda x, bias: (x + bias, None), _add_bias_backward)


class Linear(nnx.Linear):
    """nnx.Linear over one axis of rows instead of videos by segments.

    The gradient of the weights is then one product; over two axes XLA transposes its input first.
    """

    def __init__(self, num_inputs: int, num_outputs: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(num_inputs, num_outputs, kernel_init=kernel, bias_init=zeros, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """[..., inputs] -> [..., outputs]."""
        assert self.bias is not None
        rows, kernel, bias = self.promote_dtype(
            (x.reshape(-1, x.shape[-1]), self.kernel[...], self.bias[...]), dtype=self.dtype
        )
        rows = add_bias(rows @ kernel, bias)
        return rows.reshape(*x.shape[:-1], rows.shape[-1])


class LayerNorm(nnx.LayerNorm):
    """nnx.LayerNorm over the last axis, with its gradient written by hand.

    All five sums of the gradient are products of two arrays of the size of x with vectors.
    """

    def __init__(self, num_features: int, *, rngs: nnx.Rngs) -> None:
        super().__init__(num_features, scale_init=ones, bias_init=zeros, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """[..., D] -> [..., D] float32, whatever x is computed in."""
        assert self.scale is not None and self.bias is not None
        return _normalize(x.astype(jnp.float32), self.scale[...], self.bias[...])


@jax.custom_vjp
def _normalize(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    return _normalize_forward(x, scale, bias)[0]


def _normalize_forward(
    x: jax.Array, scale: jax.Array, bias: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    mean = jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(x * x, axis=-1, keepdims=True) - mean * mean
    inverse = jax.lax.rsqrt(jnp.maximum(variance, 0.0) + EPSILON)
    return (x - mean) * (inverse * scale) + bias, (x, mean, inverse, scale)


def _normalize_backward(
    kept: tuple[jax.Array, ...], gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x, mean, inverse, scale = kept
    normed = (x - mean) * inverse
    product = gradient * normed

    def scaled_mean(values: jax.Array) -> jax.Array:
        rows = jnp.matmul(values.reshape(-1, values.shape[-1]), scale, precision=EXACT)
        return rows.reshape(mean.shape) / values.shape[-1]

    to_x = inverse * (gradient * scale - scaled_mean(gradient) - normed * scaled_mean(product))
    return to_x, sum_of_rows(product), sum_of_rows(gradient)


_normalize.defvjp(_normalize_forward, _normalize_backward)


def neighbours(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """x_{t-1} and x_{t+1} of [B, T, D], zeros beyond both ends."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (0, 0)))
    return padded[:, :-2], padded[:, 2:]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def shift(x: jax.Array, ratio: jax.Array, folding: int) -> jax.Array:
    """`motar.shift_channels` of x [B, T, D], 0 on padding, and r [B, T].

    Through the masks themselves, four arrays of [B, T, D] would be kept and summed.
    """
    previous, following = neighbours(x)
    once, twice = _hard_masks(ratio, x.shape[-1], folding)
    return jnp.where(once, previous, jnp.where(twice, following, x))


def _shift_forward(
    x: jax.Array, ratio: jax.Array, folding: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return shift(x, ratio, folding), (x, ratio)


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


shift.defvjp(_shift_forward, _shift_backward)


def _hard_masks(ratio: jax.Array, channels: int, folding: int) -> tuple[jax.Array, jax.Array]:
    """c < s_t and c < 2 s_t, [B, T, D] bool."""
    channel = jnp.arange(channels)
    count = jnp.floor(ratio * (channels / folding)).astype(jnp.int32)[..., None]
    return channel < count, channel < 2 * count
