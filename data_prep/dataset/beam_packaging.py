"""Makes the records of a data set on Apache Beam, in many processes or on many machines.

Workers load, check and serialize single videos into files of the staging folder, which the plain
writer then joins in its order: the dataset folder has the same bytes whatever the runner and the
number of workers. On several machines, --data_dir and the feature files must be on a file system
that all workers share.
"""

import functools
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from data_prep.beam import map_to_files
from data_prep.dataset.records import Record, make_record
from data_prep.dataset.write import Place
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

    Raises UserError if a video cannot be used or the pipeline fails.
    """
    named = [(place[0].video_id, place) for place in places]
    make = functools.partial(record_parts, info=info)
    for path in map_to_files(
        pipeline, runner, make, named, folder, what="records", flag="--data_dir"
    ):
        with path.open("rb") as file:
            unit, degraded = json.loads(file.readline())
            content = file.read()
        path.unlink()
        yield Record(content, tuple(unit), degraded)


def record_parts(place: Place, info: BagsInfo) -> tuple[bytes, bytes]:
    """The record of one video as a file has it: a line with the rest, then the content."""
    video, position = place
    record = make_record(video, info, position)
    return json.dumps([record.unit, record.degraded]).encode() + b"\n", record.content
