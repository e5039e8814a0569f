"""Probes of a trained run: what becomes of its scores if one part is changed at test time.

Nothing is trained. A part that can be replaced without loss does nothing for the scores, whatever a
network trained without it would do.

V videos, T segments, C categories, H width, S seeds.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, traverse_util

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.evaluation.numbers import without_nan
from refinevad_jax.evaluation.run import has_mixture_loss
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import (
    Pooling,
    Scorer,
    VideoScores,
    batched_rows,
    pad_rows,
)
from refinevad_jax.metrics import names
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import RefineVAD, abstract
from refinevad_jax.runs.run import Run

AS_IS = "as it is"
NO_PROTOTYPES = "prototypes 0"
PERMUTED = "prototypes permuted"
TRUE_CATEGORY = "true category given to anomalous videos"
WRONG_CATEGORY = "a wrong category given to every video"
ONLY_CATEGORY = "the only category given to every video"
HALF_GATE, SHUT_GATE = "gate r = 0.5", "gate r = 0"
MEAN_CONTEXT = "CORE's context the same for all"
RAW = "no smoothing, no centring"
PLACES = 200  # of a video, at which targets of L_GMM are averaged
DRAWS = 3  # of what is random in a probe; its numbers are their means
# How far logits go: of all segments, and the mean logits of videos by label.
MOVED, NORMAL, ANOMALOUS = "moved", "normal", "anomalous"
PROTOTYPES, GATE = ("core", "prototypes"), ("motar", "gate", "w3")
ATTENTION = ("core", "cross_attention", "output")
Params = Any  # a nested dict of arrays


@dataclasses.dataclass(frozen=True)
class Variant:
    """A network with one part changed, and what it is given.

    Attributes:
        params: of the network.
        config: its shape; smoothing and centring may be off.
        injected: [V, C] bool, the categories whose e_y is added to v.
    """

    params: Params
    config: ModelConfig
    injected: np.ndarray


@dataclasses.dataclass(frozen=True)
class SeedProbes:
    """What the probes of one seed give.

    Attributes:
        numbers: by probe, then by name: the metrics of `names.PROBES`; MOVED, the mean absolute
            change of a segment's logit over the deviation of all logits; NORMAL and ANOMALOUS, the
            mean change of a video's mean logit, over the videos of that label. None if not defined.
        attention: largest weight of the cross-attention times the number of its keys: 1 if uniform;
            None if no score reads it.
        inside: AUC inside videos of the target of L_GMM, of its mean over the anomalous videos,
            the same in every video, and of a bump in the middle; None for a run without that loss,
            or without truth.
    """

    numbers: dict[str, dict[str, float | None]]
    attention: float | None
    inside: tuple[float, float, float] | None


class Prober:
    """The videos of a split, and the compiled functions that all seeds of a run share."""

    def __init__(self, run: Run, info: BagsInfo, bags: list[Bag]) -> None:
        """bags: as they are packaged."""
        self._run, self._info, self._bags = run, info, run.inputs(bags)
        self._labels = np.stack([bag.labels for bag in bags])
        self._num_segments = run.config.eval.num_segments
        self._scorers: dict[ModelConfig, Scorer] = {}
        graphdef, _ = abstract(run.model_config)
        self._attention = jax.jit(
            lambda params, *batch: attention_sums(nnx.merge(graphdef, params), *batch)
        )

    def probes(self, params: Params) -> SeedProbes:
        """Of one seed."""
        config = self._run.model_config
        context, attention = np.zeros(0), None
        if not config.is_linear:
            context, attention = self._read_attention(params)
        numbers: dict[str, dict[str, float | None]] = {}
        own: ScoredSplit | None = None
        for name, draws in variants(params, config, self._labels, context).items():
            splits = [self._scored(variant) for variant in draws]
            own = own or splits[0]
            drawn = [compared(split, own) for split in splits]
            means = {key: float(np.mean([draw[key] for draw in drawn])) for key in drawn[0]}
            numbers[name] = without_nan(means)
        assert own is not None
        return SeedProbes(numbers, attention, mixture_inside(own))

    def _read_attention(self, params: Params) -> tuple[np.ndarray, float]:
        """Mean output [H] of the cross-attention, and its largest weight times the keys."""
        total: Any = 0.0
        for rows in batched_rows(self._bags, self._num_segments):
            batch = pad_rows(self._bags, rows, self._run.columns(), self._num_segments)
            total = total + np.asarray(self._attention(params, *batch), np.float64)
        *context, largest, count = total
        return np.array(context) / count, float(largest / count)

    def _scored(self, variant: Variant) -> ScoredSplit:
        if variant.config not in self._scorers:
            self._scorers[variant.config] = Scorer(
                abstract(variant.config)[0],
                pooling=Pooling.of(self._run.config.loss),
                with_mixture=has_mixture_loss(self._run),
            )
        results = self._scorers[variant.config](
            variant.params,
            self._bags,
            columns=self._run.columns(),
            num_segments=self._num_segments,
            injected=variant.injected,
        )
        return ScoredSplit(self._info, self._bags, results, self._num_segments > 0)


def attention_sums(model: RefineVAD, features: jax.Array, valid: jax.Array) -> jax.Array:
    """Sums over the contexts of a batch: one per video, or one per segment, as the network reads.

    features: [B, T, D]; valid: [B, T] bool. Returns [H + 2]: the context, the largest weight of the
    cross-attention times the number of keys (mean over heads), and how many contexts there are.
    """
    outputs = model(features.astype(jnp.float32), valid)
    assert model.core is not None and outputs.core is not None
    asked = model.core.attended(outputs.features, outputs.features, valid, outputs.core)
    context = model.core.cross_attention(*asked)
    weights = model.core.cross_attention.weights(*asked)
    largest = weights.max(axis=-1).mean(axis=1) * asked[2].sum(axis=-1)[:, None]
    counted = valid if context.shape[1] == valid.shape[1] else valid.any(axis=1, keepdims=True)
    each = jnp.concatenate([context, largest[..., None], jnp.ones_like(largest)[..., None]], -1)
    return jnp.sum(jnp.where(counted[..., None], each, 0.0), axis=(0, 1))


def variants(
    params: Params, config: ModelConfig, labels: np.ndarray, context: np.ndarray
) -> dict[str, list[Variant]]:
    """The probes of a network by name, each with its draws; the first is the network as it is.

    With a linear scorer no part reaches a score, and none is probed.
    labels: [V, C] bool; context: [H], the mean output of the cross-attention.
    """
    own = Variant(params, config, np.zeros_like(labels))
    found = {AS_IS: [own]}
    if not config.is_linear:
        found |= _of_parts(own, labels, context)
    if config.score_smoothing or config.score_centering:
        raw = dataclasses.replace(config, score_smoothing=0.0, score_centering=0.0)
        found[RAW] = [dataclasses.replace(own, config=raw)]
    return found


def _of_parts(own: Variant, labels: np.ndarray, context: np.ndarray) -> dict[str, list[Variant]]:
    """The probes of prototypes, categories, gate and context."""
    params, config = own.params, own.config
    flat = traverse_util.flatten_dict(params)

    def put(leaves: Mapping[tuple[str, ...], Any]) -> Variant:
        arrays = {path: jnp.asarray(value, flat[path].dtype) for path, value in leaves.items()}
        return dataclasses.replace(own, params=traverse_util.unflatten_dict(flat | arrays))

    def constant(layer: tuple[str, ...], output: Any) -> Variant:
        kernel, bias = (*layer, "kernel"), (*layer, "bias")
        return put({kernel: 0 * flat[kernel], bias: 0 * flat[bias] + output})

    def given(injected: np.ndarray) -> Variant:
        return dataclasses.replace(own, injected=injected)

    prototypes = np.asarray(flat[PROTOTYPES])
    rngs = [np.random.default_rng(draw) for draw in range(DRAWS)]
    found = {NO_PROTOTYPES: [put({PROTOTYPES: 0 * prototypes})]}
    several = labels.shape[1] > 1
    if several and config.category_names == "learned":
        orders = [cycle(len(prototypes), rng) for rng in rngs]
        found[PERMUTED] = [put({PROTOTYPES: prototypes[order]}) for order in orders]
    found[TRUE_CATEGORY] = [given(labels)]
    if several:
        found[WRONG_CATEGORY] = [given(wrong_categories(labels, rng)) for rng in rngs]
    else:
        found[ONLY_CATEGORY] = [given(np.ones_like(labels))]
    if config.shift in ("adaptive", "dead"):
        found[HALF_GATE] = [constant(GATE, 0.0)]
        found[SHUT_GATE] = [constant(GATE, -1e9)]
    found[MEAN_CONTEXT] = [constant(ATTENTION, context)]
    return found


def cycle(count: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation [count] that leaves nothing in its place: one cycle through all."""
    order, found = rng.permutation(count), np.empty(count, np.int64)
    found[order] = np.roll(order, 1)
    return found


def wrong_categories(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One random category per video that its label does not name, or any if it names all.

    labels: [V, C] bool, all False for a normal video. Returns [V, C] bool.
    """
    chosen = np.where(labels, -1.0, rng.random(labels.shape)).argmax(axis=1)
    return np.eye(labels.shape[1], dtype=bool)[chosen]


def compared(split: ScoredSplit, own: ScoredSplit) -> dict[str, float]:
    """The numbers of `SeedProbes` for a probe. own: the same videos, scored as the run does."""
    before, after = _logits(own.results), _logits(split.results)
    joined = np.concatenate(before)
    moved = np.abs(np.concatenate(after) - joined).mean() / max(joined.std(), 1e-12)
    shift = np.array([b.mean() - a.mean() for a, b in zip(before, after, strict=True)])
    anomalous = own.arrays.anomalous
    return {
        **names.measured(split.arrays, names.PROBES),
        MOVED: float(moved),
        NORMAL: _mean(shift[~anomalous]),
        ANOMALOUS: _mean(shift[anomalous]),
    }


def mixture_inside(split: ScoredSplit) -> tuple[float, float, float] | None:
    """`SeedProbes.inside` of a scored split.

    What the target says of a video, and not of place, is what it gains over its mean.
    """
    targets = [r.mixture_target for r in split.results if r.mixture_target is not None]
    anomalous = [targets[i] for i in np.flatnonzero(split.arrays.anomalous) if targets]
    if not (split.known and anomalous):
        return None
    common = np.linspace(0, 1, PLACES)
    mean = np.mean([np.interp(common, _places(target), target) for target in anomalous], axis=0)

    def auc_inside(values: Sequence[np.ndarray]) -> float:
        scores = np.concatenate([split.on_frames(i, values[i]) for i in split.known])
        return names.of_other_scores(split.arrays, scores)["single_video_auc"]

    own = auc_inside(targets)
    same = auc_inside([np.interp(_places(target), common, mean) for target in targets])
    middle = names.position_only(split.arrays)["single_video_auc"]
    return None if np.isnan(middle) else (own, same, middle)


def _places(target: np.ndarray) -> np.ndarray:
    """[T] segment centres, as shares of the video."""
    return (np.arange(len(target)) + 0.5) / len(target)


def _logits(results: Sequence[VideoScores]) -> list[np.ndarray]:
    return [np.asarray(result.logits, np.float64) for result in results]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
