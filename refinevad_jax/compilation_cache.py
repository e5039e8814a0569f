"""Compiled programs are kept on the disk, so that the second command does not compile again."""

import os
import pathlib


def enable() -> None:
    """Keeps them in the user's cache folder.

    The variable JAX_COMPILATION_CACHE_DIR names another folder; empty, it turns the cache off.
    """
    import jax

    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return  # JAX reads it itself
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(cache) / "refinevad_jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
