"""AdamW with warm-up and cosine decay, decaying matrices only."""

import dataclasses
from typing import Any

import jax
import numpy as np
import optax
from ml_collections import ConfigDict


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The fields of config.optimizer, and whether prototypes are trained."""

    learning_rate: float
    weight_decay: float
    warmup_fraction: float
    clip_norm: float
    category_rate: float = 1.0
    trainable_prototypes: bool = True

    @classmethod
    def of(cls, config: ConfigDict) -> "OptimizerConfig":
        """Reads a run's configuration."""
        trainable = config.train.trainable_prototypes
        return cls(**config.optimizer.to_dict(), trainable_prototypes=trainable)


def learning_rate_schedule(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """Linear warm-up over W steps from peak / W to the peak, then cosine to 0 at num_steps.

    W: the warm-up's share of num_steps, at least 1, so that every step learns.
    """
    warmup = max(round(config.warmup_fraction * num_steps), 1)
    return optax.warmup_cosine_decay_schedule(
        init_value=config.learning_rate / warmup,
        peak_value=config.learning_rate,
        warmup_steps=warmup - 1,
        decay_steps=num_steps,
    )


def learning_rates(config: OptimizerConfig, num_steps: int) -> np.ndarray:
    """The rate of every step: [num_steps] float32, bit by bit as inside of a compiled step."""
    schedule = learning_rate_schedule(config, num_steps)
    return np.asarray(jax.jit(jax.vmap(schedule))(np.arange(num_steps, dtype=np.int32)))


def make_optimizer(config: OptimizerConfig, num_steps: int) -> optax.GradientTransformation:
    """The optimizer of a run of num_steps; the structure of its state depends on neither."""
    return with_schedule(config, learning_rate_schedule(config, num_steps))


def with_schedule(config: OptimizerConfig, rate: optax.Schedule) -> optax.GradientTransformation:
    """Clip by global norm, AdamW, another rate for categories, frozen prototypes."""
    parts = [
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(rate, weight_decay=config.weight_decay, mask=decayed),
    ]
    if config.category_rate != 1.0:
        parts.append(optax.masked(optax.scale(config.category_rate), reads_categories))
    if not config.trainable_prototypes:
        parts.append(optax.masked(optax.set_to_zero(), is_prototypes))
    return optax.chain(*parts)


def decayed(params: Any) -> Any:
    """True for matrices; biases, norms and prototypes, whose norm has a meaning, are not decayed.

    Returns a tree of bool like params.
    """
    return jax.tree.map(
        lambda leaf, prototypes: leaf.ndim >= 2 and not prototypes, params, is_prototypes(params)
    )


def reads_categories(params: Any) -> Any:
    """True for the category head and its input. Tree of bool like params."""
    return _at(params, ("core", "category_head"), ("core", "category_input"))


def is_prototypes(params: Any) -> Any:
    """True for the prototypes E and the names that they are made of. Tree of bool like params."""
    return _at(params, ("core", "prototypes"), ("core", "names"))


def _at(params: Any, *places: tuple[str, str]) -> Any:
    return jax.tree.map_with_path(
        lambda path, _: tuple(entry.key for entry in path[:2]) in places, params
    )
