"""One training step, and many of them in one dispatch.

Everything random follows from (seed, step): the state holds no key. Axis letters: B videos,
T segments, D feature channels, C categories.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from ml_collections import ConfigDict

from refinevad_jax.data.batches import draw_batch
from refinevad_jax.model.precision import in_bfloat16
from refinevad_jax.model.refinevad import Outputs
from refinevad_jax.runs.checkpoints import TrainState
from refinevad_jax.runtime.compiler import compiler_options
from refinevad_jax.training import losses
from refinevad_jax.training.placement import SEED, Placement

Metrics = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The fields of config.loss, and what config.train says of a step."""

    mil: str
    margin: float
    pooling: str
    top_k_divisor: int
    smoothing: str
    smoothing_weight: float
    category_weight: float
    segment_category_weight: float
    label_injection_rate: float
    precision: str = "float32"

    @classmethod
    def of(cls, config: ConfigDict) -> "LossConfig":
        """That of a run's configuration."""
        return cls(
            label_injection_rate=config.train.label_injection_rate,
            precision=config.train.precision,
            **config.loss.to_dict(),
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """features [B, T, D], valid [B, T] bool, labels [B, C] bool."""

    features: jax.Array
    valid: jax.Array
    labels: jax.Array


def loss_terms(outputs: Outputs, batch: Batch, config: LossConfig) -> Metrics:
    """The unweighted terms of the loss: mil, category, smoothing. Scalars."""
    valid, labels = batch.valid, batch.labels
    anomalous, present = labels.any(axis=-1), valid.any(axis=-1)
    k = losses.top_k_count(valid.sum(axis=-1), config.top_k_divisor)
    segments = outputs.scores if config.mil == "ranking" else outputs.logits
    if config.pooling == "softmax":
        videos = losses.softmax_mean(segments, outputs.logits, valid)
    else:
        videos = losses.top_k_mean(segments, valid, k=k)
    if config.mil == "ranking":
        mil = losses.ranking_loss(videos, anomalous, present, margin=config.margin)
    else:
        mil = losses.bce_mil_loss(videos, anomalous, present)
    if config.smoothing == "mixture":
        target = losses.mixture_target(
            outputs.category_probs,
            outputs.category_weights,
            outputs.mixture_mean,
            outputs.mixture_sigma,
            valid,
        )
        smoothing = losses.mixture_loss(outputs.scores, target, valid)
    else:
        smoothing = losses.difference_loss(outputs.scores, valid)
    return {
        "mil": mil,
        "category": losses.category_loss(outputs.category_logits, labels, present),
        "smoothing": smoothing,
        "segment_category": losses.segment_category_loss(
            outputs.segment_category_logits, labels, valid, present, k=k
        ),
    }


def total_loss(terms: Metrics, config: LossConfig, *, has_categories: bool) -> jax.Array:
    """L = L_MIL + 0.1 L_smoothing + 0.2 L_cat; without CORE neither category nor mixture."""
    loss = terms["mil"]
    if has_categories or config.smoothing == "difference":
        loss += config.smoothing_weight * terms["smoothing"]
    if has_categories:
        loss += config.category_weight * terms["category"]
        loss += config.segment_category_weight * terms["segment_category"]
    return loss


def model_statistics(outputs: Outputs, batch: Batch, config: LossConfig) -> Metrics:
    """What shows whether the parts live: gate, category weights, mixture, scores. Scalars."""
    valid, anomalous = batch.valid, batch.labels.any(axis=-1)
    count = outputs.shift_count.astype(jnp.float32)
    mean = losses.masked_mean(count, valid)
    spread = jnp.sqrt(losses.masked_mean((count - mean) ** 2, valid))
    highest = jnp.where(valid, count, -jnp.inf).max(axis=-1)
    lowest = jnp.where(valid, count, jnp.inf).min(axis=-1)
    weights = outputs.category_weights
    entropy = -jnp.sum(weights * jnp.log(jnp.maximum(weights, 1e-12)), axis=-1)
    k = losses.top_k_count(valid.sum(axis=-1), config.top_k_divisor)
    video_scores = losses.top_k_mean(outputs.scores, valid, k=k)
    return {
        "shift_mean": mean,
        "shift_spread": spread,
        "shift_span": losses.masked_mean(highest - lowest, valid.any(axis=-1)),
        "weight_entropy": entropy.mean(),
        "mixture_sigma": outputs.mixture_sigma.mean(),
        "mixture_mean_spread": outputs.mixture_mean.std(),
        "score_anomalous": losses.masked_mean(video_scores, anomalous),
        "score_normal": losses.masked_mean(video_scores, ~anomalous),
    }


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    key: jax.Array,
    graphdef: nnx.GraphDef[Any],
    optimizer: optax.GradientTransformation,
    config: LossConfig,
) -> tuple[TrainState, Metrics]:
    """One update. key: of this step, for dropout and label injection."""
    metrics, gradient = losses_and_gradient(
        state.params, batch, key=key, graphdef=graphdef, config=config
    )
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = metrics | {"gradient_norm": optax.tree.norm(gradient)}
    return TrainState(state.step + 1, params, opt_state), metrics


def losses_and_gradient(
    params: Any,
    batch: Batch,
    *,
    key: jax.Array,
    graphdef: nnx.GraphDef[Any],
    config: LossConfig,
) -> tuple[Metrics, Any]:
    """The loss with its terms and statistics, and the gradient of the loss, a tree as params."""
    dropout_key, injection_key = jax.random.split(key)
    injected = batch.labels & jax.random.bernoulli(
        injection_key, config.label_injection_rate, (len(batch.labels), 1)
    )

    def loss_function(params: Any) -> tuple[jax.Array, Metrics]:
        model = nnx.merge(graphdef, params)
        if config.precision == "bfloat16":
            model = in_bfloat16(model)
        outputs = model(
            batch.features,
            batch.valid,
            injected_labels=injected,
            rngs=nnx.Rngs(dropout=dropout_key),
        )
        terms = loss_terms(outputs, batch, config)
        loss = total_loss(terms, config, has_categories=model.config.injection != "none")
        return loss, terms | model_statistics(outputs, batch, config)

    (loss, metrics), gradient = jax.value_and_grad(loss_function, has_aux=True)(params)
    return {"loss": loss} | metrics, gradient


def make_run_steps(
    *,
    graphdef: nnx.GraphDef[Any],
    optimizer: optax.GradientTransformation,
    config: LossConfig,
    num_crops: int,
    batch_size: int,
    places: Placement,
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Builds the jitted functions of a run. All of them work on S seeds side by side.

    Their arrays lie on the devices as places says: a seed's batch is computed in parts, whose
    gradients are summed.

    Returns (run_resident, run_batch, draw):
    run_resident(state, seeds, bags, num_steps) draws its batches inside from bags on the device, a
    dict of features [V, N, T, D], labels [V, C], normal and anomalous [S, ...], and gives metrics
    [S, num_steps]; run_batch(state, seeds, features, labels) takes a batch of every seed from the
    host; draw(steps, seeds, normal, anomalous) gives the video and crop indices [S, B] that both
    use. Leaves of state have a leading axis S; seeds and steps are [S].
    """

    def draw(step: Any, seed: Any, normal: Any, anomalous: Any) -> tuple[jax.Array, jax.Array]:
        key, _ = _run_keys(seed)
        return draw_batch(
            key,
            step,
            normal=normal,
            anomalous=anomalous,
            num_crops=num_crops,
            batch_size=batch_size,
        )

    def update(state: TrainState, seed: Any, features: Any, labels: Any) -> Any:
        features = jax.lax.with_sharding_constraint(features.astype(jnp.float32), places.rows)
        batch = Batch(features, jnp.ones(features.shape[:2], bool), labels)
        key = step_key(seed, state.step)
        return train_step(
            state, batch, key=key, graphdef=graphdef, optimizer=optimizer, config=config
        )

    def run_resident(
        state: TrainState, seed: Any, bags: dict[str, jax.Array], num_steps: int
    ) -> tuple[TrainState, Metrics]:
        def body(state: TrainState, _: None) -> tuple[TrainState, Metrics]:
            videos, crops = draw(state.step, seed, bags["normal"], bags["anomalous"])
            return update(state, seed, bags["features"][videos, crops], bags["labels"][videos])

        return jax.lax.scan(body, state, None, length=num_steps)

    per_bags = {"features": None, "labels": None, "normal": 0, "anomalous": 0}
    outputs = (places.per_seed, places.everywhere)
    return (
        jax.jit(
            jax.vmap(run_resident, in_axes=(0, 0, per_bags, None), spmd_axis_name=SEED),
            static_argnums=3,
            donate_argnums=0,
            out_shardings=outputs,
            compiler_options=compiler_options(),
        ),
        jax.jit(
            jax.vmap(update, spmd_axis_name=SEED),
            donate_argnums=0,
            out_shardings=outputs,
            compiler_options=compiler_options(),
        ),
        jax.jit(jax.vmap(draw)),
    )


def step_key(seed: Any, step: Any) -> jax.Array:
    """The key of what is random inside a step, counted from 0."""
    return jax.random.fold_in(_run_keys(seed)[1], step)


def _run_keys(seed: Any) -> tuple[jax.Array, jax.Array]:
    """The keys of a run: for its batches, and for what is random inside a step."""
    batch_key, inside_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1))
    return batch_key, inside_key


def make_probe(
    graphdef: nnx.GraphDef[Any], top_k_divisor: int, places: Placement
) -> Callable[..., Metrics]:
    """Builds probe(params, features, labels), every array with a leading axis S of seeds.

    It gives the mean top-k score [S] of the anomalous videos with e_y in v, as in training, and
    without, as at test.
    """

    def probe(params: Any, features: Any, labels: Any) -> Metrics:
        model = nnx.merge(graphdef, params)
        features = features.astype(jnp.float32)
        valid = jnp.ones(features.shape[:2], bool)
        k = losses.top_k_count(valid.sum(axis=-1), top_k_divisor)
        anomalous = labels.any(axis=-1)

        def mean_score(injected: jax.Array | None) -> jax.Array:
            scores = model(features, valid, injected_labels=injected).scores
            return losses.masked_mean(losses.top_k_mean(scores, valid, k=k), anomalous)

        return {
            "train_score_with_label": mean_score(labels),
            "train_score_without_label": mean_score(None),
        }

    return jax.jit(jax.vmap(probe, spmd_axis_name=SEED), out_shardings=places.everywhere)
