"""Writes the dataset folder: records in ArrayRecord files with the metadata that TFDS reads.

Everything that makes a dataset folder ends in `write_dataset`, which checks each video and lets the
folder appear only when all of them are in (docs/data_format.md).
"""

import contextlib
import dataclasses
import json
import math
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds
import tqdm
from array_record.python import array_record_module

from data_prep.dataset.records import Record, make_record, record_features
from data_prep.dataset.videos import Video, check_names
from refinevad_jax.data.bags import (
    BUILDER_NAME,
    SCHEMA_VERSION,
    BagsInfo,
    dataset_dir,
    with_digests,
)
from refinevad_jax.data.normalization import name_normalization
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import replace_folder, staging_folder

# A file takes no further record above this.
SHARD_BYTES = 2**28
# Level 1 halves the time of the default, 3, and features compress no worse.
RECORD_OPTIONS = "group_size:1,snappy"

# A video and its position in its split.
Place = tuple[Video, int]
# Makes the records of places, in order; the folder is for its files.
MakeRecords = Callable[[BagsInfo, Sequence[Place], pathlib.Path], Iterator[Record]]


def make_here(info: BagsInfo, places: Sequence[Place], folder: pathlib.Path) -> Iterator[Record]:
    """The records, made one at a time in this process."""
    del folder
    for video, position in places:
        yield make_record(video, info, position)


def write_dataset(
    data_dir: str,
    info: BagsInfo,
    videos: Sequence[Video],
    *,
    overwrite: bool = False,
    make_records: MakeRecords = make_here,
) -> pathlib.Path:
    """Checks and writes all videos; the dataset folder appears in one rename at the end.

    If a data set of that name is there already and overwrite is not set: nothing is done if it was
    made from the same input (equal provenance), otherwise an error is raised. Only one video at a
    time is in memory. make_records makes the records elsewhere (beam_packaging). Returns the
    folder.
    """
    check_names(info, videos)
    final = dataset_dir(data_dir, info.name)
    if not overwrite and _is_there(final, info):
        return final
    with staging_folder(final) as staging:
        if not overwrite and _is_there(final, info):  # by now
            return final
        places = _places(videos)
        new = staging / "data"
        new.mkdir()
        _write_files(new, info, places, make_records(info, places, staging))
        replace_folder(new, final)
        shutil.rmtree(parts_folder(staging), ignore_errors=True)
    return final


def parts_folder(staging: pathlib.Path) -> pathlib.Path:
    """Where beam_packaging keeps finished records if a cluster fails, for the next call."""
    return staging.with_name(f".parts-{staging.name.removeprefix('.incomplete-')}")


def _is_there(final: pathlib.Path, info: BagsInfo) -> bool:
    """Whether a data set made from this input is there. Raises UserError for another one."""
    if not final.exists():
        return False
    stored = None
    with contextlib.suppress(OSError, ValueError, KeyError):
        stored = json.loads((final / "metadata.json").read_text(encoding="utf-8"))["provenance"]
    if stored != json.loads(json.dumps(info.provenance)):
        raise UserError(
            f"{final} exists and was made from other input; choose another --name or --overwrite"
        )
    print(f"{final} is there already, made from the same input; nothing to do")
    return True


def _places(videos: Sequence[Video]) -> list[Place]:
    """All videos, split after split, each with its position in its split."""
    splits: dict[str, list[Video]] = {}
    for video in videos:
        splits.setdefault(video.split, []).append(video)
    return [(video, i) for members in splits.values() for i, video in enumerate(members)]


def _write_files(
    folder: pathlib.Path, info: BagsInfo, places: Sequence[Place], records: Iterator[Record]
) -> None:
    """Writes records and metadata of a whole data set. Raises OSError if the disk is full."""
    shards = {video.split: _Shards(folder, video.split) for video, _ in places}
    units, degraded = [], {}
    # disable=None: no bar if stderr is a file.
    with tqdm.tqdm(
        total=len(places), desc="packaging", unit="video", leave=False, disable=None
    ) as bar:
        for (video, _), record in zip(places, records, strict=True):
            shards[video.split].add(record.content)
            units.append(record.unit)
            if record.degraded:
                degraded[video.video_id] = record.degraded
            bar.update()
    _warn_of_loss(degraded)
    normalization = {
        modality.name: name_normalization(found)
        for modality, found in zip(info.modalities, zip(*units, strict=True), strict=True)
    }
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder),
        features=record_features(info.width, info.taxonomy.num_categories),
        split_infos=[written.finish() for written in shards.values()],
        version=f"{SCHEMA_VERSION}.0.0",
        check_data=False,  # by TensorFlow
        description="Feature bags with video-level labels for weakly supervised detection.",
        metadata=tfds.core.MetadataDict(
            dataclasses.replace(
                info, normalization=normalization, fps=_common_rate(video for video, _ in places)
            ).to_dict()
        ),
    )
    path = folder / "metadata.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(with_digests(folder, values)), encoding="utf-8")


def _common_rate(videos: Iterable[Video]) -> float:
    """Frames per second of the videos that state it, 0 if they differ or none does."""
    rates = sorted(video.fps for video in videos if video.fps)
    if not rates or not math.isclose(rates[0], rates[-1], rel_tol=1e-3):
        return 0.0
    return round(rates[len(rates) // 2], 3)


def _warn_of_loss(degraded: Mapping[str, str]) -> None:
    """Says on stderr which videos' features lose digits, with what is the matter in the first."""
    if degraded:
        names = ", ".join([*list(degraded)[:3], *(["..."] if len(degraded) > 3 else [])])
        words = next(iter(degraded.values()))
        print(f"warning: {names} ({len(degraded)} in all): {words}", file=sys.stderr)


class _Shards:
    """The ArrayRecord files of one split, filled in turn."""

    def __init__(self, folder: pathlib.Path, split: str) -> None:
        self._folder, self._split = folder, split
        self._paths: list[pathlib.Path] = []
        self._lengths: list[int] = []
        self._num_bytes = self._num_bytes_of_shard = 0
        self._writer: Any = None

    def add(self, record: bytes) -> None:
        """Appends a record."""
        if self._writer is None:
            path = self._folder / f"incomplete-{self._split}-{len(self._paths)}"
            with _failing_as_os_error():
                self._writer = array_record_module.ArrayRecordWriter(str(path), RECORD_OPTIONS)
            self._paths.append(path)
            self._lengths.append(0)
            self._num_bytes_of_shard = 0
        with _failing_as_os_error():
            self._writer.write(record)
        self._lengths[-1] += 1
        self._num_bytes += len(record)
        self._num_bytes_of_shard += len(record)
        if self._num_bytes_of_shard >= SHARD_BYTES:
            self._close()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with _failing_as_os_error():
                writer.close()

    def finish(self) -> tfds.core.SplitInfo:
        """Gives the files their names, which say how many there are."""
        self._close()
        for i, path in enumerate(self._paths):
            name = f"{BUILDER_NAME}-{self._split}.array_record-{i:05d}-of-{len(self._paths):05d}"
            path.rename(self._folder / name)
        return tfds.core.SplitInfo(
            name=self._split, shard_lengths=self._lengths, num_bytes=self._num_bytes
        )


@contextlib.contextmanager
def _failing_as_os_error() -> Iterator[None]:
    """ArrayRecord raises RuntimeError for a write that fails."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(str(error).split(";")[0]) from error
