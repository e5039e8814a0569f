"""Starts a run with parts of another run's network.

Paper: CORE trained on UCF-Crime and reused for XD-Violence. Prototypes and category outputs are
carried over category by category; data sets may have different ones. With names as sentences
(config.model.category_names) what makes both of a name is carried over whole, for any categories.
"""

import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from refinevad_jax.data.taxonomy import in_words, matching
from refinevad_jax.errors import UserError
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import Run, read_run

NAMES = "core.names"  # sentence embeddings of the categories of a run
# Modules of the network that each of config.TRANSFER_PARTS is made of.
MODULES = {"motar": ("modality_norm", "motar"), "core": ("core",), "scorer": ("scorer",)}


def transferred(params: Any, run: Run) -> tuple[Any, str]:
    """Fresh parameters of a run with the parts of config.transfer put in, and what was done.

    Raises UserError for a workdir without checkpoint, or if one of the two networks lacks a part of
    the other, or a part does not fit.
    """
    transfer: ConfigDict = run.config.transfer
    if not transfer.workdir:
        return params, ""
    donor_dir = pathlib.Path(transfer.workdir)
    donor = read_run(donor_dir)
    _, donated, step = restore(donor, donor_dir, transfer.step)
    source, target = donor.info.taxonomy, run.info.taxonomy
    found = matching(source, target)
    own, theirs = _parts(params), _parts(donated)
    loaded = []
    for name in dict.fromkeys([NAMES, *own, *theirs]):
        if not any(name.split(".")[0] in MODULES[part] for part in transfer.parts):
            continue
        if name == NAMES and (name in own) == (name in theirs):
            continue  # the categories of a run are its own
        if name not in own or name not in theirs:
            has = "this run" if name in own else f"{donor_dir}"
            raise UserError(f"config.transfer.parts: only {has} has {name!r}; leave its part out")
        new = theirs[name]
        if NAMES in own:
            pass  # what makes a category of a name holds for all names
        elif name == "core.prototypes":
            new = _rows(own[name], new, found)
        elif name == "core.category_head":
            new = new | {"classifier": _classifier(own[name]["classifier"], new, found)}
        _check_shapes(name, own[name], new, donor_dir)
        module, _, child = name.partition(".")
        params = params | {module: params[module] | {child: new} if child else new}
        loaded.append(name)
    kept = [name for name in own if name not in loaded]
    note = f"from {donor_dir}, step {step}: {', '.join(loaded)}; fresh: {', '.join(kept) or 'none'}"
    if NAMES in own:
        note += f"; names: {', '.join(target.display_names)}"
    elif "core.prototypes" in loaded and source != target:
        note += f"\ncategories: {in_words(source, target)}"
    return params, note


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


def _check_shapes(name: str, fresh: Any, donated: Any, donor: pathlib.Path) -> None:
    here, there = (
        {key: leaf.shape for key, leaf in flatten_dict({name: tree}, sep=".").items()}
        for tree in (fresh, donated)
    )
    for key in sorted(here | there):
        if here.get(key) != there.get(key):
            raise UserError(
                f"config.transfer.workdir={donor}: {key} is {there.get(key)} there and "
                f"{here.get(key)} here; take the same config.model, or leave its part out of "
                "config.transfer.parts"
            )
