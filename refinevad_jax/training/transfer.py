"""Starts a run with parts of another run's network.

Paper: CORE trained on UCF-Crime and reused for XD-Violence. Prototypes and category outputs are
carried over category by category; data sets may have different ones. With names as sentences
(config.model.category_names) what makes both of a name is carried over whole, for any categories.
"""

import dataclasses
import pathlib
import shlex
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from refinevad_jax.data.taxonomy import in_words, matching
from refinevad_jax.errors import UserError
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import abstract
from refinevad_jax.runs.checkpoints import Checkpoints, restore
from refinevad_jax.runs.run import Run, is_published, read_run

NAMES = "core.names"  # sentence embeddings of the categories of a run
# Modules of the network that each of config.TRANSFER_PARTS is made of.
MODULES = {"motar": ("modality_norm", "motar"), "core": ("core",), "scorer": ("scorer",)}


def check_transfer(run: Run) -> None:
    """Looks whether the parts of config.transfer fit a run, before anything is computed.

    Raises UserError for a workdir without that checkpoint, or if a part does not fit: which
    settings differ, in which file, and what to do.
    """
    if not run.config.transfer.workdir:
        return
    donor_dir, donor = _donor(run)
    if not is_published(donor_dir):
        checkpoints = Checkpoints(donor_dir, metric=donor.config.train.selection_metric)
        checkpoints.resolve(run.config.transfer.step)
        checkpoints.close()
    shapes = [abstract(one.model_config)[1] for one in (run, donor)]
    jax.eval_shape(lambda own, theirs: _merged(own, theirs, run, donor)[0], *shapes)


def transferred(params: Any, run: Run) -> tuple[Any, str]:
    """Fresh parameters of a run with the parts of config.transfer put in, and what was done.

    Raises UserError as `check_transfer` does.
    """
    if not run.config.transfer.workdir:
        return params, ""
    donor_dir, donor = _donor(run)
    _, donated, step = restore(donor, donor_dir, run.config.transfer.step)
    own = _parts(params)
    params, loaded = _merged(params, donated, run, donor)
    kept = [name for name in own if name not in loaded]
    note = f"from {donor_dir}, step {step}: {', '.join(loaded)}; fresh: {', '.join(kept) or 'none'}"
    source, target = donor.info.taxonomy, run.info.taxonomy
    if NAMES in own:
        note += f"; names: {', '.join(target.display_names)}"
    elif "core.prototypes" in loaded and source != target:
        note += f"\ncategories: {in_words(source, target)}"
    return params, note


def _donor(run: Run) -> tuple[pathlib.Path, Run]:
    """The workdir that config.transfer names, and its run."""
    folder = pathlib.Path(run.config.transfer.workdir)
    try:
        return folder, read_run(folder)
    except UserError as error:
        raise UserError(f"config.transfer.workdir={folder}: {error}") from error


def _merged(params: Any, donated: Any, run: Run, donor: Run) -> tuple[Any, list[str]]:
    """Parameters with the parts of another run, and the names of these parts."""
    found = matching(donor.info.taxonomy, run.info.taxonomy)
    own, theirs = _parts(params), _parts(donated)
    loaded = []
    for name in dict.fromkeys([NAMES, *own, *theirs]):
        part = next(part for part, modules in MODULES.items() if name.split(".")[0] in modules)
        if part not in run.config.transfer.parts:
            continue
        if name == NAMES and (name in own) == (name in theirs):
            continue  # the categories of a run are its own
        if name not in own or name not in theirs:
            raise _misfit(part, run, donor)
        new = theirs[name]
        if NAMES in own:
            pass  # what makes a category of a name holds for all names
        elif name == "core.prototypes":
            new = _rows(own[name], new, found)
        elif name == "core.category_head":
            new = new | {"classifier": _classifier(own[name]["classifier"], new, found)}
        other_norm = run.model_config.normalization != donor.model_config.normalization
        if _shapes(own[name]) != _shapes(new) or (name == "modality_norm" and other_norm):
            raise _misfit(part, run, donor)
        module, _, child = name.partition(".")
        params = params | {module: params[module] | {child: new} if child else new}
        loaded.append(name)
    return params, loaded


def _misfit(part: str, run: Run, donor: Run) -> UserError:
    """Why a part of another run does not fit, and what to do."""
    there = pathlib.Path(run.config.transfer.workdir) / "config.json"
    differences, cures = [], []
    for field in _differing(part, run.model_config, donor.model_config):
        if field == "modality_widths":
            differences.append(f"D is {_channels(donor)} there and {_channels(run)} here")
            cures.append("package features of the same encoders")
            continue
        key = f"{'data' if field == 'normalization' else 'model'}.{field}"
        theirs, own = (getattr(one.model_config, field) for one in (donor, run))
        differences.append(f"config.{key} is {theirs!r} there and {own!r} here")
        cures.append(f"give --config.{key}={shlex.quote(str(theirs))}")
    what = "; ".join(differences) or "its arrays have other shapes"
    cure = ", or ".join([*([" and ".join(cures)] if cures else []), f"leave {part!r} out of"])
    return UserError(
        f"config.transfer.workdir: {part!r} of {there} does not fit this run: {what}; {cure} "
        "config.transfer.parts"
    )


def _differing(part: str, own: ModelConfig, donor: ModelConfig) -> list[str]:
    """The fields of a network's shape in which two runs differ and that decide a part."""
    found = []
    for field in dataclasses.fields(ModelConfig):
        value = getattr(donor, field.name)
        if field.name == "num_categories" or value == getattr(own, field.name):
            continue
        try:
            other = abstract(dataclasses.replace(own, **{field.name: value}))[1]
        except (ValueError, TypeError, AssertionError):  # one alone may not go with the others
            found.append(field.name)
            continue
        before = abstract(own)[1]
        # Deviations from the median of a video and of a recording have one shape.
        norm = field.name == "normalization" and "modality_norm" in MODULES[part]
        if norm or any(_shapes(before.get(m)) != _shapes(other.get(m)) for m in MODULES[part]):
            found.append(field.name)
    return found


def _channels(run: Run) -> str:
    """D of a run by modality, and the data set that has it, in words."""
    widths = run.model_config.modality_widths
    return f"{sum(widths)} ({' + '.join(map(str, widths))}, data set {run.info.name!r})"


def _parts(params: Any) -> dict[str, Any]:
    """Parameters by "modality_norm", "motar.gate", "core.prototypes", "scorer" and so on."""
    found: dict[str, Any] = {}
    for module, value in params.items():
        if module in ("motar", "core"):
            found |= {f"{module}.{child}": part for child, part in value.items()}
        else:
            found[module] = value
    return found


def _rows(fresh: Any, donated: Any, found: np.ndarray) -> Any:
    """Prototypes [C, H]: those of known categories, fresh ones for the others."""
    if fresh.shape[1:] != donated.shape[1:]:
        return donated  # refused by the check of shapes, with both
    known = jnp.asarray(found >= 0).reshape(-1, *[1] * (fresh.ndim - 1))
    return jnp.where(known, donated[np.maximum(found, 0)], fresh)


def _classifier(fresh: Any, head: Any, found: np.ndarray) -> Any:
    """The linear layer to 2C logits, (normal, anomalous) for each category."""
    new = {}
    for key, value in head["classifier"].items():
        own = fresh[key]
        donated = jnp.moveaxis(value.reshape(*value.shape[:-1], -1, 2), -2, 0)
        fresh_rows = jnp.moveaxis(own.reshape(*own.shape[:-1], -1, 2), -2, 0)
        rows = _rows(fresh_rows, donated, found)
        new[key] = jnp.moveaxis(rows, 0, -2).reshape(*rows.shape[1:-1], -1)
    return new


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """By place; empty for None, a part that a network does not have."""
    return {
        jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree.leaves_with_path(tree)
    }
