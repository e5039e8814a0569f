"""Temporal annotations as read from a file in any grammar."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from data_prep.catalogue.listed_names import meet, short_ids
from data_prep.catalogue.lookup import label_from_name
from data_prep.catalogue.video_names import is_normal_label, label_tokens, match_key
from data_prep.dataset.videos import Span
from refinevad_jax.encoders.video_files import some
from refinevad_jax.errors import UserError

# Frame numbers are stored as int32 in a dataset folder.
LARGEST_FRAME = 2**31 - 1


# The place in a video, counted in frames, of a time in seconds.
Clock = Callable[[float], float]


def _steady(frames_per_unit: float) -> Clock:
    return lambda place: place * frames_per_unit


@dataclasses.dataclass(frozen=True)
class Stretch:
    """A span in a unit other than frames, seconds or a share of the video: start, end."""

    start: float
    end: float
    category: str | None = None


def to_span(start: float, end: float, frames: float, category: str | None = None) -> Span:
    """A stretch in whole frames: start and end are rounded to the nearest frame.

    A stretch that is not empty never vanishes: it has at least one frame.

    Args:
        start: in any unit.
        end: likewise.
        frames: frames per unit.
        category: of the span.
    """
    first = round(start * frames)
    return Span(first, max(round(end * frames), first + (end > start)), category)


@dataclasses.dataclass(frozen=True)
class Annotations:
    """What one annotation file, or folder of them, states.

    Video ids carry neither directory nor video suffix; dicts keep the order of the file.

    Attributes:
        grammar: the grammar's name, for people.
        source: the file or folder.
        video_ids: every video that the file speaks of, in its order.
        spans: anomalous frames per video, end exclusive, in the order of the file; () for a video
            that the file gives as normal. A video whose spans are unknown is absent.
        num_frames: frames per video if the file states them.
        labels: label string per video, as stated by the file or by the video's name.
        fps: frames per second if stated.
        stretches: spans that are not in frames yet, see `in_frames`.
        unit: the unit of `stretches`: "", "ratio" (share of the video) or "seconds".
        points: single annotated frames per video (GlanceVAD's clicks); they are not truth.
        frames_from_segments: num_frames is 16 T of some feature release, not the video's length.
        notes: what a reader should know, one line each.
        paths: of each video as the file writes it, without suffix.
    """

    grammar: str
    source: str
    video_ids: tuple[str, ...]
    spans: dict[str, tuple[Span, ...]]
    num_frames: dict[str, int] = dataclasses.field(default_factory=dict)
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    fps: dict[str, float] = dataclasses.field(default_factory=dict)
    stretches: dict[str, tuple[Stretch, ...]] = dataclasses.field(default_factory=dict)
    unit: str = ""
    points: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    frames_from_segments: bool = False
    notes: tuple[str, ...] = ()
    paths: dict[str, str] = dataclasses.field(default_factory=dict)

    def called(self, videos: Mapping[str, str]) -> "Annotations":
        """The same with the ids of a list for the videos that it has, see listed_names.meet.

        videos: path of each video of the list, by its id. Raises UserError if a name here may mean
        two of them.
        """
        names = {video: self.paths.get(video, video) for video in self.video_ids}
        found, differing = meet(names, videos, self.source)
        changed: dict[str, Any] = {
            field.name: {found.get(video, video): value for video, value in table.items()}
            for field in dataclasses.fields(self)
            if isinstance(table := getattr(self, field.name), dict)
        }
        ids = tuple(found.get(video, video) for video in self.video_ids)
        notes = self.notes + ((f"by similar names: {some(differing)}",) if differing else ())
        return dataclasses.replace(self, **changed, video_ids=ids, notes=notes)

    def spans_of(self, video_id: str, *, normal: bool | None = None) -> tuple[Span, ...] | None:
        """The spans of a listed video, None if they are not known.

        Some files drop UCF-Crime's `_x264`, and some state anomalous videos only: an absent video
        has no span when the list calls it normal.

        Args:
            video_id: as in the list.
            normal: whether the list's label says so; None if that is not known.
        """
        if video_id in self.spans:
            return self.spans[video_id]
        return self._spans_by_key.get(match_key(video_id), () if normal else None)

    @functools.cached_property
    def _spans_by_key(self) -> dict[str, tuple[Span, ...]]:
        return {match_key(video): spans for video, spans in self.spans.items()}

    def in_frames(
        self,
        num_frames: Mapping[str, int] | None = None,
        fps: float | None = None,
        clocks: Mapping[str, Clock] | None = None,
    ) -> "Annotations":
        """Turns stretches into frames, see `to_span`.

        Args:
            num_frames: frames per video, for shares of the video; what the file states itself wins.
            fps: frames per second, for seconds of which neither the file nor clocks tell the frame.
            clocks: by match_key, of videos whose times are known; a rate that the file states wins.

        Raises UserError for the first video whose frames or fps are not known.
        """
        if not self.stretches:
            return self
        spans = dict(self.spans)
        for video, stretches in self.stretches.items():
            if self.unit == "seconds":
                clock = self._clock(video, fps, clocks or {})
            else:
                clock = _steady(self._length(video, num_frames or {}))
            spans[video] = tuple(
                to_span(clock(stretch.start), clock(stretch.end), 1, stretch.category)
                for stretch in stretches
            )
        order = {video: spans[video] for video in self.video_ids if video in spans}
        return dataclasses.replace(self, spans=order, stretches={}, unit="")

    def _clock(self, video: str, fps: float | None, clocks: Mapping[str, Clock]) -> Clock:
        """The frame of a time of a video; Clock of a constant rate if that is all that is known."""
        key = match_key(video)
        if video not in self.fps and key in clocks:
            return clocks[key]
        rate = self.fps.get(video, fps)
        if rate is None:
            raise UserError(
                f"{self.source}: the spans of {video} are in seconds and its frames per second "
                "are not known; give the rate by --fps, 30 for UCF-Crime"
            )
        return _steady(rate)

    def _length(self, video: str, num_frames: Mapping[str, int]) -> int:
        for counts in (self.num_frames, num_frames):
            for name in (video, match_key(video)):
                if name in counts:
                    return counts[name]
        raise UserError(
            f"{self.source}: the spans of {video} are shares of its length and its number of "
            "frames is not known; give a file that states it by --frame_counts"
        )


class Builder:
    """Collects annotations video by video and refuses what cannot be meant.

    Every `add` is told the place (file and line), for its errors. Raises UserError for a span that
    ends before it starts and for a video that appears twice with different content. As the end is
    exclusive, a span `330 330` (IEF-VAD's ShanghaiTech file has two) covers nothing: it is left out
    and noted.
    """

    def __init__(self, grammar: str, source: str, *, unit: str = "") -> None:
        self._grammar, self._source, self._unit = grammar, source, unit
        # Spans, label, frames and rate of each video.
        self._rows: dict[str, tuple[Any, str | None, int | None, float | None]] = {}
        self._empty: list[str] = []

    def add(
        self,
        video: str,
        spans: Iterable[Span | Stretch] | None,
        *,
        place: str,
        label: str | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
    ) -> None:
        """Adds a video.

        Args:
            video: its path as strip_video_path gives it.
            spans: None if the row says nothing about them.
            place: file and line.
            label: the label string, if it is stated.
            num_frames: likewise.
            fps: likewise.
        """
        if not video.rpartition("/")[2]:
            raise UserError(f"{place}: no video name; write one")
        label = label_from_name(video) if label is None else label
        kept = None if spans is None else tuple(self._check(spans, label, video, place))
        if num_frames is not None and not 0 <= num_frames <= LARGEST_FRAME:
            raise UserError(f"{place}: {num_frames} frames for {video}; correct the number")
        if fps is not None and not 0 < fps < math.inf:
            raise UserError(f"{place}: {fps} frames per second for {video}; correct the numbers")
        row = (kept, label, num_frames, fps)
        if self._rows.setdefault(video, row) != row:
            raise UserError(f"{place}: {video} appears twice with different content; keep one")

    def _check(
        self, spans: Iterable[Span | Stretch], label: str | None, video: str, place: str
    ) -> Iterable[Span | Stretch]:
        for span in spans:
            if not 0 <= span.start <= span.end <= LARGEST_FRAME:
                raise UserError(
                    f"{place}: span {span.start} {span.end} of {video}; a span starts at 0 or "
                    "later and ends after it starts (-1 -1 means none)"
                )
            if span.start == span.end:
                self._empty.append(video)
                continue
            yield dataclasses.replace(span, category=span.category or category_of(label))

    def build(
        self,
        *,
        points: dict[str, tuple[int, ...]] | None = None,
        frames_from_segments: bool = False,
        notes: tuple[str, ...] = (),
    ) -> Annotations:
        """The finished record. Raises UserError if nothing was added."""
        if not self._rows and not points:
            raise UserError(f"{self._source}: no video in it; check that this is the right file")
        ids = short_ids([*self._rows, *(points or {})])
        rows = {ids[path]: row for path, row in self._rows.items()}
        points = {ids[path]: frames for path, frames in (points or {}).items()}
        if self._empty:
            notes += (f"{len(self._empty)} empty spans left out, first in {self._empty[0]}",)
        known = {video: spans for video, (spans, _, _, _) in rows.items() if spans is not None}
        stretches = {video: s for video, s in known.items() if s and isinstance(s[0], Stretch)}
        return Annotations(
            grammar=self._grammar,
            source=self._source,
            video_ids=tuple(rows) or tuple(points),
            spans={video: spans for video, spans in known.items() if video not in stretches},
            num_frames={video: n for video, (_, _, n, _) in rows.items() if n is not None},
            labels={video: label for video, (_, label, _, _) in rows.items() if label is not None},
            fps={video: fps for video, (_, _, _, fps) in rows.items() if fps is not None},
            stretches=stretches,
            unit=self._unit if stretches else "",
            points=points,
            frames_from_segments=frames_from_segments,
            notes=notes,
            paths={video: path for path, video in ids.items()},
        )


def category_of(label: str | None) -> str | None:
    """The one category that a label string names, None if it names several or none."""
    if label is None or is_normal_label(label):
        return None
    tokens = label_tokens(label)
    return tokens[0] if len(tokens) == 1 else None
