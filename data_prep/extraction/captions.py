"""Videos to timed text: a caption for every few segments, one .jsonl file per video."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from data_prep.extraction.jobs import Job, Work
from refinevad_jax.encoders.captions import FRAMES_PER_GROUP, Captioner
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.segments import batched
from refinevad_jax.encoders.video import Frame
from refinevad_jax.errors import UserError

Part = tuple[list[np.ndarray], dict[str, float]]


def check_frames(segments: int, frames: int) -> None:
    """Raises UserError if that many frames cannot be taken from a caption's segments."""
    most = segments * FRAMES_PER_SEGMENT
    if frames % FRAMES_PER_GROUP or frames > most:
        raise UserError(
            f"--frames={frames}: must be a multiple of {FRAMES_PER_GROUP}, and at most {most} with "
            f"--segments={segments}"
        )


def caption_work(captioner: Captioner, prompt: str, segments: int, frames: int) -> Work:
    """Captions in the order of time, in seconds since the first frame.

    Args:
        captioner: see refinevad_jax.encoders.captions.
        prompt: the question.
        segments: segments of 16 frames that a caption covers.
        frames: how many of these frames the model sees, evenly spread.
    """
    settings = {
        "encoder": captioner.name,
        "commit": captioner.commit,
        "prompt": prompt,
        "segments_per_caption": segments,
        "frames_per_caption": frames,
        "max_new_tokens": captioner.max_new_tokens,
    }

    def parts(job: Job, video: Iterable[Frame]) -> Iterator[Part]:
        """The frames that the model sees of each caption, and the caption's start and end.

        The last caption covers the whole segments that are left.
        """
        for window in batched(video, segments * FRAMES_PER_SEGMENT):
            del window[len(window) // FRAMES_PER_SEGMENT * FRAMES_PER_SEGMENT :]
            if window:
                places = np.linspace(0, len(window) - 1, frames).round().astype(int)
                first, last = window[0].seconds, window[-1].seconds
                step = (last - first) / (len(window) - 1)
                times = {"start": round(first, 3), "end": round(last + step, 3)}
                yield [window[place].pixels for place in places], times

    def line(pixels: list[np.ndarray], times: dict[str, float]) -> dict[str, Any] | UserError:
        """A line of the file; a video on which the model fails does not end the others."""
        try:
            return times | {"text": captioner.caption(pixels, prompt)}
        except UserError as error:
            return error

    def content(lines: list[dict[str, Any]]) -> tuple[bytes, dict[str, Any]]:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        return text.encode(), {}

    return Work(
        libraries=("av", "numpy", "torch", "transformers"),
        settings=lambda job: settings,
        parts=parts,
        encode=lambda parts: [line(*part) for part in parts],
        content=content,
        parts_per_call=1,
        unit="captions",
    )
