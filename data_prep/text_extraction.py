"""Turns timed sentences beside videos into feature files as long as the visual ones."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from data_prep.extraction import Progress, Summary
from data_prep.extraction_files import Job, is_done, video_facts, write_features
from data_prep.timed_text import segment_features
from refinevad_jax.encoders.timed_text import SUFFIXES, Sentence, read_sentences
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.visual import FRAMES_PER_SEGMENT, file_sha256
from refinevad_jax.errors import UserError


def extract(jobs: list[Job], texts: pathlib.Path, *, progress: Progress) -> Summary:
    """Writes (T, 384) for every video: the overlap-weighted mean of the sentences of a segment.

    texts holds <relative path of the video>.srt, .vtt or .jsonl. A video without such a file, or
    that cannot be read, is reported in the summary and the others go on.
    """
    from refinevad_jax.encoders import text

    encoder = text.load_encoder()
    settings = {"encoder": text.NAME, "weights_sha256": file_sha256(text.weights_path())}
    failed: dict[str, str] = {}
    warned: dict[str, list[str]] = {}
    skipped = 0
    for job in jobs:
        try:
            path = _sentence_file(job, texts)
            wanted = settings | {"text": path.name, "text_sha256": file_sha256(path)}
            if is_done(job, wanted):
                skipped += 1
            else:
                facts = _write(job, read_sentences(path), encoder, wanted)
                if facts["warnings"]:
                    warned[job.name] = facts["warnings"]
        except UserError as error:
            failed[job.name] = str(error)
        progress(1, 0)
    return Summary(len(jobs) - skipped - len(failed), skipped, failed, warned)


def _sentence_file(job: Job, texts: pathlib.Path) -> pathlib.Path:
    for suffix in SUFFIXES:
        path = texts / f"{job.name}{suffix}"
        if path.is_file():
            return path
    raise UserError(f"{job.video}: no {texts / job.name}{{{','.join(SUFFIXES)}}} beside it")


def _write(
    job: Job,
    sentences: list[Sentence],
    encoder: Callable[[list[str]], np.ndarray],
    wanted: dict[str, Any],
) -> dict[str, Any]:
    with Video(job.video) as video:
        last = [frame.seconds for frame in video][-1]
    num_segments = video.num_frames // FRAMES_PER_SEGMENT
    if not num_segments:
        raise UserError(f"{job.video}: {video.num_frames} frames, fewer than those of one segment")
    facts = video_facts(job.video, video, num_segments)
    # Segments of equal length in seconds; of a variable frame rate that is the average.
    frame_seconds = last / (video.num_frames - 1)
    features = segment_features(
        encoder([sentence.text for sentence in sentences]),
        np.array([sentence.start for sentence in sentences]),
        np.array([sentence.end for sentence in sentences]),
        num_segments=num_segments,
        segment_seconds=FRAMES_PER_SEGMENT * frame_seconds,
    )
    write_features(job, features[:, None], wanted | facts)
    return facts
