"""Annotations of single frames: rows `video, frame, label`, and images of frames."""

import collections
import dataclasses
import itertools
from collections.abc import Sequence

from data_prep.annotations.builder import Builder
from data_prep.annotations.record import LARGEST_FRAME, Annotations
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class FrameRow:
    """One frame of a video.

    Attributes:
        video: as written.
        number: of the frame, counted from 0 or 1.
        anomalous: whether it is.
        category: of an anomalous frame if it is stated.
        place: file and line.
    """

    video: str
    number: int
    anomalous: bool
    category: str | None
    place: str


def read_frame_rows(
    rows: Sequence[FrameRow], source: str, grammar: str, notes: Sequence[str] = ()
) -> Annotations:
    """Spans from the frames of videos.

    Frames at a constant step, as every 5th, stand for the frames up to the next one. Numbers that
    begin at 1 in every video are counted from 1. Frames that are left out are not anomalous.
    Raises UserError if a frame has two rows that differ in whether it is anomalous.
    """
    videos: dict[str, dict[int, FrameRow]] = {}
    for row in rows:
        if row.number > LARGEST_FRAME:
            raise UserError(f"{row.place}: frame {row.number}; correct the number")
        frames = videos.setdefault(row.video, {})
        # A frame with several boxes has a row for each.
        earlier = frames.setdefault(row.number, row)
        if earlier.anomalous != row.anomalous:
            raise UserError(
                f"{row.place}: frame {row.number} of {row.video} is anomalous in one row and "
                "normal in another; keep one"
            )
    first = 1 if videos and all(min(frames) == 1 for frames in videos.values()) else 0
    gaps = collections.Counter(
        second - one
        for frames in videos.values()
        for one, second in itertools.pairwise(sorted(frames))
    )
    step = gaps.most_common(1)[0][0] if gaps else 1
    builder = Builder(grammar, source)
    gappy = False
    for video, frames in videos.items():
        numbers = sorted(frames)
        whole = numbers == [first + step * i for i in range(len(numbers))]
        gappy = gappy or not whole
        spans = _runs([frames[number] for number in numbers], first, step)
        builder.add(
            video,
            spans,
            place=frames[numbers[0]].place,
            label=None if spans else "Normal",
            num_frames=numbers[-1] - first + 1 if whole and step == 1 else None,
        )
    said = [f"frames are counted from {first}"]
    if step > 1:
        said.append(f"one frame in {step} is annotated; it stands for {step} frames")
    if gappy:
        said.append("frames that are not listed count as normal")
    count = sum(len(frames) for frames in videos.values())
    return builder.build(
        unit_fixed="there is a row per frame",
        notes=(f"frames: {count}, videos: {len(videos)}; {'; '.join(said)}", *notes),
    )


def _runs(rows: Sequence[FrameRow], first: int, step: int) -> list[Span]:
    """The spans of anomalous frames that follow each other at the step and have one category."""
    spans: list[Span] = []
    for row in rows:
        if not row.anomalous:
            continue
        start = row.number - first
        if spans and spans[-1].end >= start and spans[-1].category == row.category:
            spans[-1] = dataclasses.replace(spans[-1], end=start + step)
        else:
            spans.append(Span(start, start + step, row.category))
    return spans
