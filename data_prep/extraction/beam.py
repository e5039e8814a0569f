"""Extraction on Apache Beam: single videos in many processes or on many machines.

A worker loads the encoder once and then runs each video's job as the plain path does. On several
machines the videos and the output must be on a file system that all workers share.
"""

import dataclasses
import functools
import json
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

from data_prep.beam import map_to_files
from data_prep.extraction import jobs as jobs_lib
from data_prep.extraction.jobs import Job, Summary, Work
from data_prep.extraction.visual import visual_work
from refinevad_jax.encoders.loading import load_visual_encoder


@dataclasses.dataclass(frozen=True)
class Encoder:
    """What a worker needs to load an encoder and to use it as the plain path does.

    name, weights: see load_visual_encoder; num_crops, batch_size: see visual_work.
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
    output.mkdir(parents=True, exist_ok=True)
    total = Summary()
    elements = [(str(job.video), job) for job in jobs]
    extract = functools.partial(extract_one, encoder=encoder)
    with tempfile.TemporaryDirectory(dir=output, prefix=".beam-") as folder:
        for path in map_to_files(
            pipeline,
            runner,
            extract,
            elements,
            pathlib.Path(folder),
            what=encoder.name,
            flag="--output",
        ):
            one = Summary(**json.loads(path.read_bytes()))
            total.done += one.done
            total.skipped += one.skipped
            total.failed |= one.failed
            total.warned |= one.warned
    return total


def extract_one(job: Job, encoder: Encoder) -> list[bytes]:
    """Extracts one video and says what came of it, as JSON; runs in a worker."""
    summary = jobs_lib.run([job], _work(encoder))
    return [json.dumps(dataclasses.asdict(summary)).encode()]


@functools.lru_cache(maxsize=1)
def _work(encoder: Encoder) -> Work:
    from refinevad_jax.runtime.compiler import enable_cache

    enable_cache()
    loaded = load_visual_encoder(encoder.name, encoder.weights)
    return visual_work(loaded, encoder.num_crops, encoder.batch_size)
