"""Turns timed sentences beside videos into feature files as long as the visual ones."""

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.extraction.jobs import Job, is_done, video_facts, write_features
from data_prep.extraction.visual import Progress, Summary
from data_prep.sources.timed_text import segment_features
from refinevad_jax.encoders.timed_text import SUFFIXES, Sentence, read_sentences
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.visual import FRAMES_PER_SEGMENT
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

if TYPE_CHECKING:  # importing it brings JAX
    from refinevad_jax.encoders.text import TextEncoder


def load_text_encoder(name: str, weights_file: str) -> "TextEncoder":
    """Loads minilm or clip_text; weights_file: those of clip_text, minilm has an installed package.

    Raises UserError where weights or a library are missing.
    """
    from refinevad_jax.encoders import text

    if name == "minilm":
        encoder = text.load_encoder()
        return text.TextEncoder(text.NAME, file_sha256(text.weights_path()), encoder)
    from refinevad_jax.encoders import clip

    if not weights_file:
        raise UserError("--encoder=clip_text needs --weights=FILE: OpenAI's ViT-L/14 weights")
    return clip.load_text_encoder(pathlib.Path(weights_file))


def extract(
    jobs: list[Job], texts: pathlib.Path, encoder: "TextEncoder", *, progress: Progress
) -> Summary:
    """Writes (T, D) for every video: the overlap-weighted mean of the sentences of a segment.

    texts holds <relative path of the video>.srt, .vtt or .jsonl. A video without such a file, or
    that cannot be read, is reported in the summary and the others go on.
    """
    settings = {"encoder": encoder.name, "weights_sha256": encoder.weights_sha256}
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
    encoder: "TextEncoder",
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
        encoder.encode([sentence.text for sentence in sentences]),
        np.array([sentence.start for sentence in sentences]),
        np.array([sentence.end for sentence in sentences]),
        num_segments=num_segments,
        segment_seconds=FRAMES_PER_SEGMENT * frame_seconds,
    )
    write_features(job, features[:, None], wanted | facts)
    return facts
