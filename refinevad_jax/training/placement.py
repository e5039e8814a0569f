"""Which device computes what: a mesh of seeds by videos of a batch.

Parameters of a seed are whole on every device of its row. Axis letters: S seeds, B videos.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from refinevad_jax.errors import UserError

SEED, DATA = "seed", "data"


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where arrays go. mesh: the devices, [seeds, parts of a batch]."""

    mesh: Mesh

    @property
    def in_words(self) -> str:
        """The devices, and how many there are."""
        kind, count = self.mesh.devices.flat[0].device_kind, self.mesh.size
        return kind if count == 1 else f"{count} x {kind}"

    @property
    def per_seed(self) -> NamedSharding:
        """Sharding of [S, ...]."""
        return NamedSharding(self.mesh, PartitionSpec(SEED))

    @property
    def per_video(self) -> NamedSharding:
        """Sharding of [S, B, ...]."""
        return NamedSharding(self.mesh, PartitionSpec(SEED, DATA))

    @property
    def rows(self) -> NamedSharding:
        """Sharding of [B, ...] inside a function of one seed."""
        return NamedSharding(self.mesh, PartitionSpec(DATA))

    def own_rows(self, shape: tuple[int, int]) -> np.ndarray:
        """[S, B] bool: the rows of a batch that devices of this process compute."""
        own = np.zeros(shape, bool)
        for index in self.per_video.addressable_devices_indices_map(shape).values():
            own[index] = True
        return own

    @property
    def everywhere(self) -> NamedSharding:
        """Sharding of what all devices hold."""
        return NamedSharding(self.mesh, PartitionSpec())


def mesh_shape(num_devices: int, num_seeds: int, batch_size: int) -> tuple[int, int]:
    """Devices along the seeds and along a batch; each divides its axis.

    As many devices as possible are used. If several shapes use the same number, the one with more
    devices along the seeds is taken: seeds need not talk to each other.
    """
    shapes = [
        (seeds, rows)
        for seeds in range(1, num_devices + 1)
        for rows in range(1, num_devices // seeds + 1)
        if num_seeds % seeds == 0 and batch_size % rows == 0
    ]
    return max(shapes, key=lambda shape: (shape[0] * shape[1], shape[0]))


def placement(
    num_seeds: int, batch_size: int, devices: Sequence[jax.Device] | None = None
) -> Placement:
    """The mesh over all devices of all processes.

    Raises UserError if several processes would leave a device out.
    """
    devices = jax.devices() if devices is None else list(devices)
    shape = mesh_shape(len(devices), num_seeds, batch_size)
    used = shape[0] * shape[1]
    if used < len(devices) and jax.process_count() > 1:
        raise UserError(
            f"config.train.batch_size={batch_size}: {len(devices)} devices in "
            f"{jax.process_count()} processes cannot share it; take a multiple of {len(devices)}"
        )
    return Placement(Mesh(np.array(devices[:used]).reshape(shape), (SEED, DATA)))


def put(tree: Any, sharding: NamedSharding) -> Any:
    """A tree of arrays that every process has whole, where the sharding says."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    # device_put would compare the arrays of all processes.
    return jax.tree.map(lambda leaf: from_rows(leaf.shape, sharding, np.asarray(leaf)), tree)


def from_rows(shape: tuple[int, ...], sharding: NamedSharding, rows: Any) -> jax.Array:
    """An array of which every device asks rows[slices] for its part; rows may be a function."""
    read: Callable[[Any], Any] = rows if callable(rows) else rows.__getitem__
    return jax.make_array_from_callback(shape, sharding, read)


def on_host(leaf: Any) -> np.ndarray:
    """The whole of an array, in every process; all of them must ask."""
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        from jax.experimental import multihost_utils

        return multihost_utils.process_allgather(leaf, tiled=True)
    return np.asarray(leaf)
