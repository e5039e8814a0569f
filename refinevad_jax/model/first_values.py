"""First values of a network's parameters: those of Flax, bit by bit, with next to no compiling.

JAX compiles a kernel for every random array, which takes seconds for a network. Here a constructor
gets numbers in place of keys, and notes down what it would draw with them. Random bits are
integers, which NumPy computes as well; two small programs make numbers of them, block by block.
Axis letters: C categories, H model width, S seeds.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.extend.random import define_prng_impl

from refinevad_jax.model.random_words import fold_in, words

BLOCK = 1 << 15  # random values of one call
# Of a normal distribution that is cut off at -2 and 2 (jax.nn.initializers.variance_scaling).
CUT_DEVIATION = 0.87962566103423978
_LECUN = nnx.initializers.lecun_normal()


class KeyNumber(int):
    """Which key of a constructor: fold_in(key of the network, number)."""


class Numbers(nnx.Rngs):
    """Gives a constructor numbers of keys, so that what it would draw is a `Draw`."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    def params(self) -> KeyNumber:
        """The next key."""
        self.given += 1
        return KeyNumber(self.given - 1)


@dataclasses.dataclass(frozen=True)
class Draw:
    """An array that is to be drawn: with which key, and how BLOCK random words become values."""

    number: KeyNumber
    shape: tuple[int, ...]
    values: Callable[[np.ndarray], jax.Array]
    dtype: Any = jnp.float32


def kernel(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
    """[inputs, outputs] as Flax begins linear layers: lecun_normal. key: of JAX, or a number."""
    if not isinstance(key, KeyNumber):
        return _LECUN(key, shape, dtype)
    deviation = np.sqrt(np.float32(1 / shape[0])) / np.float32(CUT_DEVIATION)
    return Draw(key, shape, functools.partial(_cut_normal, deviation))


def directions(key: Any, shape: tuple[int, int]) -> Any:
    """[C, H] normal with deviation 1 / sqrt(H): lengths of about 1. key: of JAX, or a number."""
    if not isinstance(key, KeyNumber):
        return jax.random.normal(key, shape) / jnp.sqrt(shape[-1])
    return Draw(key, shape, functools.partial(_normal, shape[-1]))


def zeros(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
    """As nnx.initializers.zeros_init, on the host: JAX would compile a program for every shape."""
    del key
    return np.zeros(shape, dtype)


def ones(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
    """As nnx.initializers.ones_init, on the host."""
    del key
    return np.ones(shape, dtype)


# nnx.Linear with these first values.
PlainLinear = functools.partial(nnx.Linear, kernel_init=kernel, bias_init=zeros)


def drawn(plan: Any, keys: np.ndarray) -> Any:
    """The arrays [S, ...] of S networks, on the host.

    plan: tree of arrays and `Draw`; keys: [S, 2] uint32, jax.random.key_data of their keys.
    """

    def array(leaf: Any) -> np.ndarray:
        if isinstance(leaf, Draw):
            return np.stack([_drawn(leaf, fold_in(key, leaf.number)) for key in keys])
        return np.repeat(leaf[None], len(keys), axis=0)

    return jax.tree.map(array, plan)


def _drawn(draw: Draw, key: np.ndarray) -> np.ndarray:
    """The array of one seed. Its random words depend on the key and the place in it alone."""
    size = math.prod(draw.shape)
    blocks = [draw.values(words(key, BLOCK, first)) for first in range(0, size, BLOCK)]
    return np.concatenate(blocks)[:size].reshape(draw.shape)


def _never(*arguments: Any) -> Any:
    raise TypeError("random words that NumPy has computed are no key: nothing splits them")


# Gives JAX's distributions the random words that NumPy has computed.
_WORDS = define_prng_impl(
    key_shape=(BLOCK,),
    seed=_never,
    split=_never,
    random_bits=lambda words, width, shape: words,
    fold_in=_never,
    name="words",
    tag="words",
)


@jax.jit
def _cut_normal(deviation: jax.Array, words: jax.Array) -> jax.Array:
    """[BLOCK] normal, cut off at 2 deviations, from [BLOCK] uint32."""
    key = jax.random.wrap_key_data(words, impl=_WORDS)
    return jax.random.truncated_normal(key, -2, 2, (BLOCK,), jnp.float32) * deviation


@functools.partial(jax.jit, static_argnums=0)
def _normal(width: int, words: jax.Array) -> jax.Array:
    """[BLOCK] normal with deviation 1 / sqrt(width), from [BLOCK] uint32."""
    key = jax.random.wrap_key_data(words, impl=_WORDS)
    return jax.random.normal(key, (BLOCK,), jnp.float32) / jnp.sqrt(jnp.float32(width))
