"""What the compiler is told about large programs, beyond its defaults."""

import functools

import jax

# On processors jax 0.10 hands products and sums to YNNPACK, which computes the products of this
# network at a fifth to nine tenths of the rate of Eigen (docs/performance.md, "Training").
WITHOUT_YNNPACK = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def compiler_options() -> dict[str, str]:
    """For jax.jit; empty on accelerators, and where this jax does not know the option."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=WITHOUT_YNNPACK).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return dict(WITHOUT_YNNPACK)
