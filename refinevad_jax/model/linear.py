"""The linear layer of sequences."""

import jax
from flax import nnx

from refinevad_jax.model.normalization import add_bias


class Linear(nnx.Linear):
    """nnx.Linear over one axis of rows instead of videos by segments.

    The gradient of the weights is then one product; over two axes XLA transposes its input first.
    """

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """[..., inputs] -> [..., outputs]."""
        assert self.bias is not None
        rows, kernel, bias = self.promote_dtype(
            (x.reshape(-1, x.shape[-1]), self.kernel[...], self.bias[...]), dtype=self.dtype
        )
        rows = add_bias(rows @ kernel, bias)
        return rows.reshape(*x.shape[:-1], rows.shape[-1])
