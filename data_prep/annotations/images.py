"""Annotations of images that are frames of videos, as of COCO, VIA and CVAT exports."""

import collections
import dataclasses
import re
from collections.abc import Sequence

from data_prep.annotations.frames import FrameRow, read_frame_rows
from data_prep.annotations.labels import category_word, is_normal_word, listed
from data_prep.annotations.record import Annotations
from refinevad_jax.errors import UserError

_ROBOFLOW = re.compile(r"_(jpe?g|png|bmp)\.rf\.[0-9a-zA-Z]+$")
_FRAME = re.compile(r"(.*?)[-_. ]*(?:frames?|img|image|f)?[-_. ]*([0-9]{1,10})", re.IGNORECASE)
_VIDEO_ENDING = re.compile(r"[_.](mp4|avi|mov|mkv|webm)$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Image:
    """An image of an export.

    Attributes:
        name: its file name, with folders if it has any.
        labels: of everything that is marked on it.
        place: file and entry.
        video: the video's name if the export states it; "" if the file name has to tell it.
        frame: likewise the number of the frame.
    """

    name: str
    labels: tuple[str, ...]
    place: str
    video: str = ""
    frame: int | None = None


def read_images(
    images: Sequence[Image], source: str, kind: str, notes: Sequence[str] = ()
) -> Annotations:
    """An image with a mark is an anomalous frame, unless all of its labels are words for normal.

    Raises UserError for an image whose video or frame cannot be told.
    """
    rows = []
    for image in images:
        video, frame = image.video, image.frame
        if video and frame is None and (own := re.search("([0-9]{1,10})[^0-9]*$", image.name)):
            frame = int(own.group(1))
        if not video or frame is None:
            named, number = _from_name(image)
            video, frame = video or named, number if frame is None else frame
        found = [label for label in image.labels if not is_normal_word(label)]
        category = category_word(found[0]) if found else None
        rows.append(FrameRow(video, frame, bool(found), category, image.place))
    if not rows:
        raise UserError(f"{source}: a {kind} without images; check that this is the right file")
    marked = sum(row.anomalous for row in rows)
    labels = collections.Counter(row.category for row in rows if row.category)
    told = (
        f"images are frames; {marked} of {len(rows)} have a mark and are anomalous"
        f"{f': {listed(labels)}' if labels else ''}"
    )
    return read_frame_rows(rows, source, f"{kind}, frames as images", (told, *notes))


def _from_name(image: Image) -> tuple[str, int]:
    """Path of the video and frame of `x/video1/frame_000123.jpg` and `x/video1_000123.jpg`."""
    *folders, file = re.split(r"[/\\]", image.name.strip())
    stem = _ROBOFLOW.sub("", re.sub(r"\.(jpe?g|png|bmp|webp|tiff?)$", "", file, flags=re.I))
    match = _FRAME.fullmatch(stem)
    video = _VIDEO_ENDING.sub("", match.group(1)) if match else ""
    video = "/".join([*folders, video] if video else folders)
    if match is None or not video:
        raise UserError(
            f"{image.place}: the image {image.name[:80]!r} names no video and frame; name images "
            "as video1/frame_000123.jpg or video1_000123.jpg"
        )
    return video, int(match.group(2))
