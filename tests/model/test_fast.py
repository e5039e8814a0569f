"""Norms and linear layers with gradients written by hand against those of flax, by autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from refinevad_jax.model.fast import LayerNorm, Linear, sum_of_rows

WIDTH = 6
LAYERS = {
    "norm": (LayerNorm(WIDTH, rngs=nnx.Rngs(0)), nnx.LayerNorm(WIDTH, rngs=nnx.Rngs(0))),
    "linear": (Linear(WIDTH, 4, rngs=nnx.Rngs(0)), nnx.Linear(WIDTH, 4, rngs=nnx.Rngs(0))),
}


def values_and_gradients(layer, x, *, seeds):
    """Output, gradient to x and to every parameter, of as many seeds side by side."""
    graphdef, state = nnx.split(layer)
    rng = np.random.default_rng(1)
    state = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=(seeds, *leaf.shape)), jnp.float32), state
    )

    def loss(state, x):
        out = nnx.merge(graphdef, state)(x)
        return jnp.sum(jnp.sin(out) * jnp.arange(out.size).reshape(out.shape)), out

    run = jax.vmap(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    (_, out), gradients = jax.jit(run)(state, x)
    return jax.tree.leaves((out, gradients))


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_those_of_flax(name, seeds):
    ours, theirs = LAYERS[name]
    x = jnp.asarray(np.random.default_rng(0).normal(2.0, 3.0, (seeds, 2, 5, WIDTH)), jnp.float32)
    found, expected = (values_and_gradients(layer, x, seeds=seeds) for layer in (ours, theirs))
    assert len(found) == len(expected) == 4
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-4)


def test_a_constant_row_has_a_finite_gradient():
    layer = LAYERS["norm"][0]
    x = jnp.full((1, 1, WIDTH), 3.0)
    assert np.array_equal(layer(x), np.zeros_like(x))  # scale 1, bias 0
    assert np.isfinite(jax.grad(lambda x: jnp.sum(layer(x) ** 2 + layer(x)))(x)).all()


def test_rows_are_summed_over_all_axes_but_the_last():
    x = jnp.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(sum_of_rows(x), [60.0, 66.0, 72.0, 78.0])
