"""Training programs on made-up bags, for benchmarks."""

import numpy as np
from ml_collections import ConfigDict

from refinevad_jax.data.batches import TrainingBags
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import create
from refinevad_jax.runs.checkpoints import TrainState, fresh_state
from refinevad_jax.training.dispatch import Dispatch
from refinevad_jax.training.members import stack
from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer

NUM_CATEGORIES = 13


def made_up_bags(
    num_videos: int, num_segments: int, num_channels: int, num_seeds: int
) -> TrainingBags:
    """Random bags, every second one anomalous."""
    rng = np.random.default_rng(0)
    features = np.empty((num_videos, 1, num_segments, num_channels), np.float16)
    for row in features:
        row[...] = rng.standard_normal(row.shape, np.float32)
    labels = np.zeros((num_videos, NUM_CATEGORIES), bool)
    labels[1::2, 0] = True
    videos = np.arange(num_videos)
    return TrainingBags(
        features,
        labels,
        np.tile(videos[::2], (num_seeds, 1)),
        np.tile(videos[1::2], (num_seeds, 1)),
    )


def program(config: ConfigDict, bags: TrainingBags) -> tuple[Dispatch, TrainState]:
    """The compiled functions for as many seeds as the bags have, and their fresh state."""
    network = ModelConfig((bags.features.shape[-1],), NUM_CATEGORIES, **config.model.to_dict())
    optimizer = make_optimizer(OptimizerConfig(**config.optimizer.to_dict()), 10_000)
    seeds = range(len(bags.normal))
    networks = [create(network, seed) for seed in seeds]
    states = [fresh_state(params, optimizer) for _, params in networks]
    dispatch = Dispatch(config, seeds, networks[0][0], optimizer, bags)
    return dispatch, dispatch.place(stack(states))
