"""The light pre-norm Transformer over segments, with a mask over padding.

Axis letters: B videos, T segments, H model width.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from refinevad_jax.model.fast import LayerNorm, Linear
from refinevad_jax.model.model_config import ModelConfig

# Segments up to which attention is one call. Longer videos are attended in blocks, with fewer
# queries per block the longer the video is: memory then hardly grows, a video of days is scored
# whole, and a block stays in a processor's caches.
LONGEST_WHOLE = 2048
SHORTEST_BLOCK = 64


def sinusoidal_positions(num_segments: int, width: int) -> jax.Array:
    """Sine and cosine of t / 10000^(2i / H) (Vaswani et al. 2017). Returns [T, H] float32.

    A learned table would end at the training length; test videos are longer.
    """
    frequency = (10000.0 ** (-np.arange(0, width, 2) / width)).astype(np.float32)
    angle = jnp.arange(num_segments, dtype=jnp.float32)[:, None] * frequency
    both = jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1)
    return both.reshape(num_segments, -1)[:, :width]


def masked_attention(
    query: jax.Array, key: jax.Array, value: jax.Array, valid: jax.Array
) -> jax.Array:
    """Softmax attention over the valid keys, in blocks of queries for long videos.

    query: [B, Tq, heads, H / heads]; key, value: [B, T, heads, H / heads]; valid: [B, T] bool.
    Returns the shape of query; finite (and without meaning) if no key is valid.
    """
    mask = valid[:, None, None, :]
    batch, length, heads, width = query.shape

    def attend(queries: jax.Array) -> jax.Array:
        return jax.nn.dot_product_attention(queries, key, value, mask=mask)

    if length <= LONGEST_WHOLE:
        return attend(query)
    block = max(SHORTEST_BLOCK, LONGEST_WHOLE**2 // length)
    num_blocks = -(-length // block)
    padded = jnp.pad(query, ((0, 0), (0, num_blocks * block - length), (0, 0), (0, 0)))
    blocks = padded.reshape(batch, num_blocks, block, heads, width).swapaxes(0, 1)
    starts = jnp.arange(num_blocks) * block
    longest = valid.sum(axis=1).max()

    def attend_within(some: tuple[jax.Array, jax.Array]) -> jax.Array:
        queries, start = some  # a block of padding alone has no meaning, and costs nothing
        return jax.lax.cond(start < longest, attend, jnp.zeros_like, queries)

    # Training computes a block's weights again on the way back: kept, they are T squared.
    mixed = jax.lax.map(jax.checkpoint(attend_within), (blocks, starts))
    return mixed.swapaxes(0, 1).reshape(padded.shape)[:, :length]


class Attention(nnx.Module):
    """Multi-head attention of queries over a masked sequence."""

    def __init__(self, width: int, num_heads: int, *, rngs: nnx.Rngs) -> None:
        self.num_heads = num_heads
        self.query = Linear(width, width, rngs=rngs)
        self.key_value = Linear(width, 2 * width, rngs=rngs)
        self.output = Linear(width, width, rngs=rngs)

    def __call__(self, queries: jax.Array, sequence: jax.Array, valid: jax.Array) -> jax.Array:
        """queries: [B, Tq, H]; sequence: [B, T, H]; valid: [B, T] bool. Returns [B, Tq, H]."""
        if queries.shape[1] == 1:
            return self.of_one_query(queries, sequence, valid)
        heads = (*queries.shape[:2], self.num_heads, -1)
        query = self.query(queries).reshape(heads)
        key_value = self.key_value(sequence)
        key, value = jnp.split(
            key_value.reshape(*key_value.shape[:2], 2 * self.num_heads, -1), 2, 2
        )
        mixed = masked_attention(query, key, value, valid)
        return self.output(mixed.reshape(queries.shape))

    def weights(self, queries: jax.Array, sequence: jax.Array, valid: jax.Array) -> jax.Array:
        """What each query takes from each segment: [B, heads, Tq, T], sums of 1."""
        query = self.query(queries).reshape(*queries.shape[:2], self.num_heads, -1)
        key = jnp.split(self.key_value(sequence), 2, axis=-1)[0]
        key = key.reshape(*key.shape[:2], self.num_heads, -1)
        logits = jnp.einsum("bqnd,btnd->bnqt", query, key) / np.sqrt(query.shape[-1])
        return jax.nn.softmax(logits, where=valid[:, None, None])

    def of_one_query(self, query: jax.Array, sequence: jax.Array, valid: jax.Array) -> jax.Array:
        """The same for one query, without keys and values of every segment.

        q (W_k x_t) = (q W_k) x_t and sum_t a_t (W_v x_t) = W_v sum_t a_t x_t: T x H products per
        head instead of T x H^2. The bias of the keys adds the same to every logit.
        query: [B, 1, H]; sequence: [B, T, H]; valid: [B, T] bool. Returns [B, 1, H].
        """
        shape = (2, self.num_heads, -1)
        asked = self.query(query[:, 0]).reshape(query.shape[0], *shape[1:])
        kernels = self.key_value.kernel[...].reshape(query.shape[-1], *shape)
        assert self.key_value.bias is not None
        bias = self.key_value.bias[...].reshape(shape)
        towards = jnp.einsum("bnd,hnd->bnh", asked, kernels[:, 0])
        logits = jnp.einsum("bnh,bth->bnt", towards, sequence) / np.sqrt(asked.shape[-1])
        logits = jnp.where(valid[:, None], logits, jnp.finfo(logits.dtype).min)
        pooled = jnp.einsum("bnt,bth->bnh", jax.nn.softmax(logits), sequence)
        mixed = jnp.einsum("bnh,hnd->bnd", pooled, kernels[:, 1]) + bias[1]
        return self.output(mixed.reshape(query.shape))


class EncoderBlock(nnx.Module):
    """x + attention(LN(x)), then x + FFN(LN(x))."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        width = config.width
        self.attention_norm = LayerNorm(width, rngs=rngs)
        self.attention = Attention(width, config.num_heads, rngs=rngs)
        self.mlp_norm = LayerNorm(width, rngs=rngs)
        self.mlp_in = Linear(width, config.mlp_width, rngs=rngs)
        self.mlp_out = Linear(config.mlp_width, width, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout)

    def __call__(self, x: jax.Array, valid: jax.Array, rngs: nnx.Rngs | None) -> jax.Array:
        """x: [B, T, H]; valid: [B, T]; rngs: dropout keys or None. Returns [B, T, H]."""
        normed = self.attention_norm(x)
        mixed = self.attention(normed, normed, valid)
        x = x + self.dropout(mixed, deterministic=rngs is None, rngs=rngs)
        hidden = jax.nn.gelu(self.mlp_in(self.mlp_norm(x)))
        return x + self.dropout(self.mlp_out(hidden), deterministic=rngs is None, rngs=rngs)


class TemporalEncoder(nnx.Module):
    """Projection D -> H with LayerNorm, then the Transformer blocks (none: an MLP per segment)."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.width = config.width
        self.projection = Linear(config.num_channels, config.width, rngs=rngs)
        self.projection_norm = LayerNorm(config.width, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout)
        blocks = {f"block_{i}": EncoderBlock(config, rngs=rngs) for i in range(config.num_layers)}
        self.blocks = nnx.Dict(blocks)
        self.output_norm = LayerNorm(config.width, rngs=rngs)

    def __call__(self, features: jax.Array, valid: jax.Array, rngs: nnx.Rngs | None) -> jax.Array:
        """features: [B, T, D]; valid: [B, T]; rngs: dropout keys or None. Returns [B, T, H]."""
        x = self.projection_norm(self.projection(features))
        x = x + sinusoidal_positions(x.shape[1], self.width) if self.blocks else jax.nn.gelu(x)
        x = self.dropout(x, deterministic=rngs is None, rngs=rngs)
        for block in self.blocks.values():
            x = block(x, valid, rngs)
        return self.output_norm(x)
