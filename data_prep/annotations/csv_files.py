"""Annotations with commas: GlanceVAD's clicks, MIST's ShanghaiTech labels."""

import re

from data_prep.annotations.builder import Builder
from data_prep.annotations.record import LARGEST_FRAME, Annotations
from data_prep.catalogue.video_names import strip_video_path
from refinevad_jax.errors import UserError

_BINARY = re.compile(r"([^,]+),\s*([01])(?:,\s*(-1|[0-9]{1,10}))?")


def read_csv(content: str, source: str) -> Annotations | None:
    """Reads comma-separated lines, None if they are neither. Raises UserError for a bad row."""
    lines = [(i, line.strip()) for i, line in enumerate(content.splitlines(), 1) if line.strip()]
    if lines and lines[0][1].lower() == "video-id,glance":
        return _read_glances(lines[1:], source)
    rows = [_BINARY.fullmatch(line) for _, line in lines]
    # The frames of an anomalous video are -1 there: `a.mp4,1,90` is a span.
    fitting = [row for row in rows if row and not (row[2] == "1" and row[3] not in (None, "-1"))]
    if rows and len(fitting) == len(rows) and any(row[3] in (None, "-1") for row in fitting):
        return _read_binary(lines, source)
    return None


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
        match = _BINARY.fullmatch(line)
        assert match is not None  # read_csv
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
