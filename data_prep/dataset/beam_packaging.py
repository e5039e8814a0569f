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

from data_prep.beam import make_pipeline, map_to_files
from data_prep.dataset.records import Record, make_record
from data_prep.dataset.write import MakeRecords, Place
from refinevad_jax.data.bags import BagsInfo


def record_maker(runner: str, *, workers: int = 1, options: str = "") -> MakeRecords:
    """What write_dataset takes as make_records, for one data set; arguments as of make_pipeline."""
    pipeline = make_pipeline(runner, workers=workers, options=options)

    def make(info: BagsInfo, places: Sequence[Place], folder: pathlib.Path) -> Iterator[Record]:
        elements = [(place[0].video_id, place) for place in places]
        make_parts = functools.partial(record_parts, info=info)
        for path in map_to_files(
            pipeline, runner, make_parts, elements, folder, what="records", flag="--data_dir"
        ):
            with path.open("rb") as file:
                unit = tuple(json.loads(file.readline()))
                content = file.read()
            path.unlink()
            yield Record(content, unit)

    return make


def record_parts(place: Place, info: BagsInfo) -> tuple[bytes, bytes]:
    """The record of one video as a file has it: a line with `unit`, then the content."""
    video, position = place
    record = make_record(video, info, position)
    return json.dumps(record.unit).encode() + b"\n", record.content
