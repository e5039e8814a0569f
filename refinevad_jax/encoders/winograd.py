"""Convolutions in space and time with fewer multiplications along time.

The algorithm of Cook and Toom, known by Winograd's name (Lavin and Gray, CVPR 2016): F(m, r) makes
m outputs of a filter of r taps by N = m + r - 1 products instead of m r. Inputs, taps and outputs
are each transformed by a small matrix; the products here are convolutions in space. Values are
those of the direct form but for rounding.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

# Where the polynomials are evaluated; the last of the N points is infinity. Small whole numbers and
# halves keep the rounding small.
_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["values"],
    meta_fields=["taps", "stride", "outputs"],
)
@dataclasses.dataclass(frozen=True)
class Kernel:
    """A transformed kernel.

    Attributes:
        values: N arrays [y, x, stride * c, out] float32; parts of one would be copied at each call.
        taps: f, frames of the kernel before it was transformed.
        stride: in frames, rows and columns.
        outputs: m, frames that one tile gives.
    """

    values: tuple[jax.Array, ...]
    taps: int
    stride: int
    outputs: int


def transform(kernel: jax.Array, *, outputs: int, stride: int = 1) -> Kernel:
    """Transforms a kernel [f, y, x, c, out] of a convolution with "SAME" padding.

    outputs: m; the fewer frames there are, the smaller. With a stride, so many frames in a row
    become the channels of one, which makes the stride along time 1.
    """
    values = np.asarray(kernel, np.float64)
    taps = len(values)
    folded = -(-taps // stride)
    values = np.pad(values, ((0, folded * stride - taps), *[(0, 0)] * 4))
    values = values.reshape(folded, stride, *values.shape[1:]).transpose(0, 2, 3, 1, 4, 5)
    values = values.reshape(*values.shape[:3], -1, values.shape[-1])
    _, of_taps, _ = matrices(outputs, folded)
    products = np.tensordot(of_taps, values, (1, 0)).astype(np.float32)
    return Kernel(jax.device_put(tuple(products)), taps, stride, outputs)


@functools.cache
def matrices(outputs: int, taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The transforms of F(m, r): of inputs [N, N], of taps [N, r] and of products [m, N].

    y = A ((G g) * (B x)) is y[i] = sum over k of g[k] x[i + k]. G and A evaluate polynomials at N
    points, and B is the inverse transpose of that; each row of B is scaled to a largest value of 1,
    and the same row of G the other way.
    """
    num = outputs + taps - 1

    def powers(count: int) -> np.ndarray:
        finite = [[point**power for power in range(count)] for point in _POINTS[: num - 1]]
        return np.array([*finite, [0.0] * (count - 1) + [1.0]])

    of_inputs = np.linalg.inv(powers(num)).T
    scale = np.abs(of_inputs).max(axis=1, keepdims=True)
    of_inputs /= scale
    of_inputs[np.abs(of_inputs) < 1e-12] = 0  # what the inverse has rounded
    return of_inputs, powers(taps) * scale, powers(outputs).T


def convolution(net: jax.Array, kernel: Kernel) -> jax.Array:
    """The convolution of [B, F, Y, X, c] with a kernel that `transform` has made."""
    batch, num_frames, height, width, channels = net.shape
    stride, outputs = kernel.stride, kernel.outputs
    num = len(kernel.values)
    of_inputs, _, of_products = matrices(outputs, num - outputs + 1)
    kept = -(-num_frames // stride)
    tiles = -(-kept // outputs)
    length = stride * (outputs * (tiles - 1) + num)
    ((before, _),) = jax.lax.padtype_to_pads((num_frames,), (kernel.taps,), (stride,), "SAME")
    net = jnp.pad(net, ((0, 0), (before, length - before - num_frames), *[(0, 0)] * 3))
    net = net.reshape(batch, -1, stride, height, width, channels).transpose(0, 1, 3, 4, 2, 5)
    net = net.reshape(batch, -1, height, width, stride * channels)
    seen = [net[:, i : i + outputs * (tiles - 1) + 1 : outputs] for i in range(num)]
    products = [
        jax.lax.conv_general_dilated(
            _combined(row, seen).reshape(batch * tiles, height, width, -1),
            values,
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        for row, values in zip(of_inputs, kernel.values, strict=True)
    ]
    net = jnp.stack([_combined(row, products) for row in of_products], axis=1)
    return net.reshape(batch, tiles * outputs, *net.shape[2:])[:, :kept]


def _combined(factors: np.ndarray, parts: list[jax.Array]) -> jax.Array:
    """The sum of parts times factors, without those whose factor is 0."""
    terms = [np.float32(f) * part for f, part in zip(factors, parts, strict=True) if f]
    return functools.reduce(jnp.add, terms)
