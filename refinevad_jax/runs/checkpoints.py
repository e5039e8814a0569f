"""Saves and restores a run's state with Orbax; the only importer of it."""

import dataclasses
import errno
import functools
import logging
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import json_sha256
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import abstract, first_parameters
from refinevad_jax.runs.run import WEIGHTS, Run
from refinevad_jax.runs.weights import digest, read_weights
from refinevad_jax.runtime import commands

# The newest two epochs, because the newest may be damaged by a fault of the disk.
NUM_LATEST = 2
# What the system says if a disk is full or broken, or a folder may not be written to.
FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """What training carries from step to step, and what a checkpoint holds."""

    step: jax.Array
    params: Any
    opt_state: Any


class DamagedError(UserError):
    """A checkpoint cannot be read, or does not hold what was saved."""


class Checkpoints:
    """The checkpoints of a workdir: the latest, and the best by the selection metric.

    Saving is atomic: a checkpoint appears under its step number by a rename. It holds the SHA-256
    of its arrays, which reading compares: Orbax alone would give back a flipped bit.
    """

    def __init__(self, workdir: pathlib.Path, *, metric: str, writable: bool = False) -> None:
        _say_faults_once()
        root = workdir.resolve() / "checkpoints"
        if not writable and not root.is_dir():
            raise UserError(
                f"{workdir}: no checkpoints; train first, with the --config that it began with: "
                + commands.spell("train", "--config=NAME", f"--workdir={workdir}")
            )
        self._metric = metric
        self._root = root
        self._has_failed, self._writable = False, writable
        if writable:
            root.mkdir(parents=True, exist_ok=True)
            self._drop_superseded()

    @functools.cached_property
    def _checkpointer(self) -> Any:
        """Orbax's, made when there is or is to be a checkpoint: its import takes a while."""
        from orbax.checkpoint import v1 as ocp

        return ocp.training.Checkpointer(
            self._root,
            preservation_policy=_Kept(self._metric),
            cleanup_tmp_directories=self._writable,
        )

    def _is_made(self) -> bool:
        return "_checkpointer" in vars(self)

    def _found(self) -> list[Any]:
        """What Orbax knows of every checkpoint, ascending; without it if the folder is empty."""
        if not self._is_made() and not any(self._root.iterdir()):
            return []
        return list(self._checkpointer.checkpoints)

    def save(self, state: TrainState, metrics: dict[str, float] | None) -> None:
        """Saves the state under its step, with the selection metrics; replaces one that is there.

        One may be there if seeds trained together were stopped between two saves, or if it was
        damaged. metrics: None in the middle of an epoch. If several processes train, all must call
        and the first writes.
        """
        content = {"params": state.params, "opt_state": state.opt_state}
        digests = {name: digest(tree) for name, tree in content.items()}
        try:
            saved = self._checkpointer.save_checkpointables(
                int(state.step),
                content,
                metrics=metrics,
                custom_metadata={"sha256": digests | {"metrics": json_sha256(metrics)}},
                overwrite=True,
            )
        except Exception as error:  # TensorStore's failing writes are ValueErrors, Orbax wraps some
            self._has_failed = True
            reason = _fault_of_disk(error)
            if not reason:
                raise
            raise UserError(
                f"{self._root / str(int(state.step))}: cannot be written ({reason}); earlier "
                "checkpoints are intact: free some space or check the disk, and run the same "
                "command again"
            ) from error
        if not saved:  # Orbax passes over a step that lies before the newest
            raise RuntimeError(f"{self._root}: step {int(state.step)} was not saved")

    def _drop_superseded(self) -> None:
        """Removes what a process that was killed right after a save would have removed."""
        found = self._found()
        preserved = _Kept(self._metric).should_preserve(found, context=None)
        for item, keep in zip(found, preserved, strict=True):
            if not keep:
                self._checkpointer.delete(item.step)

    def drop_after(self, step: int) -> None:
        """Removes the checkpoints after a step: the run goes on from there and repeats them."""
        for later in [kept for kept in self.steps() if kept > step]:
            self._checkpointer.delete(later)

    def steps(self) -> dict[int, dict[str, float]]:
        """Selection metrics of every checkpoint there is, by step, ascending."""
        return {item.step: item.metrics or {} for item in self._found()}

    def resolve(self, step: str | int) -> int:
        """Step number of "last", "best" (the later of two equals) or a number that is kept."""
        kept = self.steps()
        if not kept:
            raise UserError(f"{self._root}: holds no checkpoint yet; train for an epoch first")
        if step == "last":
            return max(kept)
        if step == "best":
            measured = [number for number in kept if self._metric in kept[number]]
            if not measured:
                raise UserError(f"{self._root}: no epoch has ended yet; train on, or take 'last'")
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
        device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), abstract
        )
        try:
            stored = self._checkpointer.checkpointables_metadata(step).custom_metadata or {}
            read = self._checkpointer.load_checkpointables(step, abstract)
        except Exception as error:  # Orbax and TensorStore raise many kinds for a damaged file
            reason = " ".join(str(error).split())[:200]
            raise self._damaged(step, f"{type(error).__name__}: {reason}") from error
        found = {name: digest(tree) for name, tree in read.items()}
        found["metrics"] = json_sha256(self.steps()[step] or None)
        expected = stored.get("sha256", {})
        for name, value in found.items():
            if value != expected.get(name):
                raise self._damaged(step, f"its {name} are not those that were saved")
        return read

    def _damaged(self, step: int, reason: str) -> DamagedError:
        others = ", ".join(str(number) for number in self.steps() if number != step)
        return DamagedError(
            f"{self._root / str(step)}: damaged ({reason}); "
            + (f"--step={others} may be intact" if others else "no other is kept")
        )

    def close(self) -> None:
        """Waits for what is being written."""
        if not self._is_made():
            return
        try:
            self._checkpointer.close()
        except Exception:
            if not self._has_failed:  # otherwise it says again what `save` has said
                raise


class _Kept:
    """The newest two epochs, the best, and what a stop saved in the middle of the epoch since."""

    def __init__(self, metric: str) -> None:
        self._metric = metric

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """One answer per checkpoint."""
        del context
        epochs = [item for item in checkpoints if item.metrics]
        measured = [item for item in epochs if self._metric in item.metrics]
        best = max(measured, key=lambda item: (item.metrics[self._metric], item.step), default=None)
        kept = {item.step for item in [*epochs[-NUM_LATEST:], best] if item}
        newest = epochs[-1].step if epochs else -1
        return [
            item.step in kept or (not item.metrics and item.step > newest) for item in checkpoints
        ]


def _say_faults_once() -> None:
    """What Orbax raises is enough: each of its threads also prints a traceback, in two ways."""
    logging.getLogger("orbax").setLevel(logging.WARNING)
    logger = logging.getLogger("absl")
    if not any(found is _not_of_orbax for found in logger.filters):
        logger.addFilter(_not_of_orbax)
        sys.unraisablehook = functools.partial(_print_uncaught, sys.unraisablehook)


def _not_of_orbax(record: logging.LogRecord) -> bool:
    return "/orbax/" not in record.pathname or record.levelno < logging.ERROR


def _print_uncaught(before: Any, uncaught: Any) -> None:
    # TensorStore's threads come with this when the others have given up.
    if str(uncaught.exc_value) != "Event loop is closed":
        before(uncaught)


def _fault_of_disk(error: BaseException) -> str:
    """What the system said about a write that failed, "" for any other error."""
    text = f"{error} {error.__cause__} {error.__context__}"
    return next((os.strerror(code) for code in FAULTS if os.strerror(code) in text), "")


def fresh_state(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    return TrainState(jax.numpy.zeros((), jax.numpy.int32), params, optimizer.init(params))


def fresh_states(
    network: ModelConfig, optimizer: optax.GradientTransformation, keys: np.ndarray
) -> TrainState:
    """The states [S, ...] of S seeds before the first step, on the host.

    keys: [S, 2], key_data of the keys of their parameters. Optimizers begin with zeros.
    """
    _, shapes = abstract(network)
    zeros = jax.tree.map(
        lambda leaf: np.zeros((len(keys), *leaf.shape), leaf.dtype),
        abstract_state(shapes, optimizer),
    )
    return dataclasses.replace(zeros, params=first_parameters(network, keys))


def abstract_state(shapes: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """Shapes of a state, from those of its parameters, without computing it."""
    return jax.eval_shape(lambda params: fresh_state(params, optimizer), shapes)


def restore(run: Run, workdir: pathlib.Path, step: str | int) -> tuple[nnx.GraphDef[Any], Any, int]:
    """The network's graph, its parameters as a nested dict, and the step number.

    step: as in `Checkpoints.resolve`; a published run has one, which is the best and the last.
    Raises UserError if it is not kept or is damaged.
    """
    graphdef, shapes = abstract(run.model_config)
    if (workdir / WEIGHTS).is_file():
        params, number = read_weights(workdir / WEIGHTS, shapes)
        if str(step) not in ("best", "last", str(number)):
            raise UserError(f"step {step!r}: {workdir} is a published run, of step {number} alone")
    else:
        checkpoints = Checkpoints(workdir, metric=run.config.train.selection_metric)
        number = checkpoints.resolve(step)
        params = checkpoints.restore_params(number, shapes)
        checkpoints.close()
    # Not jax.numpy.asarray, which compiles a program for each shape.
    return graphdef, jax.device_put(params), number
