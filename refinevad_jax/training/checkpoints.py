"""Saves and restores a run's state with Orbax; the only importer of it."""

import logging
import pathlib
from typing import Any

import jax
import optax
from orbax.checkpoint import v1 as ocp

from refinevad_jax.errors import UserError
from refinevad_jax.training.step import TrainState

# The newest two, because the newest may be damaged by a fault of the disk.
NUM_LATEST = 2


class Checkpoints:
    """The checkpoints of a workdir: the latest, and the best by the selection metric.

    Saving is atomic: a checkpoint appears under its step number by a rename.
    """

    def __init__(self, workdir: pathlib.Path, *, metric: str, writable: bool = False) -> None:
        logging.getLogger("orbax").setLevel(logging.WARNING)
        root = workdir.resolve() / "checkpoints"
        if not writable and not root.is_dir():
            raise UserError(f"{workdir}: no checkpoints; train with 'python -m refinevad_jax.main'")
        policies = ocp.training.preservation_policies
        self._metric = metric
        self._root = root
        self._checkpointer = ocp.training.Checkpointer(
            root,
            preservation_policy=policies.AnyPreservationPolicy(
                [
                    policies.LatestN(NUM_LATEST),
                    policies.BestN(
                        n=1,
                        get_metric_fn=lambda metrics: metrics[metric],
                        keep_checkpoints_without_metrics=False,
                    ),
                ]
            ),
            cleanup_tmp_directories=writable,
        )

    def save(self, state: TrainState, metrics: dict[str, float]) -> None:
        """Saves the state under its step, with the selection metrics; replaces one that is there.

        One may be there where seeds trained together were stopped between two saves.
        """
        self._checkpointer.save_checkpointables(
            int(state.step),
            {"params": state.params, "opt_state": state.opt_state},
            metrics=metrics,
            overwrite=True,
        )

    def steps(self) -> dict[int, dict[str, float]]:
        """Selection metrics of every checkpoint there is, by step, ascending."""
        return {item.step: item.metrics or {} for item in self._checkpointer.checkpoints}

    def resolve(self, step: str | int) -> int:
        """Step number of "last", "best" (of equals the later) or a number that has been kept."""
        kept = self.steps()
        if not kept:
            raise UserError(f"{self._root}: holds no checkpoint yet; train for an epoch first")
        if step == "last":
            return max(kept)
        if step == "best":
            measured = [number for number in kept if self._metric in kept[number]]
            return max(measured, key=lambda number: (kept[number][self._metric], number))
        if not str(step).isdigit() or int(step) not in kept:
            raise UserError(
                f"step {step!r}: {self._root} keeps {', '.join(map(str, kept))}; 'last' and "
                "'best' work too"
            )
        return int(step)

    def restore_state(self, step: int, abstract: TrainState) -> TrainState:
        """Reads a whole state; abstract gives its shapes."""
        read = self._read(step, {"params": abstract.params, "opt_state": abstract.opt_state})
        return TrainState(jax.numpy.asarray(step), read["params"], read["opt_state"])

    def restore_params(self, step: int, abstract_params: Any) -> Any:
        """Reads the parameters alone; abstract_params gives their shapes."""
        return self._read(step, {"params": abstract_params})["params"]

    def _read(self, step: int, abstract: dict[str, Any]) -> dict[str, Any]:
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), abstract
        )
        try:
            return self._checkpointer.load_checkpointables(step, abstract)
        except Exception as error:  # Orbax and TensorStore raise many kinds for a damaged file
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{self._root / str(step)}: cannot be read ({type(error).__name__}: {reason}); "
                "remove that folder to continue from an earlier checkpoint"
            ) from error

    def close(self) -> None:
        """Waits for what is being written."""
        self._checkpointer.close()


def fresh_state(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    return TrainState(jax.numpy.zeros((), jax.numpy.int32), params, optimizer.init(params))


def abstract_state(shapes: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """Shapes of a state, from those of its parameters, without computing it."""
    return jax.eval_shape(lambda params: fresh_state(params, optimizer), shapes)
