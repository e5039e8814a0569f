"""What the compiler is told about large programs, and where compiled programs are kept."""

import functools
import os
import pathlib
from typing import Any

import jax

from refinevad_jax.files.staged import write_bytes

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


# What compiles faster is not kept: reading it back would take as long.
MIN_COMPILE_SECONDS = 0.1


def enable_cache(folder: str | None = None) -> None:
    """Keeps them in the user's cache folder.

    folder, or where it is None the variable JAX_COMPILATION_CACHE_DIR, names another; empty, it
    turns the cache off.
    """
    import jax

    _write_whole_entries()
    if folder is None:
        if "JAX_COMPILATION_CACHE_DIR" in os.environ:
            return  # JAX reads it and its other variables itself
        cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        folder = str(pathlib.Path(cache) / "refinevad_jax")
    jax.config.update("jax_compilation_cache_dir", folder or None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_COMPILE_SECONDS)


def _write_whole_entries() -> None:
    """Lets an entry appear by a rename.

    JAX writes it in place and never again: of a process that is killed there, half an entry would
    stay, which every later one reads in vain, and one beside it might read half.
    """
    from jax._src.lru_cache import LRUCache

    in_place = LRUCache.put
    if getattr(in_place, "whole", False):
        return

    def put(self: Any, key: str, value: bytes) -> None:
        folder = str(self.path)
        if self.eviction_enabled or "://" in folder:
            in_place(self, key, value)
            return
        path = pathlib.Path(folder) / f"{key}-cache"
        if not path.exists():
            write_bytes(path, value)

    put.whole = True  # type: ignore[attr-defined]
    LRUCache.put = put  # type: ignore[method-assign]
