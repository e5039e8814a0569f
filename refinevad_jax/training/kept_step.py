"""The traced step kept beside compiled programs, because tracing takes as long as all else of a
warm start.

Only the command that trains asks for it (`keep`): in a process whose functions may be replaced,
as in a notebook, nothing tells what was traced. A file holds what its name is the digest of: all
of this package's sources, versions of libraries, settings of JAX, configuration and shapes.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import pathlib
import platform
from typing import Any

import jax
from jax import export

from refinevad_jax.files.staged import write_bytes

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")
SOURCES = pathlib.Path(__file__).resolve().parents[1]
_keeping = False


def keep() -> None:
    """From now on traced steps are kept in the folder of compiled programs, if there is one."""
    global _keeping
    _keeping = True


@dataclasses.dataclass(frozen=True)
class Step:
    """A function of a step before jit.

    Attributes:
        function: of a state and more arguments, to a state of the same structure and a flat dict.
        options: of jax.jit.
        facts: what decides it in addition to its arguments and sources, with a repr that says all.
    """

    function: Any
    options: dict[str, Any]
    facts: Any

    def lowered(self, *arguments: Any) -> jax.stages.Lowered:
        """For arrays or shapes; traced, or read from what an earlier process traced."""
        folder = jax.config.values["jax_compilation_cache_dir"]
        tried = jax.default_backend() == "cpu" and jax.device_count() == 1
        if not (_keeping and folder and tried):
            return jax.jit(self.function, **self.options).lower(*arguments)
        path = pathlib.Path(folder) / f"{self.function.__name__}-{self._digest(arguments)}-traced"
        names, traced = _read(path) or self._traced(path, arguments)
        leaves, state = jax.tree.flatten(arguments[0])
        count = len(leaves)

        @functools.wraps(self.function)
        def call(*arguments: Any) -> Any:
            found = traced.call(*jax.tree.leaves(arguments))
            metrics = dict(zip(names, found[count:], strict=True))
            return jax.tree.unflatten(state, found[:count]), metrics

        return jax.jit(call, **self.options).lower(*arguments)

    def _digest(self, arguments: Any) -> str:
        leaves, tree = jax.tree.flatten(arguments)
        shapes = [(leaf.shape, str(leaf.dtype)) for leaf in leaves]
        versions = [importlib.metadata.version(name) for name in LIBRARIES]
        device = jax.devices()[0]
        facts = (self.facts, shapes, str(tree), versions, platform.python_version())
        settings = sorted((name, repr(value)) for name, value in jax.config.values.items())
        text = repr((facts, settings, device.platform, device.device_kind))
        return hashlib.sha256((text + _sources()).encode()).hexdigest()

    def _traced(self, path: pathlib.Path, arguments: Any) -> tuple[list[str], Any]:
        """Names of the metrics and the traced function of leaves, which are written."""
        leaves, tree = jax.tree.flatten(arguments)
        names: list[str] = []

        def flat(*leaves: Any) -> list[Any]:
            state, metrics = self.function(*jax.tree.unflatten(tree, leaves))
            names[:] = metrics
            return [*jax.tree.leaves(state), *metrics.values()]

        found = export.export(jax.jit(flat))(*leaves)
        content = json.dumps(names).encode() + b"\n" + found.serialize()
        with contextlib.suppress(OSError):  # it is a gain of time alone; JAX warns of the folder
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, hashlib.sha256(content).digest() + content)
        return names, found


def _read(path: pathlib.Path) -> tuple[list[str], Any] | None:
    """What `_traced` wrote; None if the file is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, content = content[:32], content[32:]
    if hashlib.sha256(content).digest() != digest:
        return None
    names, _, traced = content.partition(b"\n")
    return json.loads(names), export.deserialize(bytearray(traced))


@functools.cache
def _sources() -> str:
    """SHA-256 of all Python files of this package."""
    found = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*.py")):
        found.update(str(path.relative_to(SOURCES)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()
