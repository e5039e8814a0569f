"""The compiled functions of a run: all of them work on S seeds side by side.

One program trains, however many steps a dispatch makes.

Axis letters: S seeds, V videos, B videos of a batch, N crops, T segments, D channels, C categories.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import abstract
from refinevad_jax.runs.checkpoints import TrainState
from refinevad_jax.runtime.compiler import compiler_options
from refinevad_jax.training import losses, step
from refinevad_jax.training.kept_step import Step
from refinevad_jax.training.optimizer import OptimizerConfig
from refinevad_jax.training.placement import SEED, Placement
from refinevad_jax.training.step import Metrics, StepConfig

# Steps of one dispatch; a longer epoch takes several.
MAX_STEPS_PER_DISPATCH = 25


@dataclasses.dataclass(frozen=True)
class Programs:
    """Functions of a run. Leaves of state and params have a leading axis S; seeds are [S].

    Attributes:
        run_resident: (state, seeds, bags, videos, crops, rates, num_steps) to (state, metrics),
            each of the metrics [S, MAX_STEPS_PER_DISPATCH] and 0 from num_steps on. bags are on the
            device: features [V, N, T, D], labels [V, C]. videos, crops: [S,
            MAX_STEPS_PER_DISPATCH, B] int32, what each step takes of them; rates:
            [MAX_STEPS_PER_DISPATCH], learning rates. num_steps is an argument of the program: int
            scalar, at most MAX_STEPS_PER_DISPATCH.
        run_batch: (state, seeds, rate, features [S, B, T, D], labels [S, B, C]) to (state, metrics
            [S]), one step on a batch from the host.
        probe: (params, features [S, B, T, D], labels [S, B, C]) to the mean score [S] of the
            anomalous videos with e_y in v, as in training, and without, as at test.
    """

    run_resident: Step
    run_batch: Step
    probe: jax.stages.Wrapped


def make_programs(
    *,
    network: ModelConfig,
    optimizer: OptimizerConfig,
    config: StepConfig,
    places: Placement,
) -> Programs:
    """Builds them; nothing is compiled before the first call.

    Arrays lie on the devices as places says: a seed's batch is computed in parts, whose gradients
    are summed.
    """
    graphdef, _ = abstract(network)

    def update(state: TrainState, seed: Any, rate: Any, features: Any, labels: Any) -> Any:
        features = jax.lax.with_sharding_constraint(features.astype(jnp.float32), places.rows)
        key = step.step_key(seed, state.step)
        return step.train_step(
            state,
            features,
            labels,
            key=key,
            rate=rate,
            graphdef=graphdef,
            optimizer=optimizer,
            config=config,
        )

    def run_resident(
        state: TrainState,
        seeds: Any,
        bags: dict[str, jax.Array],
        videos: Any,
        crops: Any,
        rates: Any,
        num_steps: Any,
    ) -> tuple[TrainState, Metrics]:
        # Seeds inside of steps: the other way round the whole loop would be traced once more for
        # them. In jit, so that it is traced once, for the names of its metrics and for the loop.
        @jax.jit
        @functools.partial(jax.vmap, spmd_axis_name=SEED, in_axes=(0, 0, None, 0, 0))
        def one(
            state: TrainState, seed: Any, rate: Any, videos: jax.Array, crops: jax.Array
        ) -> tuple[TrainState, Metrics]:
            features, labels = bags["features"][videos, crops], bags["labels"][videos]
            return update(state, seed, rate, features, labels)

        # The rate is carried: otherwise each kernel of the update takes it out of rates again.
        def body(index: Any, carried: tuple[TrainState, Metrics, Any]) -> Any:
            state, kept, rate = carried
            state, metrics = one(state, seeds, rate, videos[:, index], crops[:, index])
            kept = {name: kept[name].at[:, index].set(metrics[name]) for name in metrics}
            return state, kept, rates[index + 1]  # after the last one, the last again

        _, shapes = jax.eval_shape(one, state, seeds, rates[0], videos[:, 0], crops[:, 0])
        empty = {
            name: jnp.zeros((*shape.shape, MAX_STEPS_PER_DISPATCH), shape.dtype)
            for name, shape in shapes.items()
        }
        state, metrics, _ = jax.lax.fori_loop(0, num_steps, body, (state, empty, rates[0]))
        return state, metrics

    def probe(params: Any, features: Any, labels: Any) -> Metrics:
        model = nnx.merge(graphdef, params)
        features = features.astype(jnp.float32)
        valid = jnp.ones(features.shape[:2], bool)
        anomalous = labels.any(axis=-1)

        def mean_score(injected: jax.Array | None) -> jax.Array:
            outputs = model(features, valid, injected_labels=injected)
            return losses.masked_mean(losses.video_scores(outputs, valid, config.loss), anomalous)

        return {
            "train_score_with_label": mean_score(labels),
            "train_score_without_label": mean_score(None),
        }

    options = {
        "donate_argnums": 0,
        "out_shardings": (places.per_seed, places.everywhere),
        "compiler_options": compiler_options(),
    }
    facts = (network, optimizer, config)
    return Programs(
        run_resident=Step(run_resident, options, facts),
        run_batch=Step(
            jax.vmap(update, spmd_axis_name=SEED, in_axes=(0, 0, None, 0, 0)), options, facts
        ),
        probe=jax.jit(jax.vmap(probe, spmd_axis_name=SEED), out_shardings=places.everywhere),
    )
