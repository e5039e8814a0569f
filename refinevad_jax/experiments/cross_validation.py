"""Trains a configuration on all folds but one, for every fold, and scores the one left out.

All folds and repetitions are trained in one program, as the seeds of a run are. Axis letters:
R repetitions, V videos.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.data.batches import TrainingBags, training_bags
from refinevad_jax.data.folds import make_folds
from refinevad_jax.data.normalization import training_statistics
from refinevad_jax.evaluation.scoring import Pooling, Scorer, VideoScores
from refinevad_jax.runs.checkpoints import fresh_states
from refinevad_jax.runs.run import Run
from refinevad_jax.training.dispatch import Dispatch
from refinevad_jax.training.members import unstack
from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer
from refinevad_jax.training.programs import MAX_STEPS_PER_DISPATCH
from refinevad_jax.model.refinevad import abstract
from refinevad_jax.training.step import parameters_key


@dataclasses.dataclass(frozen=True)
class OutOfFold:
    """What networks say of videos that they were not trained on.

    Attributes:
        folds: [R, V] the fold of every video.
        results: R lists of V.
    """

    folds: np.ndarray
    results: list[list[VideoScores]]


def out_of_fold(
    config: ConfigDict,
    info: BagsInfo,
    bags: list[Bag],
    *,
    num_folds: int,
    num_repeats: int,
    num_steps: int,
) -> OutOfFold:
    folds = np.stack([make_folds(bags, num_folds, config.seed + i) for i in range(num_repeats)])
    run = Run(config, info, bags[0].features.shape[0])
    columns = run.columns()
    seeds = range(config.seed, config.seed + num_repeats * num_folds)
    everything = training_bags(bags, config.data.num_segments, columns)
    kept = [folds[i] != fold for i in range(num_repeats) for fold in range(num_folds)]
    listed = dataclasses.replace(
        everything,
        normal=_lists(everything.normal[0], kept, config.seed),
        anomalous=_lists(everything.anomalous[0], kept, config.seed),
    )
    optimizer = make_optimizer(OptimizerConfig.of(config), num_steps)
    graphdef, _ = abstract(run.model_config)
    keys = jax.numpy.stack([parameters_key(seed) for seed in seeds])
    states = fresh_states(run.model_config, optimizer, keys)
    if config.data.normalization == "training":
        states = with_statistics(states, listed, run.model_config.modality_widths)
    dispatch = Dispatch(config, seeds, graphdef, optimizer, listed)
    states = dispatch.place(states)
    for first in range(0, num_steps, MAX_STEPS_PER_DISPATCH):
        states, _ = dispatch.run(states, first, min(MAX_STEPS_PER_DISPATCH, num_steps - first))
    scorer = Scorer(graphdef, pooling=Pooling.of(config.loss))
    results: list[list[Any]] = [[None] * len(bags) for _ in range(num_repeats)]
    for number in range(len(seeds)):
        repeat, fold = divmod(number, num_folds)
        params = unstack(states.params, number)
        left_out = np.flatnonzero(folds[repeat] == fold)
        found = scorer(
            params, [bags[i] for i in left_out], columns=columns, num_segments=config.data.num_segments
        )
        for index, scores in zip(left_out, found, strict=True):
            results[repeat][index] = scores
    return OutOfFold(folds, results)


def _lists(videos: np.ndarray, kept: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Those of a list that each fold is trained on, [S, L]; shorter lists repeat some videos."""
    rng = np.random.default_rng([seed, 0x11575])
    lists = [videos[mask[videos]] for mask in kept]
    longest = max(map(len, lists))
    return np.stack(
        [np.concatenate([own, rng.permutation(own)[: longest - len(own)]]) for own in lists]
    )


def with_statistics(states: Any, bags: TrainingBags, widths: Sequence[int]) -> Any:
    """The states [S] with mean and deviation of the segments that each is trained on."""
    found = [
        training_statistics(bags.features[np.unique(np.concatenate([n, a]))], widths)
        for n, a in zip(bags.normal, bags.anomalous, strict=True)
    ]
    mean, deviation = (np.stack(values) for values in zip(*found, strict=True))
    own = states.params["modality_norm"] | {"mean": mean, "deviation": deviation}
    return dataclasses.replace(states, params=states.params | {"modality_norm": own})
