"""Sentence embeddings of the categories' names, put where the network keeps them."""

import dataclasses

import numpy as np

from refinevad_jax.encoders.text import embedded_names
from refinevad_jax.runs.checkpoints import TrainState
from refinevad_jax.runs.run import Run


def names_of(run: Run) -> np.ndarray | None:
    """[C, 384] float32 for a run whose categories are names, None for others.

    Raises UserError if the sentence encoder is not installed.
    """
    if not run.model_config.has_names:
        return None
    return embedded_names(run.info.taxonomy.display_names)


def named(states: TrainState, run: Run) -> TrainState:
    """States [S, ...] whose networks know the names of the run's categories, if they read names."""
    names = names_of(run)
    if names is None:
        return states
    core = states.params["core"]
    core = core | {"names": np.broadcast_to(names, core["names"].shape).copy()}
    return dataclasses.replace(states, params=states.params | {"core": core})
