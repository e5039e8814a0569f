"""Annotations with commas: GlanceVAD's clicks, MIST's ShanghaiTech labels."""

import re

from data_prep.annotations.record import LARGEST_FRAME, Annotations, Builder
from data_prep.catalogue.video_names import strip_video_path
from refinevad_jax.errors import UserError


def read_csv(content: str, source: str) -> Annotations:
    """Reads comma-separated lines. Raises UserError naming the line that does not fit."""
    lines = [(i, line.strip()) for i, line in enumerate(content.splitlines(), 1) if line.strip()]
    number, header = lines[0]
    if header.lower() == "video-id,glance":
        return _read_glances(lines[1:], source)
    if re.search(r",(0|1|-1)(,|$)", header):
        return _read_binary(lines, source)
    raise UserError(
        f"{source}, line {number}: {header[:60]!r} does not begin a known annotation table; lists "
        "of feature files are given as --list"
    )


def _read_glances(lines: list[tuple[int, str]], source: str) -> Annotations:
    """`video-id,glance`: one annotated frame per row, a video may have several or `-`."""
    points: dict[str, tuple[int, ...]] = {}
    for number, line in lines:
        name, _, frame = line.rpartition(",")
        video = strip_video_path(name)
        if not video or not re.fullmatch(r"-|-1|[0-9]{0,10}", frame):
            raise UserError(f"{source}, line {number}: {line[:60]!r} is not 'video-id,glance'")
        given = (int(frame),) if frame.isdigit() else ()
        if given and given[0] > LARGEST_FRAME:
            raise UserError(f"{source}, line {number}: frame {frame}; correct the number")
        points[video] = points.get(video, ()) + given
    notes = ("single frames, not spans: not a truth to evaluate on",)
    return Builder("GlanceVAD CSV (points)", source).build(points=points, notes=notes)


def _read_binary(lines: list[tuple[int, str]], source: str) -> Annotations:
    """`name,label[,frames]`: MIST's ShanghaiTech split; 1 is anomalous and has -1 frames."""
    builder = Builder("name,label[,frames]", source)
    for number, line in lines:
        place = f"{source}, line {number}"
        match = re.fullmatch(r"([^,]+),\s*([01])(?:,\s*(-1|[0-9]{1,10}))?", line)
        if not match:
            raise UserError(f"{place}: {line[:60]!r} is not 'name,label,frames'")
        name, label, frames = match.groups()
        count = int(frames) if frames not in (None, "-1") else None
        normal = label == "0"
        builder.add(
            strip_video_path(name),
            () if normal else None,
            place=place,
            label="Normal" if normal else "Abnormal",
            num_frames=count,
        )
    return builder.build()
