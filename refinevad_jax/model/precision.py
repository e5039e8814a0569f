"""Mixed precision: the large products in bfloat16, everything that sums or decides in float32."""

from typing import Any

import jax.numpy as jnp
from flax import nnx

from refinevad_jax.model.refinevad import RefineVAD

# Gate, category outputs, mixture and the last layer stay: they are small and their values are read.
LARGE = ("encoder", "cross_attention", "scorer.hidden")


def in_bfloat16(model: RefineVAD) -> RefineVAD:
    """The same parameters; the linear layers of LARGE and attention compute in bfloat16.

    Norms, residual sums, softmax and what Outputs holds stay float32.
    """
    for name in LARGE:
        part: Any = model
        for attribute in name.split("."):
            part = getattr(part, attribute, None)
        if part is None:
            continue  # no cross-attention without CORE
        for _, module in nnx.iter_graph(part):
            if isinstance(module, nnx.Linear):
                module.dtype = jnp.bfloat16
    return model
