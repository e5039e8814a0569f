"""Extraction on Apache Beam: single videos in many processes or on many machines.

A worker process loads the encoder once and then runs each video's job as the plain path does, in
as many threads as the runner gives it. On several machines the videos and the output must be on a
file system that all workers share.
"""

import dataclasses
import functools
import json
import pathlib
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any

from data_prep.beam import map_to_files
from data_prep.extraction.jobs import Job, Summary, Work, run

_LOADING = threading.Lock()  # threads of a worker would load an encoder each


def extract_on_beam(
    jobs: Sequence[Job],
    load: Callable[[], Work],
    output: pathlib.Path,
    pipeline: Any,
    runner: str,
) -> Summary:
    """Writes the feature file and record of every job that is not done yet.

    load: gives what a worker computes, the same for each of its videos; output: the folder of the
    jobs; pipeline, runner: see data_prep.beam. Raises UserError if weights are missing, files
    cannot be written or the pipeline fails.
    """
    output.mkdir(parents=True, exist_ok=True)
    extract = functools.partial(extract_one, load=load)
    named = [(str(job.video), job) for job in jobs]
    total = Summary()
    with tempfile.TemporaryDirectory(
        dir=output, prefix=".beam-", ignore_cleanup_errors=True
    ) as name:
        folder = pathlib.Path(name)
        for path in map_to_files(
            pipeline, runner, extract, named, folder, what="features", flag="--output"
        ):
            one = Summary(**json.loads(path.read_bytes()))
            total.done += one.done
            total.skipped += one.skipped
            total.failed |= one.failed
            total.warned |= one.warned
    return total


def extract_one(job: Job, load: Callable[[], Work]) -> list[bytes]:
    """Extracts one video and says what came of it, as JSON; runs in a worker."""
    with _LOADING:
        work = load()
    return [json.dumps(dataclasses.asdict(run([job], work))).encode()]
