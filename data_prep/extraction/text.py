"""Timed sentences beside videos to features, as many rows as the visual ones."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_prep.extraction.jobs import Job, feature_file
from data_prep.sources.timed_text import segment_features
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, TextEncoder
from refinevad_jax.encoders.subtitles import SUFFIXES, Sentence, read_sentences
from refinevad_jax.encoders.video import Video
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

Part = tuple[list[Sentence], int, float]


@dataclasses.dataclass(frozen=True)
class TextWork:
    """(T, D) per video: the mean of the sentences of a segment, weighted by their overlap with it.

    Attributes:
        encoder: see refinevad_jax.encoders.loading.
        texts: folder of <path of the video>.srt, .vtt or .jsonl.
    """

    encoder: TextEncoder
    texts: pathlib.Path
    libraries = ("av", "jax", "numpy")
    parts_per_call = 1

    def settings(self, job: Job) -> dict[str, Any]:
        """The encoder and the sentences. Raises UserError if there are none."""
        path = self._sentence_file(job)
        return {
            "encoder": self.encoder.name,
            "weights_sha256": self.encoder.weights_sha256,
            "text": path.name,
            "text_sha256": file_sha256(path),
        }

    def parts(self, job: Job, video: Video) -> Iterator[Part]:
        """The sentences of the whole video, its number of segments, and the seconds of one."""
        sentences = read_sentences(self._sentence_file(job))
        last = 0.0
        for frame in video:
            last = frame.seconds
        num_segments = video.num_frames // FRAMES_PER_SEGMENT
        if num_segments:
            # All segments are taken as equally long; at a variable frame rate that is the average.
            frame_seconds = last / (video.num_frames - 1)
            yield sentences, num_segments, FRAMES_PER_SEGMENT * frame_seconds

    def encode(self, parts: list[Part]) -> list[np.ndarray]:
        """[T, D] per video."""
        return [self._features(*part) for part in parts]

    def content(self, results: list[np.ndarray]) -> tuple[bytes, dict[str, Any]]:
        """The features of the one part."""
        return feature_file(results[0])

    def _features(self, sentences: list[Sentence], count: int, seconds: float) -> np.ndarray:
        return segment_features(
            self.encoder.encode([sentence.text for sentence in sentences]),
            np.array([sentence.start for sentence in sentences]),
            np.array([sentence.end for sentence in sentences]),
            num_segments=count,
            segment_seconds=seconds,
        )

    def _sentence_file(self, job: Job) -> pathlib.Path:
        for suffix in SUFFIXES:
            path = self.texts / f"{job.name}{suffix}"
            if path.is_file():
                return path
        raise UserError(
            f"{job.video}: no {self.texts / job.name}{{{','.join(SUFFIXES)}}} beside it"
        )
