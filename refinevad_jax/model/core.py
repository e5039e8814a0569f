"""CORE: soft categories, learnable prototypes, and their injection by cross-attention.

Paper: "Category-oriented refinement". Axis letters: B videos, T segments, H model width,
C anomaly categories. There is no normal category: a normal video has all p_c near 0.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from refinevad_jax.model import first_values
from refinevad_jax.model.fast import LayerNorm, Linear
from refinevad_jax.model.first_values import PlainLinear
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.temporal_encoder import Attention

# Standard deviation of a category's stretch of the video, as a fraction of its length.
MIN_SIGMA, MAX_SIGMA = 0.01, 0.5
# p_c before training, as of a rare class (Lin et al. 2017, focal loss): most videos are not of any
# one category. At 0.5 the target of L_GMM would begin near 1 on normal videos too.
FIRST_PROBABILITY = 0.01
NAME_WIDTH = 384  # channels of the sentence embedding of a name (encoders/text.py)


def category_weights(category_probs: jax.Array, tau: float) -> jax.Array:
    """w_c = softmax over c of p_c / tau. category_probs: [B, C]. Returns [B, C].

    With tau = 1 (the paper) no weight exceeds e / (e + C - 1): 0.185 for C = 13.
    """
    return jax.nn.softmax(category_probs / tau, axis=-1)


def hard_weights(category_probs: jax.Array) -> jax.Array:
    """One-hot of the most probable category, the ladder's hard injection. [B, C] -> [B, C]."""
    return jax.nn.one_hot(jnp.argmax(category_probs, axis=-1), category_probs.shape[-1])


def label_weights(labels: jax.Array) -> jax.Array:
    """Weights of e_y: the mean of the labelled prototypes, nothing for a normal video.

    labels: [B, C] bool. Returns [B, C] float32.
    """
    labels = labels.astype(jnp.float32)
    return labels / jnp.maximum(labels.sum(axis=-1, keepdims=True), 1.0)


def mixture_target(
    category_probs: jax.Array,
    category_weights: jax.Array,
    mean: jax.Array,
    sigma: jax.Array,
    valid: jax.Array,
) -> jax.Array:
    """sum_c alpha_c G_c(t) with G_c a Gaussian over the video with peak 1.

    alpha_c = w_c p_c, rescaled so that their sum is max p, without gradient: the target is never
    above max p, which is low on a normal video. category_probs, category_weights, mean, sigma:
    [B, C]; valid: [B, T] bool. Returns [B, T] in [0, 1].
    """
    alpha = category_weights * category_probs
    total = jnp.maximum(alpha.sum(axis=-1, keepdims=True), 1e-12)
    alpha = jax.lax.stop_gradient(alpha / total * category_probs.max(axis=-1, keepdims=True))
    length = jnp.maximum(valid.sum(axis=-1), 1)
    time = (jnp.arange(valid.shape[1]) + 0.5) / length[:, None]
    distance = (time[:, :, None] - mean[:, None, :]) / sigma[:, None, :]
    return jnp.einsum("btc,bc->bt", jnp.exp(-0.5 * distance**2), alpha)


class CategoryInput(nnx.Module):
    """A projection of the input features for the category head alone: [B, T, D] -> [B, T, H].

    The scorer learns in fewer steps than the categories, and its layers are worse for both.
    """

    def __init__(self, num_channels: int, width: int, *, rngs: nnx.Rngs) -> None:
        self.projection = Linear(num_channels, width, rngs=rngs)
        self.norm = LayerNorm(width, rngs=rngs)

    def __call__(self, features: jax.Array) -> jax.Array:
        """features: [B, T, D]. Returns [B, T, H]."""
        return jax.nn.gelu(self.norm(self.projection(features)))


def _first_logit(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
    """The logit of FIRST_PROBABILITY."""
    del key
    logit = math.log(FIRST_PROBABILITY) - math.log1p(-FIRST_PROBABILITY)
    return np.full(shape, logit, dtype)


def _first_bias(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
    """[2C], (normal, anomalous) of each category: softmax gives FIRST_PROBABILITY without input."""
    half = _first_logit(key, (shape[0] // 2,), dtype) / 2
    return np.stack([-half, half], axis=-1).reshape(shape)


class CategoryHead(nnx.Module):
    """Coarse score, video vector, and p_c = softmax(z_c)[anomalous].

    With maximum, the classifier also reads the largest value of each channel over the segments.
    """

    def __init__(
        self, width: int, num_categories: int, *, maximum: bool = False, rngs: nnx.Rngs
    ) -> None:
        self.maximum = maximum
        self.coarse_score = PlainLinear(width, 1, use_bias=False, rngs=rngs)
        num_inputs = 2 * width if maximum else width
        self.classifier = PlainLinear(
            num_inputs, 2 * num_categories, bias_init=_first_bias, rngs=rngs
        )

    def __call__(self, x: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """x: [B, T, H]; valid: [B, T] bool.

        Returns the coarse attention [B, T], the video vector [B, H], and z [B, C, 2] whose last
        axis is (normal, anomalous).
        """
        attention = jax.nn.softmax(self.coarse_score(x)[..., 0], where=valid)
        video_vector = jnp.einsum("bt,bth->bh", attention, x)
        pooled = video_vector
        if self.maximum:
            largest = jnp.where(valid[..., None], x, -jnp.inf).max(axis=1)
            largest = jnp.where(valid.any(axis=1)[:, None], largest, 0.0)
            pooled = jnp.concatenate([video_vector, largest], axis=-1)
        logits = self.classifier(pooled)
        return attention, video_vector, logits.reshape(x.shape[0], -1, 2)


def _into_names(widths: tuple[int, ...]) -> Callable[..., Any]:
    """First kernel [D, NAME_WIDTH]: the identity for modalities of that width, 0 for others."""
    parts = [np.eye(width, NAME_WIDTH) * (width == NAME_WIDTH) for width in widths]
    return lambda key, shape, dtype=jnp.float32: np.concatenate(parts).astype(dtype)


class NameHead(nnx.Module):
    """As `CategoryHead`, with z_c from the features and the name of c: any name has an output.

    The attended features are projected to the space of names. A modality as wide as names is taken
    for sentences of the same encoder: its projection starts as the identity, and p_c as how near
    the sentences are to the name.
    """

    def __init__(self, width: int, widths: tuple[int, ...], *, rngs: nnx.Rngs) -> None:
        self.coarse_score = PlainLinear(width, 1, use_bias=False, rngs=rngs)
        self.query = PlainLinear(
            sum(widths), NAME_WIDTH, use_bias=False, kernel_init=_into_names(widths), rngs=rngs
        )
        self.bias = nnx.Param(_first_logit(rngs.params(), (1,)))

    def __call__(
        self, x: jax.Array, features: jax.Array, names: jax.Array, valid: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """x: [B, T, H]; features: [B, T, D]; names: [C, NAME_WIDTH]; valid: [B, T] bool.

        Returns what CategoryHead does.
        """
        attention = jax.nn.softmax(self.coarse_score(x)[..., 0], where=valid)
        video_vector = jnp.einsum("bt,bth->bh", attention, x)
        query = self.query(jnp.einsum("bt,btd->bd", attention, features))
        logits = (query @ names.T + self.bias[...]) / 2
        return attention, video_vector, jnp.stack([-logits, logits], axis=-1)


class MixtureHead(nnx.Module):
    """Where in the video each category lies: mu_c and sigma_c from [video vector ; w_c e_c]."""

    def __init__(self, width: int, *, rngs: nnx.Rngs) -> None:
        self.hidden = PlainLinear(2 * width, 64, rngs=rngs)
        self.output = PlainLinear(64, 2, rngs=rngs)

    def __call__(
        self, video_vector: jax.Array, weighted_prototypes: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """video_vector: [B, H]; weighted_prototypes: [B, C, H].

        Returns mu [B, C] in (0, 1) and sigma [B, C] in (0.01, 0.5), fractions of the video.
        """
        shape = weighted_prototypes.shape
        video = jnp.broadcast_to(video_vector[:, None], shape)
        hidden = jax.nn.gelu(self.hidden(jnp.concatenate([video, weighted_prototypes], axis=-1)))
        location = jax.nn.sigmoid(self.output(hidden))
        return location[..., 0], MIN_SIGMA + (MAX_SIGMA - MIN_SIGMA) * location[..., 1]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CoreOutputs:
    """What CORE says of each video; jit drops what is unused.

    Attributes:
        coarse_attention: [B, T], sums to 1 over the valid segments.
        video_vector: [B, H].
        category_logits: [B, C, 2], (normal, anomalous).
        category_probs: [B, C] p_c.
        category_weights: [B, C] w_c, without the label's.
        mixture_mean: [B, C] mu_c, fraction of the video.
        mixture_sigma: [B, C] sigma_c, fraction of the video.
        weighted_prototypes: [B, C, H] w_c e_c, with the label's weights if labels were given.
        category_feature: [B, H] v, their sum over c.
    """

    coarse_attention: jax.Array
    video_vector: jax.Array
    category_logits: jax.Array
    category_probs: jax.Array
    category_weights: jax.Array
    mixture_mean: jax.Array
    mixture_sigma: jax.Array
    weighted_prototypes: jax.Array
    category_feature: jax.Array

    def mixture_target(self, valid: jax.Array) -> jax.Array:
        """`mixture_target` of these outputs: [B, T]. valid: [B, T] bool."""
        mean, sigma = self.mixture_mean, self.mixture_sigma
        return mixture_target(self.category_probs, self.category_weights, mean, sigma, valid)


class Core(nnx.Module):
    """What: soft categories of the video, their prototypes, and the context of a segment."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        width, num_categories = config.width, config.num_categories
        self.config = config
        separate = config.category_input == "features"
        if separate:
            self.category_input = CategoryInput(config.num_channels, width, rngs=rngs)
        self.category_head: CategoryHead | NameHead
        if config.has_names:
            self.category_head = NameHead(width, config.modality_widths, rngs=rngs)
            self.names = nnx.Param(np.zeros((num_categories, NAME_WIDTH), np.float32))
            num_rows = NAME_WIDTH
        else:
            self.category_head = CategoryHead(width, num_categories, maximum=separate, rngs=rngs)
            num_rows = num_categories
        self.prototypes = nnx.Param(first_values.directions(rngs.params(), (num_rows, width)))
        self.mixture_head = MixtureHead(width, rngs=rngs)
        self.cross_attention = Attention(width, config.num_heads, rngs=rngs)
        self.context_norm = LayerNorm(width, rngs=rngs)

    def __call__(
        self,
        normed: jax.Array,
        segments: jax.Array,
        valid: jax.Array,
        injected_labels: jax.Array | None,
    ) -> CoreOutputs:
        """normed: [B, T, D] features; segments: [B, T, H] of MoTAR; valid: [B, T] bool;
        injected_labels: [B, C] bool in training, whose prototypes are added to v, or None.
        """
        separate = self.config.category_input == "features"
        read = self.category_input(normed) if separate else segments
        if isinstance(self.category_head, NameHead):
            found = self.category_head(read, normed, self._names(), valid)
        else:
            found = self.category_head(read, valid)
        attention, video_vector, logits = found
        probs = jax.nn.softmax(logits, axis=-1)[..., 1]
        if self.config.injection == "hard":
            weights = hard_weights(probs)
        else:
            weights = category_weights(probs, self.config.tau)
        prototypes = self.embedded()
        mean, sigma = self.mixture_head(video_vector, weights[..., None] * prototypes)
        total = weights
        if injected_labels is not None:
            total = weights + label_weights(injected_labels)
        return CoreOutputs(
            coarse_attention=attention,
            video_vector=video_vector,
            category_logits=logits,
            category_probs=probs,
            category_weights=weights,
            mixture_mean=mean,
            mixture_sigma=sigma,
            weighted_prototypes=total[..., None] * prototypes,
            category_feature=total @ prototypes,
        )

    def embedded(self) -> jax.Array:
        """E, [C, H]: the learned prototypes, or the projections of the names."""
        prototypes = self.prototypes[...]
        return self._names() @ prototypes if self.config.has_names else prototypes

    def _names(self) -> jax.Array:
        """[C, NAME_WIDTH], kept with the parameters and not learned."""
        return jax.lax.stop_gradient(self.names[...])

    def inject(
        self, queries: jax.Array, segments: jax.Array, valid: jax.Array, found: CoreOutputs
    ) -> jax.Array:
        """Cross-attention between the categories and the segments, with residual and norm.

        queries: [B, Ts, H], segments to give a context; segments: [B, T, H], all of the video;
        valid: [B, T]. Returns [B, Ts, H].
        """
        asked = self.attended(queries, segments, valid, found)
        return self.context_norm(queries + self.cross_attention(*asked))

    def attended(
        self, queries: jax.Array, segments: jax.Array, valid: jax.Array, found: CoreOutputs
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What the cross-attention takes: queries, keys, and which keys count.

        Reading "video": Q = v [B, 1, H] over all valid segments [B, T, H], one context vector for
        the video. Reading "segment": Q = x_t [B, Ts, H] over the weighted prototypes [B, C, H].
        """
        if self.config.attention_query == "video":
            return found.category_feature[:, None], segments, valid
        keys = found.weighted_prototypes
        return queries, keys, jnp.ones(keys.shape[:2], bool)
