"""Makes the records of a data set on Apache Beam, in many processes or on many machines.

Each worker loads, checks and serializes single videos into files of the staging folder, which the
plain writer then joins in its own order: the dataset folder has the same bytes whatever the runner
and the number of workers, and nothing but names passes through the runner. Elsewhere than on one
machine the feature files and the data folder must be on a file system that all workers share.
"""

import contextlib
import io
import json
import logging
import os
import pathlib
import shlex
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import tqdm

from data_prep.feature_bags import MakeRecords, Place
from data_prep.records import Record, make_record
from data_prep.videos import Video
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.errors import UserError


def record_maker(runner: str, *, workers: int = 1, options: str = "") -> MakeRecords:
    """What write_dataset takes as make_records, for one data set.

    Args:
        runner: name of a Beam runner.
        workers: processes of DirectRunner; what a distributed runner starts with.
        options: further pipeline options, as on a command line.

    Raises UserError where Beam is not installed or does not know the runner or an option.
    """
    if not runner:
        raise UserError("--beam_workers and --beam_options need --beam_runner, as DirectRunner")
    with _quiet():
        pipeline = _pipeline(runner, workers, options)

    def make(info: BagsInfo, places: Sequence[Place], folder: pathlib.Path) -> Iterator[Record]:
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
        with _progress(records, len(places)), _quiet():
            _run(pipeline, runner)
        for path in sorted(errors.iterdir()):
            raise UserError(path.read_text(encoding="utf-8"))
        for i, (video, _) in enumerate(places):
            if not (records / _name(i)).exists():
                raise UserError(
                    f"--beam_runner={runner}: no record of {video.video_id} came to {records}; "
                    "--data_dir must be on a file system that all workers share"
                )
            yield _read_record(records / _name(i))

    return make


def _pipeline(runner: str, workers: int, options: str) -> Any:
    """An empty pipeline on that runner."""
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners import create_runner
    except ImportError as error:
        raise UserError(
            f"--beam_runner={runner} needs Apache Beam ({error}): pip install apache-beam"
        ) from error
    problem = io.StringIO()
    flags = [f"--direct_num_workers={workers}", f"--num_workers={workers}"]
    try:
        flags += shlex.split(options)
        with contextlib.redirect_stderr(problem):
            parsed = PipelineOptions(flags)
            known = parsed.get_all_options()
            every = parsed.get_all_options(retain_unknown_options=True)
            if unknown := sorted(set(every) - set(known)):
                raise UserError(f"Beam knows no option {', '.join(unknown)}")
            chosen = _local_runner() if runner == "DirectRunner" else create_runner(runner)
            return beam.Pipeline(runner=chosen, options=parsed)
    except (Exception, SystemExit) as error:  # argparse prints and exits
        reason = problem.getvalue().strip().splitlines()[-1:] or [str(error)]
        given = f"--beam_runner={runner}" + (f" --beam_options={options!r}" if options else "")
        raise UserError(f"{given}: {reason[0]}") from error


def _local_runner() -> Any:
    """What DirectRunner stands for: worker processes on this machine, without their chatter.

    Beam's own class of that name would prefer a runner that it downloads.
    """
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    # An interrupt ends the workers through this process, without a traceback from each.
    python = shlex.quote(sys.executable)
    command = f"trap '' INT; exec {python} -m apache_beam.runners.worker.sdk_worker_main"
    environment = SubprocessSDKEnvironment.from_command_string(f"{command} 2>{os.devnull}")
    return FnApiRunner(default_environment=environment)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences warnings of Beam's libraries, which mean nothing here; failures are exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def write_record(
    element: tuple[int, Video, int],
    *,
    info: BagsInfo,
    records: pathlib.Path,
    errors: pathlib.Path,
) -> None:
    """Makes one record and writes it, or what is wrong with the video; runs in a worker.

    After a first error the rest is left out. Files appear by a rename, as a runner may run an
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
    """Reads and removes what write_record wrote."""
    with path.open("rb") as file:
        unit = json.loads(file.readline())
        content = file.read()
    path.unlink()
    return Record(content, tuple(unit))


def _run(pipeline: Any, runner: str) -> None:
    try:
        state = pipeline.run().wait_until_finish()
    except Exception as error:  # each runner has its own kinds, with the worker's traceback as text
        lines = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
        raise UserError(f"--beam_runner={runner}: {lines[-1].strip()}") from error
    if state != "DONE":
        raise UserError(f"--beam_runner={runner}: the pipeline ended as {state}; see its logs")


@contextlib.contextmanager
def _progress(records: pathlib.Path, total: int) -> Iterator[None]:
    """Shows how many records there are, once a second; nothing where stderr is a file."""
    done = threading.Event()
    with tqdm.tqdm(total=total, desc="records", unit="video", leave=False, disable=None) as bar:

        def watch() -> None:
            while not done.wait(1):
                bar.update(sum(1 for _ in records.iterdir()) - bar.n)

        thread = threading.Thread(target=watch, daemon=True)
        if not bar.disable:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if thread.is_alive():
                thread.join()
