"""The losses of RefineVAD: arrays with a mask in, a scalar out; an empty mask gives 0.

Paper: L = L_MIL + 0.1 L_GMM + 0.2 L_cat. TERMS is the one table of what is summed; training, its
log, the check for values that are not finite, and `replay` walk it. Axis letters: B videos,
T segments, C categories.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from refinevad_jax.model.refinevad import Outputs


def top_k_count(num_valid: jax.Array, divisor: int) -> jax.Array:
    """k = floor(T_valid / divisor) + 1, at most T_valid. num_valid: [B] int. Returns [B] int."""
    return jnp.minimum(num_valid // divisor + 1, num_valid)


def top_k_mean(scores: jax.Array, valid: jax.Array, *, k: jax.Array) -> jax.Array:
    """Averages the k highest valid scores of each video.

    scores: [B, T]; valid: [B, T] bool; k: [B] int. Returns [B], 0 if a video has no valid segment
    or k is 0.
    """
    ranked = -jnp.sort(-jnp.where(valid, scores, -jnp.inf), axis=-1)
    k = jnp.minimum(k, valid.sum(axis=-1))[:, None]
    chosen = jnp.arange(scores.shape[-1]) < k
    return jnp.sum(jnp.where(chosen, ranked, 0.0), axis=-1) / jnp.maximum(k[:, 0], 1)


def ranking_loss(
    video_scores: jax.Array, anomalous: jax.Array, present: jax.Array, *, margin: float = 1.0
) -> jax.Array:
    """MIL ranking: mean hinge(margin - a + n) over all anomalous x normal pairs of the batch.

    video_scores: [B]; anomalous: [B] bool; present: [B] bool, False for a video without any valid
    segment. Returns a scalar, 0 without pairs.
    """
    pairs = (anomalous & present)[:, None] & (~anomalous & present)[None, :]
    hinge = jax.nn.relu(margin - video_scores[:, None] + video_scores[None, :])
    return jnp.sum(hinge, where=pairs) / jnp.maximum(pairs.sum(), 1)


def bce_mil_loss(video_logits: jax.Array, anomalous: jax.Array, present: jax.Array) -> jax.Array:
    """MIL by binary cross-entropy on the top-k mean logit (UR-DMU, VadCLIP use the score's).

    video_logits: [B]; anomalous: [B] bool; present: [B] bool, False for a video without any valid
    segment. Returns a scalar.
    """
    return masked_mean(optax.sigmoid_binary_cross_entropy(video_logits, anomalous), present)


def segment_loss(
    logits: jax.Array, anomalous: jax.Array, valid: jax.Array, *, k: jax.Array
) -> jax.Array:
    """MIL by cross-entropy of segments: all of a normal video, the k highest of an anomalous one.

    As in multiple-instance logistic regression (benchmarks/linear_mil.py); every video counts the
    same. logits: [B, T]; anomalous: [B] bool; valid: [B, T] bool; k: [B] int. Returns a scalar.
    """
    count = valid.sum(axis=-1)
    highest = -top_k_mean(jax.nn.log_sigmoid(logits), valid, k=k)
    all_of_it = jnp.sum(jax.nn.softplus(logits), axis=-1, where=valid) / jnp.maximum(count, 1)
    return masked_mean(jnp.where(anomalous, highest, all_of_it), count > 0)


def category_loss(category_logits: jax.Array, labels: jax.Array, present: jax.Array) -> jax.Array:
    """L_cat: binary cross-entropy of p_c = softmax(z_c)[anomalous] to the multi-hot label.

    category_logits: [B, C, 2], (normal, anomalous); labels: [B, C] bool, all False for normal;
    present: [B] bool. Returns a scalar.
    """
    logits = category_logits[..., 1] - category_logits[..., 0]
    return masked_mean(optax.sigmoid_binary_cross_entropy(logits, labels), present[:, None])


def mixture_loss(scores: jax.Array, target: jax.Array, valid: jax.Array) -> jax.Array:
    """L_GMM: masked mean of (score - target)^2. scores, target, valid: [B, T]. Returns a scalar."""
    return masked_mean((scores - target) ** 2, valid)


def difference_loss(scores: jax.Array, valid: jax.Array) -> jax.Array:
    """The null control of L_GMM: mean squared difference of neighbours. [B, T] -> scalar."""
    pairs = valid[:, 1:] & valid[:, :-1]
    return masked_mean((scores[:, 1:] - scores[:, :-1]) ** 2, pairs)


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over the True entries of a mask that broadcasts to values; 0 if there are none."""
    mask = jnp.broadcast_to(mask, values.shape)
    return jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(mask.sum(), 1)


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The fields of config.loss: how the terms are computed, and their weights by key.

    `at` gives that of a step, in which `whole` says whether it is one of the first whole_steps.
    """

    mil: str
    margin: float
    top_k_divisor: int
    smoothing: str
    whole_steps: int
    weights: Mapping[str, float]
    whole: jax.Array | bool = False

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "LossConfig":
        """fields: config.loss, whose weights are the keys that end in _weight."""
        weights = {key: value for key, value in fields.items() if key.endswith("_weight")}
        return cls(weights=weights, **{key: fields[key] for key in fields.keys() - weights})

    def at(self, step: jax.Array) -> "LossConfig":
        """That of a step, counted from 0; step: int scalar, may be traced."""
        return (
            dataclasses.replace(self, whole=step < self.whole_steps) if self.whole_steps else self
        )


@dataclasses.dataclass(frozen=True)
class Term:
    """A summand of the loss.

    Attributes:
        name: in the printed line, metrics.jsonl and errors.
        function: (outputs, labels [B, C] bool, valid [B, T] bool, config) to a scalar, or to None
            if the network lacks what the term reads.
        weight: a key of config.loss, or a number.
    """

    name: str
    function: Callable[[Outputs, jax.Array, jax.Array, LossConfig], jax.Array | None]
    weight: str | float

    def weight_in(self, config: LossConfig) -> float:
        """What the term is multiplied with."""
        return config.weights[self.weight] if isinstance(self.weight, str) else self.weight


def mil_term(
    outputs: Outputs, labels: jax.Array, valid: jax.Array, config: LossConfig
) -> jax.Array:
    """L_MIL: pooled segments of each video against its label, as config.mil says."""
    anomalous, present = labels.any(axis=-1), valid.any(axis=-1)
    if config.mil == "segments":
        count = valid.sum(axis=-1)
        k = jnp.where(config.whole, count, top_k_count(count, config.top_k_divisor))
        return segment_loss(outputs.logits, anomalous, valid, k=k)
    videos = _pooled(outputs, valid, config)
    if config.mil == "ranking":
        return ranking_loss(videos, anomalous, present, margin=config.margin)
    return bce_mil_loss(videos, anomalous, present)


def video_scores(outputs: Outputs, valid: jax.Array, config: LossConfig) -> jax.Array:
    """[B] scores of videos, as `evaluation.scoring.Pooling` makes them. valid: [B, T] bool."""
    videos = _pooled(outputs, valid, config)
    return videos if config.mil == "ranking" else jax.nn.sigmoid(videos)


def _pooled(outputs: Outputs, valid: jax.Array, config: LossConfig) -> jax.Array:
    """[B]: pooled scores for the ranking loss, pooled logits for cross-entropy."""
    segments = outputs.scores if config.mil == "ranking" else outputs.logits
    k = top_k_count(valid.sum(axis=-1), config.top_k_divisor)
    return top_k_mean(segments, valid, k=k)


def smoothing_term(
    outputs: Outputs, labels: jax.Array, valid: jax.Array, config: LossConfig
) -> jax.Array | None:
    """L_GMM, which needs CORE, or its null control."""
    del labels
    if config.smoothing == "difference":
        return difference_loss(outputs.scores, valid)
    if outputs.core is None:
        return None
    target = outputs.core.mixture_target(valid)
    return mixture_loss(outputs.scores, target, valid)


def category_term(
    outputs: Outputs, labels: jax.Array, valid: jax.Array, config: LossConfig
) -> jax.Array | None:
    """L_cat, which needs CORE."""
    del config
    if outputs.core is None:
        return None
    return category_loss(outputs.core.category_logits, labels, valid.any(axis=-1))


TERMS = (
    Term("mil", mil_term, 1.0),
    Term("smoothing", smoothing_term, "smoothing_weight"),
    Term("category", category_term, "category_weight"),
)


def loss_terms(
    outputs: Outputs, labels: jax.Array, valid: jax.Array, config: LossConfig
) -> dict[str, jax.Array]:
    """The unweighted terms by name, scalars; a term of weight 0 is neither computed nor there.

    labels: [B, C] bool; valid: [B, T] bool.
    """
    active = (term for term in TERMS if term.weight_in(config))
    found = {term.name: term.function(outputs, labels, valid, config) for term in active}
    return {name: value for name, value in found.items() if value is not None}


def term_names(metrics: Mapping[str, Any]) -> list[str]:
    """The terms that metrics of a step hold, in the order of the table."""
    return [term.name for term in TERMS if term.name in metrics]


def total_loss(terms: Mapping[str, jax.Array], config: LossConfig) -> jax.Array:
    """The weighted sum of loss_terms."""
    total = jnp.zeros(())
    for term in TERMS:
        if term.name in terms:
            total += term.weight_in(config) * terms[term.name]
    return total
