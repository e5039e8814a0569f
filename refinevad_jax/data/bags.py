"""Reads a dataset folder: feature bags with their labels and frame truth, as NumPy arrays.

The folder is what `data_prep` writes: a TFDS data set in ArrayRecord files with a metadata.json
(schema in docs/data_format.md). TensorFlow is not needed.
"""

import dataclasses
import functools
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.half import all_finite
from refinevad_jax.files.hashes import file_sha256, json_sha256
from refinevad_jax.runtime import commands

BUILDER_NAME = "feature_bags"
SCHEMA_VERSION = 1
MAX_SIZE = 1_000_000  # channels of a modality, frames of a segment
DESCRIPTIONS = ("dataset_info.json", "features.json")  # TFDS's files beside metadata.json


@dataclasses.dataclass(frozen=True)
class Modality:
    """A run of feature channels that one encoder made: its name and width in channels."""

    name: str
    width: int


@dataclasses.dataclass(frozen=True)
class BagsInfo:
    """What holds for a whole data set.

    Attributes:
        name: the data set's name, as in `data.dataset`.
        taxonomy: its categories.
        modalities: channel runs of a feature vector, in order; their widths add up to D.
        frames_per_segment: frames that one segment covers (16 in the field).
        encoder: what made the features, in words; a checkpoint remembers it.
        end_convention: "exclusive", span (s, e) covers frames s .. e-1.
        source: where the data came from, in words.
        simulated: True if the features are made up; every report then says so.
        provenance: input files with their SHA-256, and how they were read.
        normalization: {modality: "l2"} if every row that is not zero has length 1, "none"
            otherwise; measured when the data set is written. Empty if it was not measured.
        fps: frames per second of the videos that state it; 0 if they differ or none does.
    """

    name: str
    taxonomy: Taxonomy
    modalities: tuple[Modality, ...]
    frames_per_segment: int = 16
    encoder: str = "unknown"
    end_convention: str = "exclusive"
    source: str = ""
    simulated: bool = False
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)
    normalization: dict[str, str] = dataclasses.field(default_factory=dict)
    fps: float = 0.0

    @property
    def width(self) -> int:
        """D, the number of feature channels."""
        return sum(modality.width for modality in self.modalities)

    def to_dict(self) -> dict[str, Any]:
        """What the dataset folder and a workdir keep as JSON."""
        values = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}
        if not self.fps:  # so that data sets without a rate are as they were before it was stated
            del values["fps"]
        return values

    def same_data(self, other: "BagsInfo") -> bool:
        """Whether both describe the same data, whatever its name."""
        return dataclasses.replace(self, name="") == dataclasses.replace(other, name="")

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, source: str) -> "BagsInfo":
        """Reads the JSON form; source names the file in errors."""
        found = values.get("schema_version") if isinstance(values, dict) else None
        if found != SCHEMA_VERSION:
            raise UserError(
                f"{source}: schema version {found!r:.60}, this release reads "
                f"{SCHEMA_VERSION}; package the data again"
            )
        values = {"normalization": {}, "fps": 0.0, **values}  # not stated: never measured
        with as_damaged(f"{source}: damaged metadata; package the data again"):
            fields = {field.name: values[field.name] for field in dataclasses.fields(cls)}
            fields["taxonomy"] = Taxonomy.from_dict(fields["taxonomy"], source=source)
            fields["modalities"] = tuple(Modality(**modality) for modality in fields["modalities"])
            _check_fields(fields)
        return cls(**fields)


def _check_fields(fields: dict[str, Any]) -> None:
    """Raises ValueError for a value of another kind than BagsInfo declares."""
    texts = [fields[name] for name in ("name", "encoder", "end_convention", "source")]
    texts += [modality.name for modality in fields["modalities"]]
    texts += [*fields["normalization"], *fields["normalization"].values()]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name or description is not text")
    if not fields["modalities"]:
        raise ValueError("no modality")
    sizes = [fields["frames_per_segment"], *(modality.width for modality in fields["modalities"])]
    if not all(type(size) is int and 0 < size <= MAX_SIZE for size in sizes):
        raise ValueError(f"a width or frames_per_segment is not a number from 1 to {MAX_SIZE:,}")
    if type(fields["fps"]) not in (int, float) or not 0 <= fields["fps"] < MAX_SIZE:
        raise ValueError("fps is not a rate")
    if type(fields["simulated"]) is not bool or not isinstance(fields["provenance"], dict):
        raise ValueError("simulated or provenance is of another type")


@dataclasses.dataclass(frozen=True)
class Bag:
    """One video.

    Attributes:
        video_id: unique name.
        label: the raw label string.
        labels: [C] bool, all False for a normal video.
        features: [N, T, D] float16, N crops; an array, or StoredFeatures in its place.
        num_frames: frames of the video file, or T x frames_per_segment if unknown.
        fps: frames per second, 0 if unknown.
        spans: [S, 3] int32, frames [start, end) and category index (-1: not stated).
        has_truth: whether the spans are known; a normal video with truth has none.
        recording: the film, camera or longer recording that it is a piece of; "" if the data set
            states none.
    """

    video_id: str
    label: str
    labels: np.ndarray
    features: np.ndarray
    num_frames: int
    fps: float
    spans: np.ndarray
    has_truth: bool
    recording: str = ""

    @property
    def num_segments(self) -> int:
        """T."""
        return self.features.shape[1]

    @property
    def anomalous(self) -> bool:
        """Whether the video-level label names a category."""
        return bool(self.labels.any())


class StoredFeatures:
    """Features [N, T, D] of one video; each indexing reads its record again."""

    dtype = np.dtype(np.float16)

    def __init__(self, records: Any, number: int, shape: tuple[int, ...], place: str) -> None:
        """records: gives the record of a number, from any thread; place: the files, for errors."""
        self._records, self._number, self.shape, self._place = records, number, shape, place

    def __getitem__(self, index: Any) -> np.ndarray:
        """The rows asked for. Raises UserError if the files are missing or have changed since."""
        what = (
            f"{self._place}: a video cannot be read now; bring the files back or package the data "
            "again, then run the same command again"
        )
        with as_damaged(what, Exception):  # the readers below raise many kinds for a damaged file
            return self._records[self._number]["features"][index]


def dataset_dir(data_dir: str, dataset: str) -> pathlib.Path:
    """The folder of a data set below data_dir."""
    return pathlib.Path(data_dir).expanduser() / BUILDER_NAME / dataset / f"{SCHEMA_VERSION}.0.0"


def read_info(data_dir: str, dataset: str) -> BagsInfo:
    """Reads the metadata of a data set. Raises UserError that says how to come by it.

    Its name is the one asked for: the folder may have been renamed.
    """
    folder = dataset_dir(data_dir, dataset)
    path = folder / "metadata.json"
    if not path.is_file():
        words = [f"--name={dataset}", f"--data_dir={data_dir}", "--list=train=LIST"]
        words += ["--list=test=LIST", "--features=FOLDER", "--taxonomy=NAME"]
        raise UserError(
            f"no data set {dataset!r} in {data_dir}{_others(folder)}: {folder.absolute()} is not "
            "there. Name the folder that holds feature_bags/ (--data_dir, in training "
            "--config.data.data_dir), or make the data set of features and lists (docs/data.md): "
            f"{commands.spell('package', *words)}; to see the whole way first: 'make demo' in a "
            f"checkout, or {commands.spell('package', '--builtin=survfight', words[1])}"
        )
    with as_damaged(f"{path}: damaged; package the data again", RecursionError):
        values = json.loads(path.read_text(encoding="utf-8"))
        _check_digests(folder, values)
    return dataclasses.replace(BagsInfo.from_dict(values, source=str(path)), name=dataset)


def _others(folder: pathlib.Path) -> str:
    """Which data sets lie beside a folder, in words."""
    found = sorted(path.parents[1].name for path in folder.parents[1].glob("*/*/metadata.json"))
    return f", which has {', '.join(found[:5])}{', ...' * (len(found) > 5)}" if found else ""


def with_digests(folder: pathlib.Path, values: dict[str, Any]) -> dict[str, Any]:
    """The content of metadata.json with the SHA-256 of itself and of the other JSON files.

    The files of records need none: theirs are in every block of them.
    """
    digests = {name: file_sha256(folder / name) for name in DESCRIPTIONS}
    return values | {"sha256": digests | {"metadata.json": json_sha256(values)}}


def _check_digests(folder: pathlib.Path, values: dict[str, Any]) -> None:
    """Raises ValueError naming a file whose content is not what was written."""
    expected = values.pop("sha256", None)
    if expected is not None:  # other programs may write the folder without
        found = with_digests(folder, values)["sha256"]
        changed = [name for name in found if found[name] != expected.get(name)]
        if changed:
            raise ValueError(f"the SHA-256 of {changed[0]} is another")


@functools.lru_cache(maxsize=8)
def _builder(folder: pathlib.Path) -> Any:
    import tensorflow_datasets as tfds

    # TFDS raises many kinds for damaged descriptions.
    with as_damaged(f"{folder}: damaged; package the data again", Exception):
        return tfds.builder_from_directory(folder)


def split_sizes(data_dir: str, dataset: str) -> dict[str, int]:
    """Number of videos of every split."""
    return {name: split.num_examples for name, split in _splits(data_dir, dataset).items()}


def _splits(data_dir: str, dataset: str) -> Any:
    """TFDS's description of every split, by name, of a data set whose metadata is whole."""
    read_info(data_dir, dataset)
    return _builder(dataset_dir(data_dir, dataset)).info.splits


def require_split(data_dir: str, dataset: str, split: str) -> None:
    """Raises UserError, with the splits that there are, if the data set does not have this one."""
    sizes = split_sizes(data_dir, dataset)
    if split not in sizes:
        words = ", ".join(f"{name} ({size})" for name, size in sizes.items())
        raise UserError(f"data set {dataset!r} has no split {split!r}; it has {words}")


def first_bag(
    data_dir: str, dataset: str, split: str, *, memory_gb: float = math.inf
) -> tuple[int, Bag] | None:
    """Number of videos of a split, and the first in its files; None for a split without videos.

    memory_gb and errors: as for `read_split`.
    """
    require_split(data_dir, dataset, split)
    first = next(_bags(data_dir, dataset, split, memory_gb), None)
    return first and (split_sizes(data_dir, dataset)[split], first[1])


def read_split(
    data_dir: str, dataset: str, split: str, *, memory_gb: float = math.inf
) -> list[Bag]:
    """Reads every video of a split, in the order of the list it was packaged from.

    memory_gb: if the records take more, they are read once and the features stay in their files,
    as StoredFeatures, which give the same arrays.
    Raises UserError if the data set or the split does not exist, or a record is damaged.
    """
    require_split(data_dir, dataset, split)
    found = list(_bags(data_dir, dataset, split, memory_gb))
    expected = split_sizes(data_dir, dataset)[split]
    if len(found) != expected:
        raise UserError(
            f"{dataset_dir(data_dir, dataset)}: split {split!r} has {len(found)} of {expected} "
            "videos; package the data again"
        )
    return [bag for _, bag in sorted(found, key=lambda pair: pair[0])]


def _bags(data_dir: str, dataset: str, split: str, memory_gb: float) -> Iterator[tuple[int, Bag]]:
    """Position in the list and bag of every video, in the order of the files."""
    splits = _splits(data_dir, dataset)
    folder = dataset_dir(data_dir, dataset)
    place = f"{folder}: split {split!r}"
    # The readers below raise many kinds for a damaged file.
    with as_damaged(f"{place} cannot be read; package the data again", Exception):
        source = _builder(folder).as_data_source(split)
        for number, record in enumerate(source):
            features = record["features"]
            if not all_finite(features):
                raise UserError(
                    f"{folder}: video {record['video_id'].decode()!r} of split {split!r} has "
                    "features that are not finite; package the data again"
                )
            if splits[split].num_bytes > memory_gb * 1e9:
                record["features"] = StoredFeatures(source, number, features.shape, place)
            yield record["position"], _bag(record)


def _bag(record: dict[str, Any]) -> Bag:
    return Bag(
        video_id=record["video_id"].decode(),
        label=record["label"].decode(),
        labels=record["labels"],
        features=record["features"],
        num_frames=int(record["num_frames"]),
        fps=float(record["fps"]),
        spans=record["spans"],
        has_truth=bool(record["has_truth"]),
        recording=record.get("recording", b"").decode(),  # earlier releases did not store it
    )
