"""Extraction on Apache Beam: single videos in many processes or on many machines.

A worker loads the encoder once and then runs each video's job as the plain path does. On several
machines the videos and the output must be on a file system that all workers share.
"""

import dataclasses
import functools
import json
import pathlib
import shutil
import uuid
from collections.abc import Sequence
from typing import Any

from data_prep.beam import progress, run_pipeline
from data_prep.extraction import jobs as jobs_lib
from data_prep.extraction.jobs import Job, Summary
from data_prep.extraction.visual import VisualWork
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.encoders.loading import load_visual_encoder
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import write_bytes


@dataclasses.dataclass(frozen=True)
class Encoder:
    """What a worker needs to load an encoder and to use it as the plain path does.

    name, weights: see load_visual_encoder; num_crops, batch_size: see VisualWork.
    """

    name: str
    weights: str
    num_crops: int
    batch_size: int


def extract_on_beam(
    jobs: Sequence[Job], encoder: Encoder, output: pathlib.Path, pipeline: Any, runner: str
) -> Summary:
    """Writes the feature file and record of every job that is not done yet.

    output: the folder of the jobs; pipeline, runner: see data_prep.beam. Raises UserError if
    weights are missing, files cannot be written or the pipeline fails.
    """
    import apache_beam as beam

    words = output / f".beam-{uuid.uuid4().hex}"
    words.mkdir(parents=True)
    try:
        (
            pipeline
            | "videos" >> beam.Create(list(enumerate(jobs)))
            | "spread" >> beam.Reshuffle()
            | "features" >> beam.Map(extract_one, encoder=encoder, words=words)
        )
        with progress(lambda: sum(1 for _ in words.glob("*.json")), len(jobs), what=encoder.name):
            run_pipeline(pipeline, runner)
        return _joined([_read(words, i, job, runner) for i, job in enumerate(jobs)])
    finally:
        shutil.rmtree(words, ignore_errors=True)


def extract_one(element: tuple[int, Job], *, encoder: Encoder, words: pathlib.Path) -> None:
    """Extracts one video and writes what came of it to a file of `words`; runs in a worker.

    After an error that concerns all videos the others are left out.
    """
    number, job = element
    stopped = words / "stopped"
    if stopped.exists():
        return
    try:
        loaded = _loaded(encoder.name, encoder.weights)
        work = VisualWork(loaded, encoder.num_crops, encoder.batch_size)
        summary = jobs_lib.run([job], work)
    except (UserError, OSError) as error:
        write_bytes(stopped, str(error).encode())
    else:
        content = json.dumps(dataclasses.asdict(summary))
        write_bytes(words / f"{number:09d}.json", content.encode())


@functools.lru_cache(maxsize=1)
def _loaded(name: str, weights: str) -> VisualEncoder:
    from refinevad_jax.runtime.compiler import enable_cache

    enable_cache()
    return load_visual_encoder(name, weights)


def _read(words: pathlib.Path, number: int, job: Job, runner: str) -> Summary:
    if (words / "stopped").exists():
        raise UserError((words / "stopped").read_text(encoding="utf-8"))
    try:
        content = (words / f"{number:09d}.json").read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"--beam_runner={runner}: no word of {job.video} came to {words}; --output must be on "
            "a file system that all workers share"
        ) from error
    return Summary(**json.loads(content))


def _joined(summaries: Sequence[Summary]) -> Summary:
    total = Summary()
    for one in summaries:
        total.done += one.done
        total.skipped += one.skipped
        total.failed |= one.failed
        total.warned |= one.warned
    return total
