"""The parameters of a published run: one safetensors file, arrays by name, never a pickle."""

import hashlib
import json
import pathlib
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.staged import write_bytes

_FACTS = "refinevad_jax"  # the entry of the file's metadata, JSON


def write_weights(path: pathlib.Path, params: Any, step: int) -> None:
    """Writes parameters, with their digest and the step they were taken at.

    params: nested dict of arrays. Raises OSError if the file cannot be written.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(value) for name, value in _flat(params).items()}
    # One entry, because safetensors writes several in an order that changes.
    facts = {"step": step, "sha256": digest(params)}
    write_bytes(path, save(arrays, {_FACTS: json.dumps(facts)}))


def read_weights(path: pathlib.Path, shapes: Any) -> tuple[Any, int]:
    """Parameters and step of a file; shapes gives names and shapes, nested.

    Raises UserError if the file is damaged or of another network.
    """
    from flax.traverse_util import unflatten_dict
    from safetensors import SafetensorError, safe_open

    what = f"{path}: damaged; bring the file back from where it was published"
    with as_damaged(what, OSError, SafetensorError, RecursionError):
        with safe_open(path, framework="numpy") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            stored = json.loads((file.metadata() or {})[_FACTS])
        step = int(stored["step"])
        params = unflatten_dict(found, sep=".")
        if stored["sha256"] != digest(params):
            raise ValueError("the arrays are not those that were saved")
    expected, given = (
        {name: (leaf.shape, leaf.dtype) for name, leaf in leaves.items()}
        for leaves in (_flat(shapes), found)
    )
    other = [name for name in sorted({*expected, *given}) if expected.get(name) != given.get(name)]
    if other:
        raise UserError(
            f"{path}: {other[0]!r} is not that of the network in config.json beside it; take both "
            "files from the same place"
        )
    return params, step


def digest(tree: Any) -> str:
    """SHA-256 of the arrays of a tree, their names, shapes and types."""
    import jax

    found = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.ascontiguousarray(leaf)
        found.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _flat(tree: Any) -> dict[str, Any]:
    from flax.traverse_util import flatten_dict

    return flatten_dict(tree, sep=".")
