"""Options for the compiler are left out where it does not know them."""

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
