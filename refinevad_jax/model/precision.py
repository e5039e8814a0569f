"""Mixed precision: the large products in bfloat16, everything that sums or decides in float32."""

import jax.numpy as jnp
from flax import nnx

from refinevad_jax.model.refinevad import RefineVAD
from refinevad_jax.model.scorer import Scorer


def in_bfloat16(model: RefineVAD) -> RefineVAD:
    """The same parameters; the large linear layers and attention compute in bfloat16.

    Gate, category outputs, mixture and the last layer are small and their values are read: they
    stay float32, as do norms, residual sums, softmax and what Outputs holds.
    """
    large: list[nnx.Module] = [model.motar.encoder]
    if isinstance(model.scorer, Scorer):
        large.append(model.scorer.hidden)
    if model.core is not None:
        large.append(model.core.cross_attention)
    for part in large:
        for _, module in nnx.iter_graph(part):
            if isinstance(module, nnx.Linear):
                module.dtype = jnp.bfloat16
    return model
