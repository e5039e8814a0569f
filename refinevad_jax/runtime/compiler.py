"""What the compiler is told about large programs, and where compiled programs are kept."""

import functools
import os
import pathlib

import jax

# On processors jax 0.10 hands products and sums to YNNPACK, which computes the products of this
# network at a fifth to nine tenths of the rate of Eigen (docs/performance.md, "Training").
WITHOUT_YNNPACK = {"xla_cpu_experimental_ynn_fusion_type": ""}
# What compiles faster is not kept: reading it back would take as long.
MIN_COMPILE_SECONDS = 0.1


@functools.cache
def compiler_options() -> dict[str, str]:
    """For jax.jit; empty on accelerators, and if this jax does not know the option."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=WITHOUT_YNNPACK).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return dict(WITHOUT_YNNPACK)


def enable_cache(folder: str | None = None) -> None:
    """Keeps compiled programs in a folder. JAX warns of a damaged one and compiles it again.

    folder: "" turns the cache off; None means JAX_COMPILATION_CACHE_DIR or, if that is not set,
    refinevad_jax in the user's cache folder.
    """
    if folder is None:
        if "JAX_COMPILATION_CACHE_DIR" in os.environ:
            return  # JAX reads it and its other variables itself
        cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        folder = str(pathlib.Path(cache) / "refinevad_jax")
    jax.config.update("jax_compilation_cache_dir", folder or None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_COMPILE_SECONDS)
