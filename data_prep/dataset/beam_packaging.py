"""Makes the records of a data set on Apache Beam, in many processes or on many machines.

Each worker loads, checks and serializes single videos into files of the staging folder, which the
plain writer then joins in its order: the dataset folder has the same bytes whatever the runner
and the number of workers, and nothing but names passes through the runner. With several
machines, the feature files and the data folder must be on a file system that all workers share.
"""

import json
import pathlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from data_prep.beam import progress, run_pipeline
from data_prep.dataset.records import Record, make_record
from data_prep.dataset.videos import Video
from data_prep.dataset.write import Place
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.errors import UserError


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
    import apache_beam as beam

    records, errors = folder / "records", folder / "errors"
    records.mkdir()
    errors.mkdir()
    elements = [(i, video, position) for i, (video, position) in enumerate(places)]
    (
        pipeline
        | "videos" >> beam.Create(elements)
        | "spread" >> beam.Reshuffle()
        | "records" >> beam.Map(write_record, info=info, records=records, errors=errors)
    )
    with progress(lambda: sum(1 for _ in records.iterdir()), len(places), what="records"):
        run_pipeline(pipeline, runner)
    for path in sorted(errors.iterdir()):
        raise UserError(path.read_text(encoding="utf-8"))
    for i, (video, _) in enumerate(places):
        if not (records / _name(i)).exists():
            raise UserError(
                f"--beam_runner={runner}: no record of {video.video_id} came to {records}; "
                "--data_dir must be on a file system that all workers share"
            )
        yield _read_record(records / _name(i))


def write_record(
    element: tuple[int, Video, int],
    *,
    info: BagsInfo,
    records: pathlib.Path,
    errors: pathlib.Path,
) -> None:
    """Makes one record and writes it, or what is wrong with the video; runs in a worker.

    After a first error the rest is left out. Files appear by a rename, since a runner may run an
    element twice.
    """
    number, video, position = element
    if any(errors.iterdir()):
        return
    try:
        record = make_record(video, info, position)
    except UserError as error:
        _write(errors / _name(number), str(error).encode())
    else:
        _write(records / _name(number), json.dumps(record.unit).encode() + b"\n", record.content)


def _name(number: int) -> str:
    return f"{number:09d}"


def _write(path: pathlib.Path, *parts: bytes) -> None:
    temporary = path.parent.parent / f"{path.name}-{uuid.uuid4().hex}"
    with temporary.open("wb") as file:
        file.writelines(parts)
    temporary.rename(path)


def _read_record(path: pathlib.Path) -> Record:
    """Reads what write_record wrote, and removes it."""
    with path.open("rb") as file:
        unit = json.loads(file.readline())
        content = file.read()
    path.unlink()
    return Record(content, tuple(unit))
