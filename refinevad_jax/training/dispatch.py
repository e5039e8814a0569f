"""Sends steps to the device: the only way of bags and states between host and device in training.

Axis letters: S seeds, B videos, T segments, D feature channels, C categories.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from refinevad_jax.data.batches import TrainingBags
from refinevad_jax.training import step as step_lib


class Dispatch:
    """Runs steps with the bags on the device, or batch by batch from the host: same batches."""

    def __init__(
        self,
        config: ConfigDict,
        seeds: Sequence[int],
        graphdef: nnx.GraphDef[Any],
        optimizer: optax.GradientTransformation,
        bags: TrainingBags,
    ) -> None:
        self._run_resident: Any
        self._run_resident, self._run_batch, self._draw = step_lib.make_run_steps(
            graphdef=graphdef,
            optimizer=optimizer,
            config=step_lib.LossConfig.of(config),
            num_crops=bags.features.shape[1],
            batch_size=config.train.batch_size,
        )
        self._probe = step_lib.make_probe(graphdef, config.loss.top_k_divisor)
        self._bags = bags
        self._per_seed, self._shared = seed_sharding(len(seeds))
        self._seeds = jax.device_put(np.array(seeds, np.uint32), self._per_seed)
        self._lists = jax.device_put((bags.normal, bags.anomalous), self._per_seed)
        self.resident = bags.num_bytes <= config.data.device_limit_gb * 1e9
        if self.resident:
            self._resident_bags = {
                "features": jax.device_put(bags.features, self._shared),
                "labels": jax.device_put(bags.labels, self._shared),
                "normal": self._lists[0],
                "anomalous": self._lists[1],
            }

    def place(self, state: step_lib.TrainState) -> step_lib.TrainState:
        """Puts a state with a leading axis S where its seeds are computed."""
        return jax.device_put(state, self._per_seed)

    def run(
        self, state: step_lib.TrainState, first: int, count: int
    ) -> tuple[step_lib.TrainState, dict[str, np.ndarray]]:
        """Runs count steps from step number first on. Returns metrics as arrays [S, count]."""
        if self.resident:
            state, metrics = self._run_resident(state, self._seeds, self._resident_bags, count)
            return state, jax.device_get(metrics)
        rows = []
        for step in range(first, first + count):
            state, metrics = self._run_batch(state, self._seeds, *self.batch(step))
            rows.append(metrics)
        return state, jax.tree.map(lambda *values: np.stack(values, 1), *jax.device_get(rows))

    def cost_of_a_step(self, state: step_lib.TrainState) -> dict[str, float]:
        """What the compiler counts in one step with the bags on the device: "flops" and others."""
        arguments = (state, self._seeds, self._resident_bags, 1)
        return self._run_resident.lower(*arguments).compile().cost_analysis()

    def probe(self, state: step_lib.TrainState, step: int) -> dict[str, np.ndarray]:
        """Scores the next batch with and without e_y in v: the gap that only training sees. [S]."""
        return jax.device_get(self._probe(state.params, *self.batch(step)))

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """What a step sees: features [S, B, T, D] float16 and labels [S, B, C]."""
        steps = np.full(len(self._seeds), step, np.int32)
        videos, crops = jax.device_get(self._draw(steps, self._seeds, *self._lists))
        return self._bags.features[videos, crops], self._bags.labels[videos]


def seed_sharding(num_seeds: int) -> tuple[Any, Any]:
    """Where arrays with an axis of seeds go, and where those that all seeds share.

    Seeds are spread over as many devices as divide their number.
    """
    devices = jax.devices()
    count = max(n for n in range(1, len(devices) + 1) if num_seeds % n == 0)
    mesh = Mesh(np.array(devices[:count]), ("seed",))
    return NamedSharding(mesh, PartitionSpec("seed")), NamedSharding(mesh, PartitionSpec())
