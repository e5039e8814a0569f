"""The RefineVAD network: MoTAR says when, CORE says what, the scorer reads both.

Paper: RefineVAD (AAAI 2026), with the decisions of docs/method.md on what it leaves open. Axis
letters: B videos, T segments, D feature channels, H model width, C anomaly categories.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from refinevad_jax.model import first_values
from refinevad_jax.model.core import Core, CoreOutputs
from refinevad_jax.model.fast import LayerNorm
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.motar import Motar
from refinevad_jax.model.scorer import (
    LinearScorer,
    Scorer,
    center_anomalous,
    exponential_smoothing,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a forward pass gives; jit drops what is unused.

    Attributes:
        logits: [B, T] of the anomaly score.
        scores: [B, T] = sigmoid(logits), 0 on padding.
        features: [B, T, H] of MoTAR.
        shift_ratio: [B, T] r_t; 0 without a shift.
        shift_count: [B, T] s_t, channels shifted each way.
        core: what CORE says of categories; None for a network without it.
        raw_logits: [B, T] of the scorer alone, before smoothing and centring, which streams do in
            their causal form.
    """

    logits: jax.Array
    scores: jax.Array
    features: jax.Array
    shift_ratio: jax.Array
    shift_count: jax.Array
    core: CoreOutputs | None
    raw_logits: jax.Array

    def readout(self) -> dict[str, jax.Array]:
        """What evaluation and exported models give: [B, T] per segment and, with CORE, [B, C]."""
        found = {"logits": self.logits, "scores": self.scores, "shift_ratio": self.shift_ratio}
        if self.core is not None:
            found["category_probs"] = self.core.category_probs
            found["category_weights"] = self.core.category_weights
        return found


# Standardised components beyond it are outliers.
LARGEST = 10.0


class RefineVAD(nnx.Module):
    """Feature bags to anomaly scores and categories."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        widths = config.modality_widths
        self.modality_norm: ModalityNorm | TrainingNorm | DifferenceNorm
        if config.normalization == "training":
            self.modality_norm = TrainingNorm(widths)
        elif config.normalization == "video":
            self.modality_norm = VideoNorm(widths)
        elif config.normalization == "recording":
            self.modality_norm = DifferenceNorm(widths)
        else:
            self.modality_norm = ModalityNorm(widths, rngs=rngs)
        self.motar = Motar(config, rngs=rngs)
        self.core = Core(config, rngs=rngs) if config.has_core else None
        num_inputs = 2 * config.width if config.has_core else config.width
        self.scorer: Scorer | LinearScorer = (
            Scorer(num_inputs, config.scorer_width, config.dropout, rngs=rngs)
            if config.scorer_width
            else LinearScorer(config.num_channels, rngs=rngs)
        )

    def __call__(
        self,
        features: jax.Array,
        valid: jax.Array,
        *,
        injected_labels: jax.Array | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> Outputs:
        """Scores a batch of bags.

        features: [B, T, D]; valid: [B, T] bool, True on a run from the first segment on;
        injected_labels: [B, C] bool, in training only: their prototypes are added to v;
        rngs: keys of dropout in training, None to score.
        """
        normed = jnp.where(valid[..., None], self.modality_norm(features, valid), 0.0)
        segments, ratio, count = self.motar(normed, valid, rngs)
        core = None
        if self.core is not None:
            core = self.core(normed, segments, valid, injected_labels)

        def score(rows: jax.Array, rngs: nnx.Rngs | None) -> jax.Array:
            if isinstance(self.scorer, LinearScorer):
                return self.scorer(rows)
            if self.core is not None and core is not None:
                context = self.core.inject(rows, segments, valid, core)
                rows = jnp.concatenate([rows, context], axis=-1)
            return self.scorer(rows, rngs)

        logits = raw_logits = score(segments if self.config.scorer_width else normed, rngs)
        if self.config.score_smoothing:
            beyond = score(self._without_evidence(features, valid), None)[:, 0]
            share = self.config.score_smoothing
            logits = exponential_smoothing(logits, valid, share=share, beyond=beyond)
        if self.config.score_centering:
            logits = center_anomalous(logits, valid, share=self.config.score_centering)
        return Outputs(
            logits=logits,
            scores=jnp.where(valid, jax.nn.sigmoid(logits), 0.0),
            features=segments,
            shift_ratio=ratio,
            shift_count=count,
            core=core,
            raw_logits=raw_logits,
        )

    def _without_evidence(self, features: jax.Array, valid: jax.Array) -> jax.Array:
        """[B, 1, H or D]: a segment whose features [D] are 0, as the scorer sees it."""
        empty = self.modality_norm(jnp.zeros_like(features[:, :1]), valid[:, :1])
        if not self.config.scorer_width:
            return empty
        return self.motar.encoder(empty, jnp.ones(empty.shape[:2], bool), None)


class ModalityNorm(nnx.Module):
    """L2-normalises each modality and gives it its own LayerNorm.

    Otherwise the modality with the larger norm dominates the variance that MoTAR looks at.
    """

    def __init__(self, widths: tuple[int, ...], *, rngs: nnx.Rngs) -> None:
        self.widths = widths
        self.norms = nnx.Dict(
            {f"modality_{i}": LayerNorm(width, rngs=rngs) for i, width in enumerate(widths)}
        )

    def __call__(self, features: jax.Array, valid: jax.Array) -> jax.Array:
        """features: [B, T, D]. Returns [B, T, D], finite for a segment without evidence (all 0)."""
        del valid  # each segment by itself
        ends = [sum(self.widths[: i + 1]) for i in range(len(self.widths))]
        parts = jnp.split(features, ends[:-1], axis=-1)
        normed = [
            norm(part / jnp.maximum(jnp.linalg.norm(part, axis=-1, keepdims=True), 1e-6))
            for norm, part in zip(self.norms.values(), parts, strict=True)
        ]
        return jnp.concatenate(normed, axis=-1)


class TrainingNorm(nnx.Module):
    """(x - mean) / deviation of each channel over the training segments (training/normalization).

    Both are kept with the parameters and not learned. Components are clipped to [-10, 10].
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        self.widths = widths
        self.mean = nnx.Param(np.zeros(sum(widths), np.float32))
        self.deviation = nnx.Param(np.ones(sum(widths), np.float32))

    def __call__(self, features: jax.Array, valid: jax.Array) -> jax.Array:
        """features: [B, T, D]. Returns [B, T, D], 0 where a modality is without evidence."""
        del valid  # each segment by itself
        mean = jax.lax.stop_gradient(self.mean[...])
        deviation = jax.lax.stop_gradient(self.deviation[...])
        scaled = jnp.clip((features - mean) / deviation, -LARGEST, LARGEST)
        return jnp.where(has_evidence(features, self.widths), scaled, 0.0)


class DifferenceNorm(nnx.Module):
    """Differences from a median, / deviation of each channel.

    The features are such differences already, from the median of their recording
    (data/recordings.py), and 0 without evidence. The deviation is their root mean square over the
    training segments (training/normalization), kept with the parameters and not learned. Components
    are clipped to [-10, 10].
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        self.widths = widths
        self.deviation = nnx.Param(np.ones(sum(widths), np.float32))

    def __call__(self, features: jax.Array, valid: jax.Array) -> jax.Array:
        """features: [B, T, D]. Returns [B, T, D], 0 without evidence."""
        del valid  # each segment by itself
        scaled = features / jax.lax.stop_gradient(self.deviation[...])
        return jnp.clip(scaled, -LARGEST, LARGEST)


class VideoNorm(DifferenceNorm):
    """(x - median of the video) / deviation of each channel: what differs from the rest of a video.

    The median is over the valid segments that have evidence of the modality, of those that the
    network is given: in a stream, of its window. A video of one segment is 0.
    """

    def __call__(self, features: jax.Array, valid: jax.Array) -> jax.Array:
        """features: [B, T, D]; valid: [B, T] bool. Returns [B, T, D], 0 without evidence."""
        known = has_evidence(features, self.widths) & valid[..., None]
        difference = features - median_over_time(features, known)
        return super().__call__(jnp.where(known, difference, 0.0), valid)


# Halvings of a channel's range: what is left is 2^-24 of it, float32's resolution at its ends.
HALVINGS = 24


def median_over_time(values: jax.Array, known: jax.Array) -> jax.Array:
    """The median over T of what is known: values, known [B, T, D]. Returns [B, 1, D], 0 if nothing.

    The mean of the two middle values if their number is even. By halving an interval, which on
    processors takes a tenth of the time of sorting.
    """
    half = known.sum(axis=1, keepdims=True) / 2
    highest = jnp.max(jnp.where(known, values, -jnp.inf), axis=1, keepdims=True)
    values = jnp.where(known, values, jnp.inf)  # what is unknown is above all
    lowest = jnp.min(values, axis=1, keepdims=True)

    def number_up_to(bound: jax.Array) -> jax.Array:
        return jnp.where(values <= bound, 1, 0).sum(axis=1, keepdims=True)

    def halve(_: int, interval: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = interval
        middle = low + (high - low) / 2
        is_above = number_up_to(middle) < half
        return jnp.where(is_above, middle, low), jnp.where(is_above, high, middle)

    _, bound = jax.lax.fori_loop(0, HALVINGS, halve, (lowest, highest))
    lower = jnp.max(jnp.where(values <= bound, values, -jnp.inf), axis=1, keepdims=True)
    above = jnp.min(jnp.where(values > lower, values, jnp.inf), axis=1, keepdims=True)
    upper = jnp.where(number_up_to(lower) > half, lower, above)
    return jnp.where(half > 0, lower + (upper - lower) / 2, 0.0)


def has_evidence(features: jax.Array, widths: tuple[int, ...]) -> jax.Array:
    """Whether each channel's modality has a value that is not 0. [B, T, D] -> [B, T, D] bool."""
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]
    parts = jnp.split(features, ends[:-1], axis=-1)
    return jnp.concatenate(
        [jnp.broadcast_to((part != 0).any(-1, keepdims=True), part.shape) for part in parts], -1
    )


def create(config: ModelConfig, key: jax.Array) -> tuple[nnx.GraphDef[RefineVAD], Any]:
    """A new network, taken apart: its graph, and its parameters as a nested dict of arrays.

    `nnx.merge(graphdef, params)` puts it together again, inside jit too. key: of all that is drawn.
    """
    graphdef, _ = abstract(config)
    values = first_parameters(config, np.asarray(jax.random.key_data(key))[None])
    return graphdef, jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), values)


def first_parameters(config: ModelConfig, keys: np.ndarray) -> Any:
    """The parameters [S, ...] of S new networks, on the host. keys: [S, 2], their key_data."""
    return first_values.drawn(_plan(config)[1], keys)


@functools.cache
def abstract(config: ModelConfig) -> tuple[nnx.GraphDef[RefineVAD], Any]:
    """The network's graph, and the shapes of its parameters, without computing any."""
    graphdef, plan = _plan(config)
    return graphdef, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), plan)


@functools.cache
def _plan(config: ModelConfig) -> tuple[nnx.GraphDef[RefineVAD], Any]:
    """The network's graph, and its parameters with `first_values.Draw` for those to draw."""
    graphdef, state = nnx.split(RefineVAD(config, rngs=first_values.Numbers()))
    return graphdef, nnx.to_pure_dict(state)
