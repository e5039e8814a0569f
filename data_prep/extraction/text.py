"""Timed sentences beside videos to features, as many rows as the visual ones."""

import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from data_prep.extraction.jobs import Job, Work
from data_prep.sources.timed_text import segment_features
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, TextEncoder
from refinevad_jax.encoders.record import feature_file
from refinevad_jax.encoders.subtitles import SUFFIXES, Sentence, read_sentences
from refinevad_jax.encoders.video import Frame
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256


def text_work(encoder: TextEncoder, texts: pathlib.Path) -> Work:
    """(T, D) per video: the mean of the sentences of a segment, weighted by their overlap with it.

    Args:
        encoder: see refinevad_jax.encoders.loading.
        texts: folder of <path of the video>.srt, .vtt or .jsonl.
    """

    def settings(job: Job) -> dict[str, Any]:
        path = _sentence_file(texts, job)
        return {
            "encoder": encoder.name,
            "weights_sha256": encoder.weights_sha256,
            "text": path.name,
            "text_sha256": file_sha256(path),
        }

    def parts(job: Job, frames: Iterable[Frame]) -> Iterator[tuple[list[Sentence], int, float]]:
        """The sentences of the whole video, its number of segments, and the seconds of one."""
        sentences = read_sentences(_sentence_file(texts, job))
        times = [frame.seconds for frame in frames]
        num_segments = len(times) // FRAMES_PER_SEGMENT
        if num_segments:
            # All segments are taken as equally long; at a variable frame rate that is the average.
            frame_seconds = times[-1] / (len(times) - 1)
            yield sentences, num_segments, FRAMES_PER_SEGMENT * frame_seconds

    def features(sentences: list[Sentence], count: int, seconds: float) -> np.ndarray:
        """[T, D] of a video."""
        return segment_features(
            encoder.encode([sentence.text for sentence in sentences]),
            np.array([sentence.start for sentence in sentences]),
            np.array([sentence.end for sentence in sentences]),
            num_segments=count,
            segment_seconds=seconds,
        )

    return Work(
        libraries=("av", "jax", "numpy"),
        settings=settings,
        parts=parts,
        encode=lambda parts: [features(*part) for part in parts],
        content=lambda results: feature_file(results[0]),
        parts_per_call=1,
        unit="texts",
    )


def _sentence_file(texts: pathlib.Path, job: Job) -> pathlib.Path:
    for suffix in SUFFIXES:
        path = texts / f"{job.name}{suffix}"
        if path.is_file():
            return path
    raise UserError(f"{job.video}: no sentences in {texts / job.name}{{{','.join(SUFFIXES)}}}")
