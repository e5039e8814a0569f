"""CORE: soft categories, learnable prototypes, and their injection by cross-attention.

Paper: "Category-oriented refinement". Axis letters: B videos, T segments, H model width,
C anomaly categories. There is no normal category: a normal video has all p_c near 0.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from refinevad_jax.model.linear import Linear
from refinevad_jax.model.normalization import LayerNorm

# Standard deviation of a category's stretch of the video, as a fraction of its length.
MIN_SIGMA, MAX_SIGMA = 0.01, 0.5


def masked_softmax(logits: jax.Array, valid: jax.Array) -> jax.Array:
    """Softmax over the valid entries of the last axis; all 0 where none is valid.

    logits, valid: [..., T]. Returns [..., T].
    """
    weights = jax.nn.softmax(jnp.where(valid, logits, jnp.finfo(logits.dtype).min), axis=-1)
    return jnp.where(valid, weights, 0.0)


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


class CategoryHead(nnx.Module):
    """Coarse score, video vector, and p_c = softmax(z_c)[anomalous].

    With maximum, the classifier also reads the largest value of each channel over the segments.
    """

    def __init__(
        self, width: int, num_categories: int, *, maximum: bool = False, rngs: nnx.Rngs
    ) -> None:
        self.maximum = maximum
        self.coarse_score = nnx.Linear(width, 1, use_bias=False, rngs=rngs)
        num_inputs = 2 * width if maximum else width
        self.classifier = nnx.Linear(num_inputs, 2 * num_categories, rngs=rngs)

    def __call__(self, x: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """x: [B, T, H]; valid: [B, T] bool.

        Returns the coarse attention [B, T], the video vector [B, H], and z [B, C, 2] whose last
        axis is (normal, anomalous).
        """
        attention = masked_softmax(self.coarse_score(x)[..., 0], valid)
        video_vector = jnp.einsum("bt,bth->bh", attention, x)
        pooled = video_vector
        if self.maximum:
            largest = jnp.where(valid[..., None], x, -jnp.inf).max(axis=1)
            largest = jnp.where(valid.any(axis=1)[:, None], largest, 0.0)
            pooled = jnp.concatenate([video_vector, largest], axis=-1)
        logits = self.classifier(pooled)
        return attention, video_vector, logits.reshape(x.shape[0], -1, 2)

    def per_segment(self, x: jax.Array) -> jax.Array:
        """z_tc, anomalous less normal, of every segment: [B, T, H] -> [B, T, C].

        The classifier is linear: without maximum, the video's logits are their mean under the
        coarse attention.
        """
        x = jnp.concatenate([x, x], axis=-1) if self.maximum else x
        logits = self.classifier(x).reshape(*x.shape[:2], -1, 2)
        return logits[..., 1] - logits[..., 0]


class MixtureHead(nnx.Module):
    """Where in the video each category lies: mu_c and sigma_c from [video vector ; w_c e_c]."""

    def __init__(self, width: int, *, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(2 * width, 64, rngs=rngs)
        self.output = nnx.Linear(64, 2, rngs=rngs)

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
