"""What a machine can do at most: the yardstick of the other benchmarks."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from refinevad_jax.runtime.compiler import compiler_options

SIDE = 4096


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
