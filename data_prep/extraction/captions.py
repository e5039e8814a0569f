"""Turns videos into timed text, a caption every few segments: one .jsonl a video."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from data_prep.extraction.jobs import Job, is_done, video_facts, write_content
from data_prep.extraction.visual import Progress, Summary
from refinevad_jax.encoders.captions import FRAMES_PER_GROUP, Captioner
from refinevad_jax.encoders.video import Frame, Video
from refinevad_jax.encoders.visual import FRAMES_PER_SEGMENT
from refinevad_jax.errors import UserError

LIBRARIES = ("av", "numpy", "torch", "transformers")


def check_frames(segments: int, frames: int) -> None:
    """Raises UserError where that many frames cannot be taken from a caption's segments."""
    most = segments * FRAMES_PER_SEGMENT
    if frames % FRAMES_PER_GROUP or frames > most:
        raise UserError(
            f"--frames={frames}: must be a multiple of {FRAMES_PER_GROUP}, and at most {most} with "
            f"--segments={segments}"
        )


def caption_videos(
    jobs: Sequence[Job],
    captioner: Captioner,
    *,
    prompt: str,
    segments: int,
    frames: int,
    progress: Progress,
) -> Summary:
    """Writes the captions of every job that is not done yet, and the record beside them.

    Args:
        jobs: see data_prep.extraction.jobs.plan_jobs, with the suffix .jsonl.
        captioner: see refinevad_jax.encoders.captions.
        prompt: the question.
        segments: segments of 16 frames that a caption covers.
        frames: frames of them that the model sees, evenly spread.
        progress: called with videos just finished and captions just written.

    A video that cannot be read is reported in the summary and the others go on. Raises UserError
    where a file cannot be written.
    """
    wanted = {
        "encoder": captioner.name,
        "commit": captioner.commit,
        "prompt": prompt,
        "segments_per_caption": segments,
        "frames_per_caption": frames,
        "max_new_tokens": captioner.max_new_tokens,
    }
    failed: dict[str, str] = {}
    warned: dict[str, list[str]] = {}
    skipped = 0
    for job in jobs:
        if is_done(job, wanted):
            skipped += 1
            progress(1, 0)
            continue
        try:
            lines, facts = _captions(job, captioner, prompt, segments, frames, progress)
        except UserError as error:
            failed[job.name] = str(error)
        else:
            content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            write_content(job, content.encode(), wanted | facts, LIBRARIES)
            if facts["warnings"]:
                warned[job.name] = facts["warnings"]
        progress(1, 0)
    return Summary(len(jobs) - skipped - len(failed), skipped, failed, warned)


def _captions(
    job: Job,
    captioner: Captioner,
    prompt: str,
    segments: int,
    frames: int,
    progress: Progress,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of one video, seconds since its first frame, and what its record says of it."""
    lines = []
    with Video(job.video) as video:
        for window in _windows(video, segments * FRAMES_PER_SEGMENT):
            places = np.linspace(0, len(window) - 1, frames).round().astype(int)
            text = captioner.caption([window[place].pixels for place in places], prompt)
            last = window[-1].seconds
            step = (last - window[0].seconds) / (len(window) - 1)
            times = {"start": round(window[0].seconds, 3), "end": round(last + step, 3)}
            lines.append(times | {"text": text})
            progress(0, 1)
    if not lines:
        raise UserError(f"{job.video}: {video.num_frames} frames, fewer than those of one segment")
    return lines, video_facts(job.video, video, video.num_frames // FRAMES_PER_SEGMENT)


def _windows(video: Video, length: int) -> Iterator[list[Frame]]:
    """Frames in groups of `length`, the last one of the whole segments that are left."""
    window: list[Frame] = []
    for frame in video:
        window.append(frame)
        if len(window) == length:
            yield window
            window = []
    kept = len(window) // FRAMES_PER_SEGMENT * FRAMES_PER_SEGMENT
    if kept:
        yield window[:kept]
