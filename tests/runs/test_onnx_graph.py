"""The primitives that are written in others keep their values."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from refinevad_jax.runs import onnx_graph


def every_rule(x: jax.Array) -> tuple[jax.Array, ...]:
    """[B, T] through each primitive of RULES, some inside calls."""

    def add(carry: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
        return carry + row, carry * row

    newest = jax.lax.cummax(jnp.where(x > 0, jnp.arange(x.shape[1]), 0), axis=1)
    return (
        jnp.pad(jax.nn.relu(x), ((0, 0), (2, 1))),
        jnp.take_along_axis(x, newest, axis=1),
        x[:, 1:] - x[:, :-1],
        x[..., 0],
        *jax.lax.scan(add, jnp.zeros_like(x[..., 0]), x.T, reverse=True),
    )


def taken_apart(shape: tuple[Any, ...]) -> tuple[Any, Any]:
    """The jaxpr of every_rule, and of what replaces it."""
    arguments = (jax.ShapeDtypeStruct(shape, np.float32),)
    traced = onnx_graph._traced(every_rule, arguments)
    replaced = onnx_graph._traced(
        lambda *rows: onnx_graph._evaluate(traced.jaxpr, traced.consts, rows), arguments
    )
    return traced, replaced


def test_what_is_replaced_keeps_its_values() -> None:
    x = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    _, replaced = taken_apart(x.shape)
    both = jax.jit(
        lambda x: (every_rule(x), jax.core.eval_jaxpr(replaced.jaxpr, replaced.consts, x))
    )
    for expected, found in zip(*both(x), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_nothing_is_left_that_a_free_length_stops() -> None:
    free = jax.export.symbolic_shape("batch, time", constraints=["time >= 2"])
    _, replaced = taken_apart(free)
    names = {equation.primitive.name for equation in replaced.jaxpr.eqns}
    assert not names & {"pad", "cummax", "gather", "custom_jvp_call"}
    assert not any(equation.params.get("reverse") for equation in replaced.jaxpr.eqns)
