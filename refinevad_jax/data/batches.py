"""The training list as arrays: bags resampled to one length, and the lists of both kinds."""

import dataclasses
import mmap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from refinevad_jax.data.bags import Bag
from refinevad_jax.errors import UserError

# NumPy adds all but the first one by one, and then the first; more rows it adds in another order.
FEW_ROWS = 8
NUM_THREADS = 2  # that resample: NumPy lets others run meanwhile


@dataclasses.dataclass(frozen=True)
class ListShape:
    """What a step has to know of a training list before it is read.

    Attributes:
        features: V, N, T, D.
        num_categories: C.
        in_files: whether the videos stay in their files.
    """

    features: tuple[int, int, int, int]
    num_categories: int
    in_files: bool

    @property
    def nbytes(self) -> int:
        """What the features would take in memory."""
        return int(np.prod(self.features, dtype=np.int64)) * np.dtype(np.float16).itemsize

    @classmethod
    def of(cls, num_videos: int, first: Bag, num_segments: int, columns: np.ndarray) -> "ListShape":
        """Of a list like its first bag."""
        num_crops = first.features.shape[0]
        in_files = not isinstance(first.features, np.ndarray)
        shape = (num_videos, num_crops, num_segments, len(columns))
        return cls(shape, len(first.labels), in_files)


@dataclasses.dataclass(frozen=True)
class TrainingBags:
    """A training list as arrays.

    Attributes:
        features: [V, N, T, D] float16, N crops: an array, or rows that are made when asked for.
        labels: [V, C] bool.
        normal, anomalous: [S, ...] int, indices into V of the two lists of every seed. They differ
            if each seed holds other videos out.
    """

    features: "np.ndarray | StoredRows"
    labels: np.ndarray
    normal: np.ndarray
    anomalous: np.ndarray

    @property
    def list_shape(self) -> ListShape:
        """Its shapes."""
        in_files = isinstance(self.features, StoredRows) and self.features.in_files
        return ListShape(self.features.shape, self.labels.shape[1], in_files)

    def steps_per_epoch(self, batch_size: int) -> int:
        """An epoch is one pass over the shorter of the two lists."""
        return max(1, min(self.normal.shape[1], self.anomalous.shape[1]) // (batch_size // 2))


class StoredRows:
    """Training features [V, N, T, D] that are resampled when asked for.

    Attributes:
        shape: V, N, T, D.
        nbytes: what they would take in memory.
        in_files: whether the videos stay in their files.
    """

    dtype = np.dtype(np.float16)

    def __init__(self, bags: list[Bag], num_segments: int, columns: np.ndarray) -> None:
        self._bags, self._num_segments = bags, num_segments
        width = bags[0].features.shape[2]
        shape = ListShape.of(len(bags), bags[0], num_segments, columns)
        self.shape, self.nbytes, self.in_files = shape.features, shape.nbytes, shape.in_files
        whole = np.array_equal(columns, np.arange(width))
        self._columns = slice(None) if whole else columns  # a slice copies nothing

    def row(self, video: int, crop: int) -> np.ndarray:
        """[T, D] float16: the same values as for bags in memory."""
        whole = self._bags[video].features[crop : crop + 1]
        return resample(whole[..., self._columns], self._num_segments)[0].astype(np.float16)

    def in_memory(self) -> np.ndarray:
        """All of them, [V, N, T, D] float16, read-only: a device may share the memory."""
        found = _memory(self.shape)

        def fill(video: int) -> None:
            rows = self._bags[video].features[..., self._columns]
            found[video] = resample(rows, self._num_segments)

        with ThreadPoolExecutor(NUM_THREADS) as threads:
            for _ in threads.map(fill, range(len(found))):
                pass
        found.flags.writeable = False
        return found


def _memory(shape: tuple[int, ...]) -> np.ndarray:
    """Memory for float16 that JAX takes as it is on processors, because it begins with a page.

    NumPy's own is copied, and asks for huge pages, which some virtual machines give slowly.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(np.float16).itemsize
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # Python's default takes half as long again
    return np.frombuffer(mmap.mmap(-1, size, flags=private), np.float16).reshape(shape)


def resample(features: np.ndarray, num_segments: int) -> np.ndarray:
    """Averages inside num_segments equal bins; an empty bin repeats the row at its edge.

    The rule of RTFM, UR-DMU and BN-WVAD: edges int(linspace(0, T, num_segments + 1)).
    features: [N, T, D]. Returns [N, num_segments, D], float64 if rows were averaged, else of
    their own type.
    """
    length = features.shape[1]
    edges = np.linspace(0, length, num_segments + 1, dtype=np.int64)
    starts = np.minimum(edges[:-1], length - 1)
    ends = np.maximum(edges[1:], starts + 1)
    if length <= num_segments:
        return features[:, starts]  # no bin holds more than one row
    counts = ends - starts
    return _sums(features.astype(np.float32), starts, counts) / counts[None, :, None]


def _sums(rows: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """np.add.reduceat(rows, starts, axis=1) in the same order, which takes a quarter of the time.

    rows: [N, T, D]; counts: rows from each start to the next. Returns [N, bins, D].
    """
    if counts.max() > FEW_ROWS:
        return np.add.reduceat(rows, starts, axis=1)
    found = rows[:, starts]
    for count in set(counts.tolist()) - {1}:
        own = counts == count
        first = starts[own]
        others = rows[:, first + 1]
        for later in range(2, count):
            others += rows[:, first + later]
        found[:, own] += others
    return found


def training_bags(
    bags: list[Bag],
    num_segments: int,
    columns: np.ndarray,
    *,
    held_out: Sequence[frozenset[str]] = (frozenset(),),
) -> TrainingBags:
    """A training list whose bags are resampled later, see `resampled`.

    columns: indices of the feature channels to keep; held_out: the videos that a seed leaves out
    of training, as many for every seed. Raises UserError for a list of one kind only.
    """
    if not bags:
        raise UserError("the training list is empty; package videos into the training split")
    num_crops = {bag.features.shape[0] for bag in bags}
    if len(num_crops) > 1:
        raise UserError(
            f"the training videos have {sorted(num_crops)} crops; package them with one number"
        )
    check_both_kinds(bags)
    anomalous = np.array([bag.anomalous for bag in bags])
    return TrainingBags(
        features=StoredRows(bags, num_segments, columns),
        labels=np.stack([bag.labels for bag in bags]),
        normal=_indices(bags, ~anomalous, held_out),
        anomalous=_indices(bags, anomalous, held_out),
    )


def resampled(bags: TrainingBags) -> TrainingBags:
    """The same with features as one array, unless they are to stay in their files."""
    features = bags.features
    if isinstance(features, np.ndarray) or features.in_files:
        return bags
    return dataclasses.replace(bags, features=features.in_memory())


def check_both_kinds(bags: list[Bag]) -> None:
    """Raises UserError if the training videos are all normal or all anomalous."""
    kinds = {bag.anomalous for bag in bags}
    if len(kinds) == 1:
        kind = "anomalous" if kinds.pop() else "normal"
        raise UserError(
            f"all {len(bags)} training videos are {kind}; multiple-instance learning needs both "
            "normal and anomalous videos"
        )


def _indices(bags: list[Bag], chosen: np.ndarray, held_out: Sequence[frozenset[str]]) -> np.ndarray:
    """Indices of the chosen bags that each seed keeps. chosen: [V] bool. Returns [S, kept]."""
    kept = [np.array([bag.video_id not in ids for bag in bags]) for ids in held_out]
    return np.stack([np.flatnonzero(chosen & mask) for mask in kept])
