"""The RefineVAD network: MoTAR says when, CORE says what, the scorer reads both.

Paper: RefineVAD (AAAI 2026), with the decisions of docs/method.md where it is silent. Axis
letters: B videos, T segments, D feature channels, H model width, C anomaly categories.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from refinevad_jax.model import core, motar
from refinevad_jax.model.normalization import LayerNorm, ModalityNorm
from refinevad_jax.model.scorer import Scorer, center_anomalous, exponential_smoothing
from refinevad_jax.model.temporal_encoder import Attention, TemporalEncoder


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the network's shape; refinevad_jax/config.py gives the reasons."""

    modality_widths: tuple[int, ...]
    num_categories: int
    width: int = 512
    num_layers: int = 2
    num_heads: int = 4
    mlp_width: int = 1024
    dropout: float = 0.1
    shift: str = "adaptive"
    folding: int = 4
    injection: str = "soft"
    tau: float = 1.0
    attention_query: str = "video"
    scorer_width: int = 128
    positions: str = "sinusoidal"
    segment_categories: bool = False
    category_input: str = "encoder"
    score_smoothing: float = 0.0
    score_centering: float = 0.0
    dilations: tuple[int, ...] = ()
    feature_noise: float = 0.0

    @property
    def num_channels(self) -> int:
        """D."""
        return sum(self.modality_widths)


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
        coarse_attention: [B, T], sums to 1 over the valid segments.
        video_vector: [B, H].
        category_logits: [B, C, 2], (normal, anomalous).
        category_probs: [B, C] p_c.
        category_weights: [B, C] w_c, without the label's.
        segment_category_logits: [B, T, C] z_tc, anomalous less normal, 0 on padding; without
            segment_categories all 0.
        category_feature: [B, H] v, with e_y where labels were given.
        mixture_mean: [B, C] mu_c, fraction of the video.
        mixture_sigma: [B, C] sigma_c, fraction of the video.

    Without injection the fields from coarse_attention on are zeros.
    """

    logits: jax.Array
    scores: jax.Array
    features: jax.Array
    shift_ratio: jax.Array
    shift_count: jax.Array
    coarse_attention: jax.Array
    video_vector: jax.Array
    category_logits: jax.Array
    category_probs: jax.Array
    category_weights: jax.Array
    segment_category_logits: jax.Array
    category_feature: jax.Array
    mixture_mean: jax.Array
    mixture_sigma: jax.Array

    @property
    def segment_category_probs(self) -> jax.Array:
        """[B, T, C] = p_c sigmoid(z_tc), what segment t says of category c."""
        return self.category_probs[:, None] * jax.nn.sigmoid(self.segment_category_logits)


class RefineVAD(nnx.Module):
    """Feature bags to anomaly scores and categories."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        width, num_categories = config.width, config.num_categories
        self.config = config
        self.modality_norm = ModalityNorm(config.modality_widths, rngs=rngs)
        if config.shift in ("adaptive", "dead"):
            self.gate = motar.ShiftGate(rngs=rngs)
        self.encoder = TemporalEncoder(
            config.num_channels,
            width,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            mlp_width=config.mlp_width,
            dropout=config.dropout,
            positions=config.positions,
            dilations=config.dilations,
            rngs=rngs,
        )
        if config.injection != "none":
            separate = config.category_input == "features"
            if separate:
                self.category_input = core.CategoryInput(config.num_channels, width, rngs=rngs)
            self.category_head = core.CategoryHead(
                width, num_categories, maximum=separate, rngs=rngs
            )
            self.prototypes = nnx.Param(
                jax.random.normal(rngs.params(), (num_categories, width)) / jnp.sqrt(width)
            )
            self.mixture_head = core.MixtureHead(width, rngs=rngs)
            self.cross_attention = Attention(width, config.num_heads, rngs=rngs)
            self.context_norm = LayerNorm(width, rngs=rngs)
        num_inputs = width if config.injection == "none" else 2 * width
        self.scorer = Scorer(num_inputs, config.scorer_width, config.dropout, rngs=rngs)

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
        rngs: dropout keys in training, None to score.
        """
        normed = jnp.where(valid[..., None], self.modality_norm(features), 0.0)
        x, ratio = self.shift(normed, valid)
        if self.config.feature_noise and rngs is not None:
            x += self.config.feature_noise * jax.random.normal(rngs.dropout(), x.shape, x.dtype)
        x = self.encoder(x, valid, rngs)
        if self.config.injection == "none":
            parts, keys = self._no_categories(x), None
        else:
            separate = self.config.category_input == "features"
            read = self.category_input(normed) if separate else x
            parts, keys = self._categories(read, valid, injected_labels)

        def score(segments: jax.Array, rngs: nnx.Rngs | None) -> jax.Array:
            if keys is None:
                return self.scorer(segments, rngs)
            context = self.inject(segments, x, valid, parts["category_feature"], keys)
            return self.scorer(jnp.concatenate([segments, context], axis=-1), rngs)

        logits = score(x, rngs)
        if self.config.score_smoothing:
            beyond = score(self._without_evidence(features), None)[:, 0]
            logits = exponential_smoothing(
                logits, valid, share=self.config.score_smoothing, beyond=beyond
            )
        if self.config.score_centering:
            logits = center_anomalous(logits, valid, share=self.config.score_centering)
        count = motar.shift_count(ratio, self.config.num_channels, self.config.folding)
        return Outputs(
            logits=logits,
            scores=jnp.where(valid, jax.nn.sigmoid(logits), 0.0),
            features=x,
            shift_ratio=ratio,
            shift_count=count,
            **parts,
        )

    def shift(self, x: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
        """MoTAR steps 1 to 4, of normalised features [B, T, D], 0 on padding.

        Returns the shifted features [B, T, D] and the ratio r [B, T].
        """
        if self.config.shift == "none":
            return x, jnp.zeros(valid.shape)
        if self.config.shift == "constant":
            ratio = jnp.where(valid, 0.5, 0.0)
        else:
            intensity = motar.motion_intensity(x, valid)
            ratio = jnp.where(valid, self.gate(motar.standardized_log(intensity, valid)), 0.0)
        live, folding = self.config.shift == "adaptive", self.config.folding
        return motar.shift_channels(x, valid, ratio, folding=folding, live=live), ratio

    def inject(
        self,
        segments: jax.Array,
        x: jax.Array,
        valid: jax.Array,
        category_feature: jax.Array,
        keys: jax.Array,
    ) -> jax.Array:
        """Cross-attention between the category feature and the segments, with residual and norm.

        segments: [B, Ts, H] to give a context; x: [B, T, H], all of the video; valid: [B, T];
        category_feature: v [B, H]; keys: weighted prototypes [B, C, H]. Reading "video": Q = v over
        all valid segments, one context vector for the video. Reading "segment": Q = x_t over the
        weighted prototypes. Returns [B, Ts, H].
        """
        if self.config.attention_query == "video":
            context = self.cross_attention(category_feature[:, None], x, valid)
        else:
            context = self.cross_attention(segments, keys, jnp.ones(keys.shape[:2], bool))
        return self.context_norm(segments + context)

    def _without_evidence(self, features: jax.Array) -> jax.Array:
        """[B, 1, H]: a segment whose features [D] are 0, as the encoder sees it."""
        empty = self.modality_norm(jnp.zeros_like(features[:, :1]))
        return self.encoder(empty, jnp.ones(empty.shape[:2], bool), None)

    def _categories(
        self, x: jax.Array, valid: jax.Array, injected_labels: jax.Array | None
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        attention, video_vector, logits = self.category_head(x, valid)
        probs = jax.nn.softmax(logits, axis=-1)[..., 1]
        if self.config.injection == "hard":
            weights = core.hard_weights(probs)
        else:
            weights = core.category_weights(probs, self.config.tau)
        prototypes = self.prototypes[...]
        mean, sigma = self.mixture_head(video_vector, weights[..., None] * prototypes)
        total = weights
        if injected_labels is not None:
            total = weights + core.label_weights(injected_labels)
        parts = {
            "coarse_attention": attention,
            "video_vector": video_vector,
            "category_logits": logits,
            "category_probs": probs,
            "category_weights": weights,
            "segment_category_logits": self._segment_categories(x, valid),
            "category_feature": total @ prototypes,
            "mixture_mean": mean,
            "mixture_sigma": sigma,
        }
        return parts, total[..., None] * prototypes

    def _segment_categories(self, x: jax.Array, valid: jax.Array) -> jax.Array:
        """[B, T, C]: the category head read at every valid segment of [B, T, H]."""
        if self.config.segment_categories:
            return jnp.where(valid[..., None], self.category_head.per_segment(x), 0.0)
        return jnp.zeros((*x.shape[:2], self.config.num_categories))

    def _no_categories(self, x: jax.Array) -> dict[str, jax.Array]:
        batch, length, width = x.shape
        per_category = jnp.zeros((batch, self.config.num_categories))
        return {
            "coarse_attention": jnp.zeros((batch, length)),
            "video_vector": jnp.zeros((batch, width)),
            "category_logits": jnp.zeros((*per_category.shape, 2)),
            "category_probs": per_category,
            "category_weights": per_category,
            "segment_category_logits": jnp.zeros((batch, length, per_category.shape[1])),
            "category_feature": jnp.zeros((batch, width)),
            "mixture_mean": per_category,
            "mixture_sigma": per_category,
        }


def create(config: ModelConfig, seed: int) -> tuple[nnx.GraphDef[RefineVAD], Any]:
    """A new network, taken apart: its graph, and its parameters as a nested dict of arrays.

    `nnx.merge(graphdef, params)` puts it together again, inside jit too.
    """
    graphdef, _ = abstract(config)
    return graphdef, _initializer(config)(jax.random.key(seed))


@functools.cache
def _initializer(config: ModelConfig) -> Callable[[jax.Array], Any]:
    return jax.jit(lambda key: nnx.to_pure_dict(nnx.state(RefineVAD(config, rngs=nnx.Rngs(key)))))


def abstract(config: ModelConfig) -> tuple[nnx.GraphDef[RefineVAD], Any]:
    """The network's graph, and the shapes of its parameters, without computing any."""
    shapes = nnx.eval_shape(lambda: RefineVAD(config, rngs=nnx.Rngs(0)))
    graphdef, state = nnx.split(shapes)
    return graphdef, nnx.to_pure_dict(state)
