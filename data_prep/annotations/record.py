"""Temporal annotations as read from a file in any grammar."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from data_prep.annotations.rates import Clock, Rates, steady
from data_prep.catalogue.listed_names import meet
from data_prep.catalogue.video_names import is_normal_label, label_tokens, match_key
from data_prep.dataset.videos import Span
from refinevad_jax.encoders.video_files import some
from refinevad_jax.errors import UserError

# Frame numbers are stored as int32 in a dataset folder.
LARGEST_FRAME = 2**31 - 1


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
        fps: frames per second if stated; after `in_frames` those by which seconds are counted.
        durations: seconds per video if stated.
        stretches: spans that are not in frames yet, see `in_frames`.
        unit: what the file's starts and ends are counted in: "frames", "seconds" or "ratio" (shares
            of the video).
        unit_reason: why they are taken for that, if the file may mean another unit; "" if the
            grammar says it.
        unit_fixed: why the numbers cannot be in another unit, as "times are written as 0:05"; "" if
            they may be.
        unit_question: what the user has to say before the numbers can be read; "" for nothing.
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
    durations: dict[str, float] = dataclasses.field(default_factory=dict)
    stretches: dict[str, tuple[Stretch, ...]] = dataclasses.field(default_factory=dict)
    unit: str = "frames"
    unit_reason: str = ""
    unit_fixed: str = ""
    unit_question: str = ""
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

    def in_unit(self, unit: str, reason: str) -> "Annotations":
        """The same numbers, read in another unit, "frames" or "seconds", for a reason in words.

        Raises UserError if the file itself says another unit number by number.
        """
        if self.unit_fixed and unit != self.unit:
            raise UserError(
                f"{self.source}: --unit={unit} cannot be, for {self.unit_fixed}; leave the flag out"
            )
        spans, stretches = dict(self.spans), dict(self.stretches)
        if unit == "frames":
            for video, found in self.stretches.items():
                spans[video] = tuple(to_span(s.start, s.end, 1, s.category) for s in found)
            stretches = {}
        else:
            for video, whole in self.spans.items():
                if whole:
                    stretches[video] = tuple(Stretch(s.start, s.end, s.category) for s in whole)
                    del spans[video]
        old = "shares of the video" if self.unit == "ratio" else self.unit
        return dataclasses.replace(
            self,
            grammar=self.grammar.replace(f"({old})", f"({unit})"),
            notes=tuple(note.replace(f", in {old}", f", in {unit}") for note in self.notes),
            unit=unit,
            unit_reason=reason,
            unit_question="",
            spans=self._ordered(spans),
            stretches=stretches,
        )

    def _ordered(self, spans: Mapping[str, tuple[Span, ...]]) -> dict[str, tuple[Span, ...]]:
        return {video: spans[video] for video in self.video_ids if video in spans}

    def in_frames(
        self,
        num_frames: Mapping[str, int] | None = None,
        fps: float | None = None,
        clocks: Mapping[str, Clock] | None = None,
    ) -> "Annotations":
        """Turns stretches into frames, see `to_span`.

        Seconds are counted by the first of these that is known: the recorded times of a video whose
        rate varies, the rate that the file states, its frames or those counted over its duration,
        the recorded rate, fps. If the file states another number of frames for the same duration,
        it is about another encoding of the video: the recorded rate comes first. The notes say
        which rates were overruled. A stretch that begins within the video keeps at least the last
        frame.

        Args:
            num_frames: frames per video, by id or match_key; what the file states itself wins.
            fps: frames per second of videos for which nothing else tells them.
            clocks: by match_key, of videos whose times are known.

        Raises UserError for the first video whose frames or fps are not known, and if the unit is
        a question.
        """
        if self.unit_question:
            raise UserError(f"{self.source}: {self.unit_question}")
        rates = Rates(
            self.source,
            {match_key(video): n for video, n in self.num_frames.items()},
            {match_key(video): rate for video, rate in self.fps.items()},
            {match_key(video): seconds for video, seconds in self.durations.items()},
            given=num_frames or {},
            flag=fps,
            clocks=clocks or {},
        )
        spans = dict(self.spans)
        for video, stretches in self.stretches.items():
            length = rates.length(video)
            if self.unit == "seconds":
                place = rates.place(video)
            elif length is not None:
                place = steady(length)
            else:
                raise UserError(
                    f"{self.source}: the spans of {video} are shares of its length and its number "
                    "of frames is not known; give a file with a line 'name@frames' per video by "
                    "--frame_counts"
                )
            spans[video] = tuple(
                _within(to_span(start, end, 1, stretch.category), start, length)
                for stretch in stretches
                for start, end in [(place(stretch.start), place(stretch.end))]
            )
        return dataclasses.replace(
            self,
            spans=self._ordered(spans),
            stretches={},
            fps=rates.chosen(self.video_ids),
            notes=(
                *self.notes,
                *rates.overruled(self.stretches),
                *rates.of_other_frames(video for video, found in self.spans.items() if found),
            ),
        )


def _within(span: Span, start: float, length: int | None) -> Span:
    """A span that begins in the last half frame of a video is its last frame."""
    if length is not None and start < length <= span.start:
        return Span(length - 1, length, span.category)
    return span


def category_of(label: str | None) -> str | None:
    """The one category that a label string names, None if it names several or none."""
    if label is None or is_normal_label(label):
        return None
    tokens = label_tokens(label)
    return tokens[0] if len(tokens) == 1 else None
