"""The page of one video: it plays, with its scores and events beside it."""

import base64
import dataclasses
import os
import pathlib
import urllib.parse
from typing import Any

import numpy as np

from refinevad_jax.detection.features import RECORDED, Features
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.files.staged import write_text
from refinevad_jax.report.page import environment, script_json

FOLDER = pathlib.Path(__file__).parent / "pages"
# What browsers play, by FFmpeg's names.
_CONTAINERS = {".mp4", ".m4v", ".mov", ".webm"}
_CODECS = {"h264", "vp8", "vp9", "av1"}
_PIXELS = {"yuv420p", "yuvj420p"}


def write_page(
    path: pathlib.Path,
    description: dict[str, Any],
    facts: dict[str, Any],
    found: Features,
    scores: VideoScores,
    video: pathlib.Path | None,
    index: pathlib.Path,
) -> None:
    """Writes OUT/<name>.html whole.

    description, facts: see refinevad_jax.detection.outputs; video: the file that plays, None if
    there is none; index: the page of all inputs. Raises UserError if jinja2 is not installed.
    """
    size = facts["frames_per_segment"]
    data = {
        "seconds": [round(float(value), 3) for value in found.seconds],
        "duration": round(found.duration, 3),
        "scores": [round(float(value), 7) for value in scores.scores],
        "threshold": facts["threshold"],
        "threshold_text": f"{facts['threshold']:.4g}: {facts['threshold_source']}",
        "events": description["events"],
    }
    text = (
        environment(FOLDER)
        .get_template("detection.html")
        .render(
            video=description,
            facts=facts,
            pictures=[
                picture_of(found, middle_segment(event, size)) for event in description["events"]
            ],
            source=link(path, video) if video else "",
            without_video=found.without_video,
            rate_note=rate_note(found),
            index=link(path, index),
            data=script_json(data),
            style=(FOLDER / "detection.css").read_text(encoding="utf-8"),
            script=(FOLDER / "detection.js").read_text(encoding="utf-8"),
        )
    )
    write_text(path, text)


def rate_note(found: Features) -> str:
    """How frames became seconds, if the video does not state its rate."""
    if found.fps_source == RECORDED:
        return ""
    return f"Seconds are frames at {found.fps:.4g} per second ({found.fps_source})"


def link(page: pathlib.Path, target: pathlib.Path) -> str:
    """The address of a file relative to a page, safe for names with # % ? and spaces."""
    relative = os.path.relpath(target.resolve(), page.parent.resolve())
    return urllib.parse.quote(os.fsencode(pathlib.Path(relative).as_posix()))


def playable(path: pathlib.Path) -> bool:
    """Whether browsers play the file as it is."""
    with Video(path) as video:
        known = video.codec in _CODECS and video.pixel_format in _PIXELS
    return known and path.suffix.lower() in _CONTAINERS


def transcode(found: Features, target: pathlib.Path) -> Features:
    """Writes a copy that browsers play, and gives the times that its frames have there.

    The copy has a constant frame rate, so the times of a variable one do not hold in it.
    """
    with Video(found.video or found.path) as video:
        write_video(target, (frame.pixels for frame in video), fps=found.fps)
    starts = np.arange(found.features.shape[1] + 1) * FRAMES_PER_SEGMENT / found.fps
    return dataclasses.replace(found, seconds=starts, duration=found.num_frames / found.fps)


def middle_segment(event: dict[str, Any], frames_per_segment: int) -> int:
    """The segment in the middle of an event of events.json."""
    return (event["start_frame"] + event["end_frame"]) // 2 // frames_per_segment


def picture_of(found: Features, segment: int) -> str:
    """The first frame of a segment as a data address, "" if there is no picture of it."""
    picture = found.thumbnails.get(min(segment, max(found.thumbnails, default=0)))
    if picture is None:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode()
