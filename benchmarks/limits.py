"""What a machine can do at most: the yardstick of the other benchmarks."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from refinevad_jax.runtime.compiler import compiler_options

SIDE = 4096
# Dense TFLOP/s of products in (TF32, bfloat16), of NVIDIA's data sheets, by JAX's device_kind.
DATA_SHEETS = {
    "NVIDIA H100 80GB HBM3": (495.0, 989.0),
    "NVIDIA H100 PCIe": (378.0, 756.0),
    "NVIDIA H200": (495.0, 989.0),
    "NVIDIA A100-SXM4-40GB": (156.0, 312.0),
    "NVIDIA A100-SXM4-80GB": (156.0, 312.0),
}


def best(run: Callable[[], Any], repeats: int = 3) -> float:
    """Shortest of several timings in seconds, after one run that compiles."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


@functools.cache
def _product() -> tuple[Callable[[jax.Array], jax.Array], jax.Array]:
    matrix = jnp.ones((SIDE, SIDE), jnp.float32)
    product = jax.jit(lambda a: a @ a, compiler_options=compiler_options())
    product(matrix).block_until_ready()  # compiled outside the timing
    return product, matrix


def matmul() -> None:
    """One large float32 matrix product: 2 SIDE^3 operations."""
    product, matrix = _product()
    product(matrix).block_until_ready()


def matmul_flops() -> float:
    """Floating-point operations per second of a large float32 matrix product."""
    return 2 * SIDE**3 / best(matmul)


def product_rate(dtype: Any, side: int, count: int = 10) -> float:
    """Operations per second of square products of random values, `count` in one dispatch.

    Random, because a GPU computes zeros and ones at higher clocks than what training multiplies.
    """
    matrix = jax.random.normal(jax.random.key(0), (side, side), dtype) / side**0.5
    chain = jax.jit(
        lambda a: jax.lax.fori_loop(0, count, lambda _, product: product @ a, a),
        compiler_options=compiler_options(),
    )
    return 2 * side**3 * count / best(lambda: chain(matrix).block_until_ready())


def float32_product_error() -> float:
    """Largest error of a float32 product, relative to the largest entry: TF32 gives about 1e-3."""
    a, b = np.random.default_rng(0).standard_normal((2, 256, 256)).astype(np.float32)
    exact = a.astype(np.float64) @ b
    return float(np.abs(np.asarray(jnp.matmul(a, b)) - exact).max() / np.abs(exact).max())
