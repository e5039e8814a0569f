"""Trains a configuration on all folds of the training videos but one, and scores that one.

All folds and repetitions are trained side by side, as the seeds of a run are. Axis letters:
R repetitions, K folds, V videos.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.data.batches import resampled, training_bags
from refinevad_jax.data.folds import make_folds
from refinevad_jax.errors import NumericalError
from refinevad_jax.evaluation.scoring import Pooling, Scorer, VideoScores
from refinevad_jax.metrics.frames import roc_auc
from refinevad_jax.metrics.videos import category_accuracy
from refinevad_jax.model.refinevad import abstract
from refinevad_jax.runs.checkpoints import fresh_states
from refinevad_jax.runs.run import Run
from refinevad_jax.training.category_names import named
from refinevad_jax.training.dispatch import Dispatch
from refinevad_jax.training.failures import first_failure
from refinevad_jax.training.members import unstack
from refinevad_jax.training.normalization import standardized
from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer
from refinevad_jax.training.programs import MAX_STEPS_PER_DISPATCH
from refinevad_jax.training.step import parameters_keys


@dataclasses.dataclass(frozen=True)
class OutOfFold:
    """What networks say of videos that they were not trained on.

    Attributes:
        folds: [R, V] int, the fold of every video.
        results: [R][V], each by the network that did not see the video.
    """

    folds: np.ndarray
    results: list[list[VideoScores]]

    def measured(self, labels: np.ndarray, recordings: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics of each fold that has pairs to compare, by name: [R x K] or fewer.

        "video_auc" is the share of pairs of a normal and an anomalous video in the right order,
        both of one fold, which one network scored. If `has_both_kinds`, "within_auc" is that of
        pairs of one recording; nan for a fold without any. With CORE also "category_accuracy".
        labels: [V, C] bool; recordings: [V] names, "" if none.
        """
        anomalous = np.asarray(labels.any(axis=1))
        within = has_both_kinds(anomalous, recordings)
        found: dict[str, list[float]] = {
            name: [] for name in ("video_auc", "within_auc", "category_accuracy")
        }
        for folds, results in zip(self.folds, self.results, strict=True):
            logits = np.array([result.video_logit for result in results])
            probs = np.stack([result.category_probs for result in results])
            for fold in np.unique(folds):
                chosen = folds == fold
                if len(set(anomalous[chosen])) < 2:
                    continue
                found["video_auc"].append(roc_auc(anomalous[chosen], logits[chosen]))
                if within:
                    auc = auc_within(anomalous[chosen], logits[chosen], recordings[chosen])
                    found["within_auc"].append(auc)
                if probs.size:
                    accuracy = category_accuracy(probs[chosen], labels[chosen])
                    found["category_accuracy"].append(accuracy)
        return {name: np.array(values) for name, values in found.items() if values}


def has_both_kinds(anomalous: np.ndarray, recordings: np.ndarray) -> bool:
    """Whether at least half of the videos lie in recordings that have both kinds.

    Then videos are compared within recordings too. anomalous: [V] bool.
    """
    both = set(recordings[anomalous]) & set(recordings[~anomalous]) - {""}
    return 2 * np.isin(recordings, list(both)).sum() >= len(recordings)


def auc_within(anomalous: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    """Area under the ROC curve over the pairs of one group; nan without any. All [V].

    The group "" is none.
    """
    right = pairs = 0.0
    for group in np.unique(groups):
        if group == "":  # of no recording
            continue
        chosen = groups == group
        count = anomalous[chosen].sum() * (~anomalous[chosen]).sum()
        if count:
            right += count * roc_auc(anomalous[chosen], scores[chosen])
            pairs += count
    return float(right / pairs) if pairs else float("nan")


def out_of_fold(
    config: ConfigDict,
    info: BagsInfo,
    bags: list[Bag],
    recordings: Sequence[str],
    *,
    num_folds: int,
    num_repeats: int,
    num_steps: int,
    progress: Callable[[int], Any] = lambda done: None,
) -> OutOfFold:
    """Trains num_repeats x num_folds networks and scores every video once per repetition.

    Every repetition draws other folds and first parameters. A fold is scored at the number of
    segments of training.
    bags: as they are packaged; recordings: of the videos, see `recordings_of`; progress: called
    with the number of steps just done. Raises UserError as training does.
    """
    folds = np.stack(
        [
            make_folds(bags, recordings, num_folds, config.seed + number)
            for number in range(num_repeats)
        ]
    )
    run = Run(config, info, bags[0].features.shape[0])
    bags = run.inputs(bags)
    columns = run.columns()
    everything = resampled(training_bags(bags, config.data.num_segments, columns))
    trained = [own != fold for own in folds for fold in range(num_folds)]
    listed = dataclasses.replace(
        everything,
        normal=_lists(everything.normal[0], trained, config.seed),
        anomalous=_lists(everything.anomalous[0], trained, config.seed),
    )
    seeds = range(config.seed, config.seed + len(trained))
    optimizer = make_optimizer(OptimizerConfig.of(config), num_steps)
    states = fresh_states(run.model_config, optimizer, parameters_keys(seeds))
    states = standardized(states, listed, run.model_config)
    states = named(states, run)
    graphdef, _ = abstract(run.model_config)
    dispatch = Dispatch(config, seeds, run.model_config, listed.list_shape)
    dispatch.take(listed, num_steps)
    states = dispatch.place(states)
    for first in range(0, num_steps, MAX_STEPS_PER_DISPATCH):
        count = min(MAX_STEPS_PER_DISPATCH, num_steps - first)
        states, metrics = dispatch.run(states, first, count)
        failed = first_failure(metrics, first)
        if failed:
            _, step, term, value = failed
            raise NumericalError(
                f"step {step + 1}: {term} is {value}; lower config.optimizer.learning_rate"
            )
        progress(count)
    scorer = Scorer(graphdef, pooling=Pooling.of(config.loss))
    results: list[list[Any]] = [[None] * len(bags) for _ in folds]
    for number in range(len(trained)):
        repeat, fold = divmod(number, num_folds)
        left_out = np.flatnonzero(folds[repeat] == fold)
        found = scorer(
            unstack(states.params, number),
            [bags[index] for index in left_out],
            columns=columns,
            num_segments=config.data.num_segments,
        )
        for index, result in zip(left_out, found, strict=True):
            results[repeat][index] = result
    return OutOfFold(folds, results)


def _lists(videos: np.ndarray, trained: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """The videos of one kind that each network is trained on: [R x K, L].

    All networks take the same number of steps over lists of one length: a list that is shorter,
    because its fold has larger recordings, has some videos twice.
    """
    rng = np.random.default_rng([seed, 0x11575])
    lists = [videos[mask[videos]] for mask in trained]
    longest = max(map(len, lists))
    return np.stack([np.resize(rng.permutation(own), longest) for own in lists])
