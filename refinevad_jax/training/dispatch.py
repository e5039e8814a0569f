"""Sends steps to the device: in training, bags and states move between host and device here alone.

Axis letters: S seeds, B videos, T segments, D feature channels, C categories.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from refinevad_jax.data.batches import ListShape, StoredRows, TrainingBags, resampled
from refinevad_jax.data.streaming import BatchStream
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.runs.checkpoints import TrainState
from refinevad_jax.training.draws import draw_batches
from refinevad_jax.training.optimizer import OptimizerConfig, learning_rates
from refinevad_jax.training.placement import from_rows, placement, put
from refinevad_jax.training.programs import MAX_STEPS_PER_DISPATCH, make_programs
from refinevad_jax.training.step import StepConfig, batch_keys


class Dispatch:
    """Runs steps on bags that are on the device, on the host or in files: the same batches.

    The step can be compiled before the bags are there. `take` gives them; in memory they are
    resampled by their first use.
    """

    def __init__(
        self,
        config: ConfigDict,
        seeds: Sequence[int],
        network: ModelConfig,
        shape: ListShape,
    ) -> None:
        self.places = placement(len(seeds), config.train.batch_size)
        self._optimizer = OptimizerConfig.of(config)
        self._programs = make_programs(
            network=network,
            optimizer=self._optimizer,
            config=StepConfig.of(config),
            places=self.places,
        )
        self._shape = shape
        self._batch_keys = batch_keys(seeds)
        self._seeds = put(np.array(seeds, np.uint32), self.places.per_seed)
        self._batch_size = config.train.batch_size
        self._compiled: jax.stages.Compiled | None = None
        self.stream: BatchStream | None = None
        fits = shape.nbytes <= config.data.device_limit_gb * 1e9
        self.resident = fits and not shape.in_files

    def take(self, bags: TrainingBags, num_steps: int) -> None:
        """Gives it the training list, and the number of steps that the learning rate falls over."""
        self._listed = bags
        self._rates = np.zeros(num_steps + MAX_STEPS_PER_DISPATCH, np.float32)
        self._rates[:num_steps] = learning_rates(self._optimizer, num_steps)
        features = bags.features
        if isinstance(features, StoredRows) and features.in_files:
            own = self.places.own_rows((len(self._batch_keys), self._batch_size))
            self.stream = BatchStream(features, self._drawn, own)

    @functools.cached_property
    def bags(self) -> TrainingBags:
        """The training list; bags in memory are resampled by the first call."""
        return resampled(self._listed)

    @functools.cached_property
    def _resident_bags(self) -> dict[str, jax.Array]:
        bags = {"features": self.bags.features, "labels": self.bags.labels}
        return put(bags, self.places.everywhere)

    @property
    def bags_in_words(self) -> str:
        """Where the bags are."""
        if self._shape.in_files:
            return "in their files"
        return "on the device" if self.resident else "on the host"

    def place(self, state: TrainState) -> TrainState:
        """Puts a state with a leading axis S where its seeds are computed."""
        return put(state, self.places.per_seed)

    def run(
        self, state: TrainState, first: int, count: int
    ) -> tuple[TrainState, dict[str, np.ndarray]]:
        """Runs count steps from step number first on. Returns metrics as arrays [S, count].

        count: at most MAX_STEPS_PER_DISPATCH.
        """
        if count > MAX_STEPS_PER_DISPATCH:
            raise ValueError(f"{count} steps; a dispatch has {MAX_STEPS_PER_DISPATCH} at most")
        program = self.compiled_step(state)
        if self.resident:
            most = MAX_STEPS_PER_DISPATCH
            drawn = put(self._drawn_steps(first, most), self.places.per_seed)
            rates = self._rates[first : first + most]
            bags = self._resident_bags
            state, metrics = program(state, self._seeds, bags, *drawn, rates, np.int32(count))
            return state, {
                name: value[:, :count] for name, value in jax.device_get(metrics).items()
            }
        rows = []
        for step in range(first, first + count):
            state, metrics = program(state, self._seeds, self._rates[step], *self.batch(step))
            rows.append(metrics)
        return state, jax.tree.map(lambda *values: np.stack(values, 1), *jax.device_get(rows))

    def compiled_step(self, state: TrainState) -> jax.stages.Compiled:
        """The program of steps, compiled by the first call. state: arrays or shapes, [S, ...].

        The compiler does not know how many steps there will be, and counts operations of one.
        """
        if self._compiled is None:
            self.compile(self.lowered_step(state))
        assert self._compiled is not None
        return self._compiled

    def compile(self, lowered: jax.stages.Lowered) -> None:
        """Compiles the program of steps from what `lowered_step` gave."""
        self._compiled = lowered.compile()

    def lowered_step(self, state: TrainState) -> jax.stages.Lowered:
        """What `compiled_step` compiles."""
        places, shape, array = self.places, self._shape, jax.ShapeDtypeStruct
        state = jax.tree.map(
            lambda leaf: array(leaf.shape, leaf.dtype, sharding=places.per_seed), state
        )
        num_seeds, size, most = len(self._batch_keys), self._batch_size, MAX_STEPS_PER_DISPATCH
        categories = (shape.num_categories,)
        if self.resident:
            bags = {
                "features": array(shape.features, np.float16, sharding=places.everywhere),
                "labels": array(shape.features[:1] + categories, bool, sharding=places.everywhere),
            }
            drawn = array((num_seeds, most, size), np.int32, sharding=places.per_seed)
            rates = array((most,), np.float32)
            return self._programs.run_resident.lowered(
                state, self._seeds, bags, drawn, drawn, rates, np.int32(0)
            )
        rows, kinds = (num_seeds, size), {shape.features[2:]: np.float16, categories: bool}
        batch = [array(rows + own, kind, sharding=places.per_video) for own, kind in kinds.items()]
        return self._programs.run_batch.lowered(state, self._seeds, np.float32(0), *batch)

    def probe(self, state: TrainState, step: int) -> dict[str, np.ndarray]:
        """Scores the next batch with and without e_y in v: the gap that only training sees. [S]."""
        return jax.device_get(self._programs.probe(state.params, *self.batch(step)))

    def batch(self, step: int) -> tuple[jax.Array, jax.Array]:
        """Features [S, B, T, D] and labels [S, B, C]; a process reads the rows of its devices."""
        bags = self.bags
        videos, crops = self._drawn(step)
        if self.stream is not None:
            rows: Any = self.stream.features(step)
        else:
            features: Any = bags.features

            def rows(index: tuple[slice, ...]) -> np.ndarray:
                return features[videos[index[:2]], crops[index[:2]]]

        shape = (*videos.shape, *bags.features.shape[2:])
        return (
            from_rows(shape, self.places.per_video, rows),
            put(bags.labels[videos], self.places.per_video),
        )

    def _drawn(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The videos and crops [S, B] of a step."""
        videos, crops = self._drawn_steps(step, 1)
        return videos[:, 0], crops[:, 0]

    def _drawn_steps(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The videos and crops [S, count, B] of steps."""
        return draw_batches(
            self._batch_keys,
            first,
            count,
            normal=self._listed.normal,
            anomalous=self._listed.anomalous,
            num_crops=self._shape.features[1],
            batch_size=self._batch_size,
        )
