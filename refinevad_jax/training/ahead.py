"""What a run needs no bags for, made by threads while they are read: first states and the program.

Its shapes are known from the first bag. A process that ends meanwhile, because a later bag is
damaged, waits for the compiler; what it made is kept for the next one. Axis letter: S seeds.
"""

import pathlib
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jax
from ml_collections import ConfigDict

from refinevad_jax.data.bags import BagsInfo, first_bag
from refinevad_jax.data.batches import ListShape
from refinevad_jax.model.refinevad import abstract
from refinevad_jax.runs.checkpoints import TrainState, abstract_state, fresh_states
from refinevad_jax.runs.run import Run
from refinevad_jax.training.dispatch import Dispatch
from refinevad_jax.training.members import seed_configs
from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer
from refinevad_jax.training.step import parameters_keys


class Ahead:
    """The functions of a run, and what threads make.

    Attributes:
        graphdef: of the network.
        abstract: shapes of the state of one seed.
        dispatch: the functions, which still have to take the bags.
        states: [S, ...] before the first step, from `make_states` on.
        program: done when the step is compiled, from `compile` on.
        began: when that was asked for, of time.monotonic.
    """

    def __init__(self, run: Run, seeds: Sequence[int], shape: ListShape) -> None:
        self._run, self._seeds, self._shape = run, list(seeds), shape
        self.graphdef, shapes = abstract(run.model_config)  # kept: both threads ask for it
        # The state of an optimizer does not depend on the number of steps.
        self._optimizer = make_optimizer(OptimizerConfig.of(run.config), 1)
        self.abstract = abstract_state(shapes, self._optimizer)
        self.dispatch = Dispatch(run.config, seeds, run.model_config, shape)
        self.states: Future[TrainState] | None = None
        self.program: Future[None] | None = None
        self.began = 0.0
        self._threads = ThreadPoolExecutor(max_workers=2)

    def fits(self, seeds: Sequence[int], shape: ListShape) -> bool:
        """Whether it was made for these seeds and a list like this."""
        return (self._seeds, self._shape) == (list(seeds), shape)

    def make_states(self) -> None:
        """Makes the states before the first step in a thread."""
        self.states = self.states or self._threads.submit(self.fresh_states)

    def fresh_states(self) -> TrainState:
        """The states before the first step, of networks that know nothing of the data."""
        keys = parameters_keys(self._seeds)
        return fresh_states(self._run.model_config, self._optimizer, keys)

    def compile(self) -> None:
        """Traces the step, and compiles it in a thread.

        Tracing in the thread would take longer: it is Python, and so is much of what reads bags.
        """
        if self.program is not None:
            return
        self.began = time.monotonic()
        states = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((len(self._seeds), *leaf.shape), leaf.dtype),
            self.abstract,
        )
        lowered = self.dispatch.lowered_step(states)
        self.program = self._threads.submit(self.dispatch.compile, lowered)


def begun(config: ConfigDict, info: BagsInfo, workdir: pathlib.Path) -> Ahead | None:
    """Starts all of it for a run that begins; None for one that goes on, which may be done.

    Raises UserError if the first bag cannot be read, or the configuration does not fit the data.
    """
    configs = seed_configs(config, workdir)
    if any((folder / "config.json").exists() for _, folder in configs):
        return None
    data = config.data
    first = first_bag(data.data_dir, data.dataset, data.train_split, memory_gb=data.host_limit_gb)
    if first is None:
        return None
    run = Run(configs[0][0], info)
    shape = ListShape.of(*first, data.num_segments, run.columns())
    ahead = Ahead(run, [own.seed for own, _ in configs], shape)
    ahead.compile()
    ahead.make_states()
    return ahead
