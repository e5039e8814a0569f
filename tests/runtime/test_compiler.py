"""Options for the compiler are left out where it does not know them."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from refinevad_jax.runtime import compiler


def test_programs_compile_with_the_options():
    double = jax.jit(lambda x: 2 * x, compiler_options=compiler.compiler_options())
    assert double(jnp.float32(3.0)) == 6.0


def test_an_option_that_jax_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch):
    compiler.compiler_options.cache_clear()
    monkeypatch.setattr(compiler, "WITHOUT_YNNPACK", {"xla_cpu_of_another_version": ""})
    assert compiler.compiler_options() == {}
    compiler.compiler_options.cache_clear()


def test_accelerators_get_none(monkeypatch: pytest.MonkeyPatch):
    compiler.compiler_options.cache_clear()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compiler.compiler_options() == {}
    compiler.compiler_options.cache_clear()


def test_a_damaged_entry_of_the_cache_is_compiled_again(tmp_path: pathlib.Path):
    """What a kill leaves: JAX writes an entry in place."""
    program = "import jax; print(float(jax.jit(lambda x: 2 * x + 1)(3.0)))"
    settings = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program]
        environment = os.environ | settings
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert run().stdout == "7.0\n"
    entries = list(tmp_path.glob("*-cache"))
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:100])
    assert entries
    found = run()
    assert found.stdout == "7.0\n" and "Error reading" in found.stderr
