"""LayerNorm, and sums over rows, in the form that processors compute fast.

Axis letters: B videos, T segments, D channels; rows are all axes before the last.
"""

import jax
import jax.numpy as jnp
from flax import nnx

# As float32 everywhere: accelerators would round the numbers that are summed.
EXACT = jax.lax.Precision.HIGHEST
EPSILON = 1e-6


@jax.custom_batching.custom_vmap
def sum_of_rows(x: jax.Array) -> jax.Array:
    """[..., D] -> [D]. A product with ones: XLA's reduction over rows takes ten times as long."""
    return _sums(x[None])[0]


@sum_of_rows.def_vmap
def _sum_of_rows_batched(_: int, in_batched: list[bool], x: jax.Array) -> tuple[jax.Array, bool]:
    """Of several seeds: ones that belong to no seed would have XLA transpose x."""
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


class LayerNorm(nnx.LayerNorm):
    """nnx.LayerNorm over the last axis, with a gradient of its own.

    Of two arrays of the size of x all five sums are products with vectors.
    """

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """[..., D] -> [..., D] float32, whatever x is computed in."""
        assert self.scale is not None and self.bias is not None
        return _normalize(x.astype(jnp.float32), self.scale[...], self.bias[...])


class ModalityNorm(nnx.Module):
    """L2-normalises each modality and gives it a LayerNorm of its own.

    Otherwise the modality with the larger norm dominates the variance that MoTAR looks at.
    """

    def __init__(self, widths: tuple[int, ...], *, rngs: nnx.Rngs) -> None:
        self.widths = widths
        self.norms = nnx.Dict(
            {f"modality_{i}": LayerNorm(width, rngs=rngs) for i, width in enumerate(widths)}
        )

    def __call__(self, features: jax.Array) -> jax.Array:
        """features: [B, T, D]. Returns [B, T, D], finite for a segment without evidence (all 0)."""
        ends = [sum(self.widths[: i + 1]) for i in range(len(self.widths))]
        parts = jnp.split(features, ends[:-1], axis=-1)
        normed = [
            norm(part / jnp.maximum(jnp.linalg.norm(part, axis=-1, keepdims=True), 1e-6))
            for norm, part in zip(self.norms.values(), parts, strict=True)
        ]
        return jnp.concatenate(normed, axis=-1)


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
