"""Makes the records of a data set on Apache Beam, in many processes or on many machines.

Workers load, check and serialize single videos into files of the staging folder, which the plain
writer then joins in its order: the dataset folder has the same bytes whatever the runner and the
number of workers. On several machines, --data_dir and the feature files must be on a file system
that all workers share. If the cluster fails, or the command is killed, the files that are made stay
beside the staging folder, and the same command goes on from them.
"""

import functools
import hashlib
import json
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from data_prep.beam import RunnerError, map_to_files
from data_prep.dataset.records import Record, make_record
from data_prep.dataset.write import Place, parts_folder
from refinevad_jax import __version__
from refinevad_jax.data.bags import BagsInfo


def make_on_beam(
    info: BagsInfo,
    places: Sequence[Place],
    folder: pathlib.Path,
    *,
    pipeline: Any,
    runner: str,
) -> Iterator[Record]:
    """The records of places, in order, made by a pipeline of data_prep.beam for that runner.

    folder: the staging folder. Raises UserError if a video cannot be used, RunnerError if the
    pipeline fails.
    """
    parts = parts_folder(folder)
    take_over(parts, info, places)
    named = [(place[0].video_id, place) for place in places]
    make = functools.partial(record_parts, info=info)
    try:
        for path in map_to_files(
            pipeline, runner, make, named, parts, what="records", flag="--data_dir"
        ):
            with path.open("rb") as file:
                unit, degraded = json.loads(file.readline())
                content = file.read()
            path.unlink()
            yield Record(content, tuple(unit), degraded)
    except (RunnerError, KeyboardInterrupt):
        raise
    except BaseException:  # of the data, or of what takes the records
        shutil.rmtree(parts, ignore_errors=True)
        raise


def take_over(parts: pathlib.Path, info: BagsInfo, places: Sequence[Place]) -> None:
    """Leaves in a folder what an earlier call made from the same input, and nothing else."""
    places_in_words = [[video.split, video.video_id, position] for video, position in places]
    facts = json.dumps([__version__, info.to_dict(), places_in_words])
    digest = hashlib.sha256(facts.encode()).hexdigest()
    stamp = parts / "input"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        stamp.write_text(digest, encoding="utf-8")


def record_parts(place: Place, info: BagsInfo) -> tuple[bytes, bytes]:
    """The record of one video as a file has it: a line with the rest, then the content."""
    video, position = place
    record = make_record(video, info, position)
    return json.dumps([record.unit, record.degraded]).encode() + b"\n", record.content
