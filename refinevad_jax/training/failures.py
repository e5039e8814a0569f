"""A step that met a value that is not finite: kept in one file, and done again from it.

The file holds all that the step follows from: configuration, data set description, parameters,
optimizer state, batch, seed and step number. Arrays and JSON text, nothing pickled.
"""

import dataclasses
import importlib.metadata
import io
import json
import pathlib
from typing import Any

import jax
import numpy as np

from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.files.staged import write_bytes
from refinevad_jax.model.refinevad import abstract
from refinevad_jax.runs.checkpoints import TrainState, abstract_state
from refinevad_jax.runs.run import Run, run_content, run_of_content, versions
from refinevad_jax.runtime import commands
from refinevad_jax.runtime.compiler import compiler_options
from refinevad_jax.training.losses import term_names
from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer
from refinevad_jax.training.step import StepConfig, losses_and_gradient, step_key


@dataclasses.dataclass(frozen=True)
class Failure:
    """A failed step of one seed.

    Attributes:
        run: configuration and data.
        step: its number, from 0.
        term: what was not finite: "features", a term of the loss, "loss" or "gradient_norm".
        value: what it was.
        state: before the step, on the host.
        features: [B, T, D] float16.
        labels: [B, C] bool.
    """

    run: Run
    step: int
    term: str
    value: float
    state: TrainState
    features: np.ndarray
    labels: np.ndarray


def first_failure(metrics: dict[str, np.ndarray], first: int) -> tuple[int, int, str, float] | None:
    """Seed index, step, term and value of the first step with a value that is not finite.

    metrics: arrays [S, steps] of the steps from number first on. Terms come before their sum.
    """
    names = [*term_names(metrics), "loss", "gradient_norm"]
    finite = np.stack([np.isfinite(metrics[name]) for name in names])
    bad = np.argwhere(~finite)
    if not len(bad):
        return None
    term, index, offset = min(bad.tolist(), key=lambda place: (place[2], place[0]))
    return index, first + offset, names[term], float(metrics[names[term]][index, offset])


def keep(failure: Failure, workdir: pathlib.Path) -> str:
    """Writes WORKDIR/failure-step<n>.npz and says how to do the step again.

    A disk that is full does not hide the failure: the answer then says so.
    """
    path = workdir / f"failure-step{failure.step + 1}.npz"
    facts = {
        **run_content(failure.run),
        "step": failure.step,
        "term": failure.term,
        "value": repr(failure.value),
        "device": jax.devices()[0].device_kind,
        "versions": versions() | {"jaxlib": importlib.metadata.version("jaxlib")},
    }
    leaves = jax.tree.leaves((failure.state.params, failure.state.opt_state))
    arrays = {f"state{index}": np.asarray(leaf) for index, leaf in enumerate(leaves)}
    buffer = io.BytesIO()
    np.savez(
        buffer,
        allow_pickle=False,
        facts=np.array(json.dumps(facts)),
        features=failure.features,
        labels=failure.labels,
        **arrays,
    )
    try:
        write_bytes(path, buffer.getvalue())
    except OSError as error:
        return f"the step could not be kept ({path}: {error.strerror})"
    return f"do the step again: {commands.spell('replay', f'--failure={path}')}"


def read(path: pathlib.Path) -> Failure:
    """Reads what `keep` wrote. Raises UserError for another or a damaged file."""
    arrays = load_packed(path)
    try:
        facts = json.loads(str(arrays["facts"]))
        run = run_of_content(facts, source=str(path))
        _, shapes = abstract(run.model_config)
        expected = abstract_state(shapes, make_optimizer(OptimizerConfig.of(run.config), 1))
        leaves, tree = jax.tree.flatten((expected.params, expected.opt_state))
        found = [arrays[f"state{index}"] for index in range(len(leaves))]
        for leaf, array in zip(leaves, found, strict=True):
            if leaf.shape != array.shape or leaf.dtype != array.dtype:
                raise ValueError(f"an array {array.shape} instead of {leaf.shape}")
        features, labels = arrays["features"], arrays["labels"]
        if features.ndim != 3 or labels.shape != (len(features), run.info.taxonomy.num_categories):
            raise ValueError(f"features {features.shape}, labels {labels.shape}")
        params, opt_state = jax.tree.unflatten(tree, found)
        step = int(facts["step"])
        state = TrainState(jax.numpy.asarray(step), params, opt_state)
        term, value = str(facts["term"]), float(facts["value"])
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path}: not a failed step as training keeps it (failure-step<N>.npz), or damaged "
            f"({error})"
        ) from error
    return Failure(run, step, term, value, state, features, labels)


def replay(failure: Failure) -> tuple[dict[str, float], list[str]]:
    """Does the step again: loss, terms and gradient norm, and what was not finite, in words."""
    config = failure.run.config
    graphdef, _ = abstract(failure.run.model_config)
    step_config = StepConfig.of(config)

    def again(params: Any, features: Any, labels: Any, seed: Any) -> Any:
        features = features.astype(np.float32)
        key = step_key(seed, failure.step)
        return losses_and_gradient(
            params,
            features,
            labels,
            step=failure.state.step,
            key=key,
            graphdef=graphdef,
            config=step_config,
        )

    # As in training, a seed is one of several side by side.
    arguments = (failure.state.params, failure.features, failure.labels, np.uint32(config.seed))
    batched = jax.tree.map(lambda leaf: np.asarray(leaf)[None], arguments)
    run = jax.jit(jax.vmap(again), compiler_options=compiler_options())
    metrics, gradient = jax.device_get(run(*batched))
    numbers = {name: float(metrics[name][0]) for name in ("loss", *term_names(metrics))}
    found = []
    bad = np.flatnonzero(~np.isfinite(failure.features).all(axis=(1, 2)))
    found += [f"features of video {index} of the batch" for index in bad]
    found += _not_finite("parameter", failure.state.params)
    found += [name for name, value in numbers.items() if not np.isfinite(value)]
    found += _not_finite("gradient of", jax.tree.map(lambda leaf: leaf[0], gradient))
    return numbers, found


def _not_finite(what: str, tree: Any) -> list[str]:
    return [
        f"{what} {jax.tree_util.keystr(path, simple=True, separator='.')}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if not np.isfinite(leaf).all()
    ]
