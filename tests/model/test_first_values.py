"""The first values of a network against those that Flax draws array by array."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from refinevad_jax.model.first_values import BLOCK, KeyNumber, drawn, kernel
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.random_words import key_of_seed
from refinevad_jax.model.refinevad import RefineVAD, abstract, create, first_parameters
from refinevad_jax.training.step import parameters_key, parameters_keys

SMALL = ModelConfig((10, 6), num_categories=3, width=12, num_layers=0, num_heads=2, scorer_width=8)
SENTENCES = {"category_names": "sentences", "category_input": "features"}
LINEAR = {"injection": "none", "scorer_width": 0, "normalization": "training", "num_layers": 1}


@pytest.mark.parametrize("changes", [{}, SENTENCES, LINEAR])
def test_parameters_are_those_of_flax_bit_by_bit(changes: dict[str, Any]) -> None:
    config = dataclasses.replace(SMALL, **changes)
    seeds = [3, 2**31 - 1]

    @jax.jit
    @jax.vmap
    def by_flax(key: jax.Array) -> Any:
        return nnx.to_pure_dict(nnx.state(RefineVAD(config, rngs=nnx.Rngs(key))))

    expected = by_flax(jax.numpy.stack([parameters_key(seed) for seed in seeds]))
    found = first_parameters(config, parameters_keys(seeds))
    _, shapes = abstract(config)
    _, alone = create(config, parameters_key(seeds[1]))
    assert jax.tree.structure(found) == jax.tree.structure(expected) == jax.tree.structure(shapes)
    rows = (jax.tree.leaves(tree) for tree in (found, expected, alone, shapes))
    for values, theirs, own, shape in zip(*rows, strict=True):
        np.testing.assert_array_equal(values, theirs)
        np.testing.assert_array_equal(values[1], own)
        assert values.shape[1:] == shape.shape and values.dtype == shape.dtype == theirs.dtype


def test_an_array_longer_than_a_block() -> None:
    key = jax.random.fold_in(jax.random.key(5), 7)
    shape = (3, BLOCK // 2)
    found = drawn(kernel(KeyNumber(7), shape), key_of_seed(5)[None])[0]
    np.testing.assert_array_equal(found, jax.jit(kernel, static_argnums=1)(key, shape))


def test_parameters_are_float32_also_if_jax_may_use_float64() -> None:
    config, keys = dataclasses.replace(SMALL, normalization="video"), parameters_keys([3])
    expected = first_parameters(config, keys)
    jax.config.update("jax_enable_x64", True)
    try:
        found = first_parameters(config, keys)
    finally:
        jax.config.update("jax_enable_x64", False)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(found))
    for leaf, own in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_array_equal(leaf, own)
