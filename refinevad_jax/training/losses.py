"""The three losses of RefineVAD. Arrays with a mask in, a scalar out; an empty mask gives 0.

Paper: L = L_MIL + 0.1 L_GMM + 0.2 L_cat. Axis letters: B videos, T segments, C categories.
"""

import jax
import jax.numpy as jnp

# Of softmax pooling: 0.15 to 1 are level on UCF-Crime's text bags.
POOLING_TEMPERATURE = 0.5


def top_k_count(num_valid: jax.Array, divisor: int) -> jax.Array:
    """k = floor(T_valid / divisor) + 1, at most T_valid. num_valid: [B] int. Returns [B] int."""
    return jnp.minimum(num_valid // divisor + 1, num_valid)


def top_k_mean(scores: jax.Array, valid: jax.Array, *, k: jax.Array) -> jax.Array:
    """Averages the k highest valid scores of each video.

    scores: [B, T]; valid: [B, T] bool; k: [B] int. Returns [B], 0 where a video has no valid
    segment or k is 0.
    """
    ranked = -jnp.sort(-jnp.where(valid, scores, -jnp.inf), axis=-1)
    k = jnp.minimum(k, valid.sum(axis=-1))[:, None]
    chosen = jnp.arange(scores.shape[-1]) < k
    return jnp.sum(jnp.where(chosen, ranked, 0.0), axis=-1) / jnp.maximum(k[:, 0], 1)


def softmax_mean(values: jax.Array, logits: jax.Array, valid: jax.Array) -> jax.Array:
    """Averages the values of a video with weights softmax over its segments of logit / 0.5.

    Every segment gets a gradient, where a hard choice of k trains only what was chosen.
    values, logits: [B, T]; valid: [B, T] bool. Returns [B], 0 where no segment is valid.
    """
    sharp = jnp.asarray(logits, jnp.float32) / POOLING_TEMPERATURE
    sharp = jnp.where(valid, sharp, jnp.finfo(sharp.dtype).min)
    weights = jnp.where(valid, jax.nn.softmax(sharp, axis=-1), 0.0)
    return jnp.sum(weights * jnp.where(valid, values, 0.0), axis=-1)


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
    return masked_mean(binary_cross_entropy(video_logits, anomalous), present)


def binary_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """-y log sigmoid(l) - (1 - y) log sigmoid(-l), element by element."""
    targets = targets.astype(logits.dtype)
    return -targets * jax.nn.log_sigmoid(logits) - (1 - targets) * jax.nn.log_sigmoid(-logits)


def category_loss(category_logits: jax.Array, labels: jax.Array, present: jax.Array) -> jax.Array:
    """L_cat: binary cross-entropy of p_c = softmax(z_c)[anomalous] to the multi-hot label.

    category_logits: [B, C, 2], (normal, anomalous); labels: [B, C] bool, all False for normal;
    present: [B] bool. Returns a scalar.
    """
    logits = category_logits[..., 1] - category_logits[..., 0]
    return masked_mean(binary_cross_entropy(logits, labels), present[:, None])


def segment_category_loss(
    logits: jax.Array, labels: jax.Array, valid: jax.Array, present: jax.Array, *, k: jax.Array
) -> jax.Array:
    """MIL by category: binary cross-entropy of the mean of a category's top k segments.

    logits: [B, T, C]; labels: [B, C] bool; valid: [B, T] bool; present, k: [B]. Returns a scalar.
    """
    video_logits = jax.vmap(lambda column: top_k_mean(column, valid, k=k), -1, -1)(logits)
    return masked_mean(binary_cross_entropy(video_logits, labels), present[:, None])


def mixture_target(
    category_probs: jax.Array,
    category_weights: jax.Array,
    mean: jax.Array,
    sigma: jax.Array,
    valid: jax.Array,
) -> jax.Array:
    """clip(sum_c alpha_c G_c(t), 0, 1) with G_c a Gaussian over the video with peak 1.

    alpha_c = w_c p_c, rescaled so that max alpha = max p, without gradient. category_probs,
    category_weights, mean, sigma: [B, C]; valid: [B, T] bool. Returns [B, T].
    """
    alpha = category_weights * category_probs
    largest = jnp.maximum(alpha.max(axis=-1, keepdims=True), 1e-12)
    alpha = jax.lax.stop_gradient(alpha / largest * category_probs.max(axis=-1, keepdims=True))
    length = jnp.maximum(valid.sum(axis=-1), 1)
    time = (jnp.arange(valid.shape[1]) + 0.5) / length[:, None]
    distance = (time[:, :, None] - mean[:, None, :]) / sigma[:, None, :]
    return jnp.clip(jnp.einsum("btc,bc->bt", jnp.exp(-0.5 * distance**2), alpha), 0.0, 1.0)


def mixture_loss(scores: jax.Array, target: jax.Array, valid: jax.Array) -> jax.Array:
    """L_GMM: masked mean of (score - target)^2. scores, target, valid: [B, T]. Returns a scalar."""
    return masked_mean((scores - target) ** 2, valid)


def difference_loss(scores: jax.Array, valid: jax.Array) -> jax.Array:
    """The null control of L_GMM: mean squared difference of neighbours. [B, T] -> scalar."""
    pairs = valid[:, 1:] & valid[:, :-1]
    return masked_mean((scores[:, 1:] - scores[:, :-1]) ** 2, pairs)


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over the True entries of a mask that broadcasts to values; 0 when there are none."""
    mask = jnp.broadcast_to(mask, values.shape)
    return jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(mask.sum(), 1)
