"""The linear layer of sequences."""

import jax
from flax import nnx


class Linear(nnx.Linear):
    """nnx.Linear over one axis of rows instead of videos by segments.

    The gradient of the weights is then one product; over two axes XLA transposes its input first.
    """

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """[..., inputs] -> [..., outputs]."""
        rows = super().__call__(x.reshape(-1, x.shape[-1]))
        return rows.reshape(*x.shape[:-1], rows.shape[-1])
