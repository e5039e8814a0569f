"""The video once more, with its scores and events drawn into the pictures."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.video_writer import write_video

_EVENT = (224, 130, 20)
_SCORE = (90, 170, 250)
_GROUND = (20, 24, 28)
_TEXT = (255, 255, 255)
_SHARE = 6  # the strip with the curve takes a sixth of the height


def annotate(
    video: pathlib.Path,
    fps: float,
    events: list[dict[str, Any]],
    scores: np.ndarray,
    threshold: float,
    target: pathlib.Path,
) -> None:
    """Writes the video with a strip of scores below it and a frame around it during events.

    fps: average frames per second, of the copy too; events: as
    refinevad_jax.detection.outputs.describe gives them; scores: [T]. The copy has every frame and
    no sound. Raises OSError if it cannot be written.
    """
    with Video(video) as frames:
        write_video(target, _drawn(frames, events, scores, threshold), fps=fps)


def _drawn(
    video: Video, events: list[dict[str, Any]], scores: np.ndarray, threshold: float
) -> Iterator[np.ndarray]:
    """Frames [Y + strip, X, 3] uint8, as large as the first one whatever sizes follow."""
    from PIL import Image, ImageDraw, ImageFont

    strip: Image.Image | None = None
    size, font = (0, 0), ImageFont.load_default()
    for i, frame in enumerate(video):
        picture = Image.fromarray(np.ascontiguousarray(frame.pixels))
        if strip is None:
            size = picture.size
            strip = _strip(size[0], max(24, size[1] // _SHARE), events, scores, threshold)
            font = ImageFont.load_default(max(12, size[1] // 16))
        elif picture.size != size:
            picture = picture.resize(size)
        segment = min(i // FRAMES_PER_SEGMENT, len(scores) - 1)
        canvas = Image.new("RGB", (size[0], size[1] + strip.height))
        canvas.paste(picture)
        canvas.paste(strip, (0, size[1]))
        draw = ImageDraw.Draw(canvas)
        across = _across(i, len(scores), size[0])
        draw.line((across, size[1], across, canvas.height), fill=_TEXT)
        event = next((e for e in events if e["start_frame"] <= i < e["end_frame"]), None)
        if event:
            draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=_EVENT, width=4)
        words = f"{scores[segment]:.2f}" + (f"  {event['category'] or 'anomaly'}" if event else "")
        _write_words(draw, words, font)
        yield np.asarray(canvas)


def _strip(
    width: int, height: int, events: list[dict[str, Any]], scores: np.ndarray, threshold: float
) -> Any:
    """The curve of the whole video: events shaded, the threshold as a line."""
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(strip)

    def up(score: float) -> float:
        return height - 3 - score * (height - 6)

    for event in events:
        edges = event["start_frame"], event["end_frame"]
        left, right = (_across(frame, len(scores), width) for frame in edges)
        draw.rectangle((left, 0, right, height), fill=tuple(value // 3 for value in _EVENT))
    draw.line((0, up(threshold), width, up(threshold)), fill=(120, 120, 120))
    points = [
        (_across((t + side) * FRAMES_PER_SEGMENT, len(scores), width), up(float(score)))
        for t, score in enumerate(scores)
        for side in (0, 1)
    ]
    draw.line(points, fill=_SCORE, width=2)
    return strip


def _across(frame: int, num_segments: int, width: int) -> float:
    """Column of a frame; the last frames, which fill no segment, stay at the right edge."""
    return min(frame / (num_segments * FRAMES_PER_SEGMENT), 1.0) * (width - 1)


def _write_words(draw: Any, words: str, font: Any) -> None:
    """White letters on a dark ground, in the upper left corner."""
    box = draw.textbbox((8, 8), words, font=font)
    draw.rectangle((box[0] - 4, box[1] - 4, box[2] + 4, box[3] + 4), fill=_GROUND)
    draw.text((8, 8), words, fill=_TEXT, font=font)
