"""Collects temporal annotations row by row, and joins those of several files."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from data_prep.annotations.record import LARGEST_FRAME, Annotations, Stretch, category_of
from data_prep.catalogue.listed_names import short_ids
from data_prep.catalogue.lookup import label_from_name
from data_prep.catalogue.video_names import is_normal_label, strip_video_path
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError

# Seconds; a shorter duration would make a rate that no video has.
SHORTEST = 1e-3
# What the rows of a video have to agree in, in words.
_FACTS = {"num_frames": "frames", "fps": "frames per second", "duration": "seconds"}


@dataclasses.dataclass
class _Entry:
    """What the rows of one video state together.

    Attributes:
        path: the video as its first row writes it.
        place: of the first row.
        spans: of all rows; None if no row says anything about them.
        spanned: place of the first row with a span.
        normal: place of the first row that says that there is not a span.
        labels: {label: place of its first row}.
        num_frames: if a row states it.
        fps: likewise.
        duration: in seconds; likewise.
        rows: those read so far, without their places.
    """

    path: str
    place: str
    spans: list[Span | Stretch] | None = None
    spanned: str = ""
    normal: str = ""
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    num_frames: int | None = None
    fps: float | None = None
    duration: float | None = None
    rows: list[Any] = dataclasses.field(default_factory=list)


class Builder:
    """Collects annotations row by row and refuses what cannot be meant.

    Several rows of one video are read together: their spans in the order of the file. A row that is
    repeated exactly counts once. Every `add` is told the place (file and line), for its errors.
    Raises UserError for a span that ends before it starts, and for rows of a video that contradict
    each other. As the end is exclusive, a
    span `330 330` (IEF-VAD's ShanghaiTech file has two) covers nothing: it is left out and noted.
    If a video has no other span, its spans are not known, unless its label is normal.
    """

    def __init__(self, grammar: str, source: str, *, unit: str = "frames") -> None:
        self._grammar, self._source, self._unit = grammar, source, unit
        self._entries: dict[str, _Entry] = {}
        self._empty: list[str] = []
        self._repeated: list[str] = []
        self._normal_parts: dict[str, tuple[str, str]] = {}

    def add(
        self,
        path: str,
        spans: Iterable[Span | Stretch] | None,
        *,
        place: str,
        label: str | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        duration: float | None = None,
    ) -> None:
        """Adds a row of a video.

        Args:
            path: the video's path as written.
            spans: None if the row says nothing about them, () if it says that there is none.
            place: file and line.
            label: label string; None if the row states none, which leaves that of the name.
            num_frames: of the video.
            fps: likewise.
            duration: in seconds; likewise.
        """
        video = strip_video_path(path)
        if not video.rpartition("/")[2]:
            raise UserError(f"{place}: no video name; write one")
        label = label_from_name(video) if label is None else label
        given = None if spans is None else tuple(spans)
        kept = None if given is None else tuple(self._check(given, label, video, place))
        if given and not kept and not is_normal_label(label):
            kept = None  # only empty spans: where the anomaly is, is not known
        if num_frames is not None and not 0 <= num_frames <= LARGEST_FRAME:
            raise UserError(f"{place}: {num_frames} frames for {video}; correct the number")
        if fps is not None and not 0 < fps <= LARGEST_FRAME:
            raise UserError(f"{place}: {fps} frames per second for {video}; correct the numbers")
        if duration is not None and not SHORTEST <= duration <= LARGEST_FRAME:
            raise UserError(f"{place}: a duration of {duration} seconds; correct the number")
        entry = self._entries.setdefault(video, _Entry(path, place))
        row = (kept, label, num_frames, fps, duration)
        if row in entry.rows:
            self._repeated.append(video)
            return
        entry.rows.append(row)
        entry.normal = entry.normal or (place if given == () else "")
        self._merge(entry, video, row, place)

    def add_normal_part(self, path: str, place: str) -> None:
        """A row that says of a part of a video that it is normal: nothing about the rest of it."""
        self._normal_parts.setdefault(strip_video_path(path), (path, place))

    def several(self) -> list[str]:
        """The videos with several rows."""
        return [video for video, entry in self._entries.items() if len(entry.rows) > 1]

    def _merge(self, entry: _Entry, video: str, row: tuple[Any, ...], place: str) -> None:
        """Adds a checked row to what the earlier rows of its video state."""
        spans, label, *facts = row
        if spans is not None:
            entry.spans = [*(entry.spans or ()), *spans]
            entry.spanned = entry.spanned or (place if spans else "")
        if label is not None:
            entry.labels.setdefault(label, place)
        if entry.spanned and entry.normal:
            other = entry.normal if entry.spanned == place else entry.spanned
            here = "has a span" if entry.spanned == place else "is normal"
            raise UserError(
                f"{place}: {video} {here} here and {'is normal' if spans else 'has a span'} in "
                f"{self._short(other)}; correct one of the two rows"
            )
        normal = [is_normal_label(name) for name in entry.labels]
        if len(normal) > 1 and (entry.spans is None or any(normal)):
            (first, at), last = next(iter(entry.labels.items())), next(reversed(entry.labels))
            cure = "keep one" if any(normal) else f"write both in one row, '{first},{last}'"
            raise UserError(
                f"{place}: {video} has the label {last} here and {first} in {self._short(at)}; "
                f"{cure}"
            )
        for (name, what), value in zip(_FACTS.items(), facts, strict=True):
            earlier = getattr(entry, name)
            if None not in (value, earlier) and value != earlier:
                raise UserError(
                    f"{place}: {video} has {value} {what} here and {earlier} in "
                    f"{self._short(entry.place)}; correct one of them"
                )
            setattr(entry, name, earlier if value is None else value)

    def _short(self, place: str) -> str:
        """A place in the same file without the file's name."""
        return place.removeprefix(f"{self._source}, ")

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
        unit_reason: str = "",
        unit_fixed: str = "",
        unit_question: str = "",
        notes: tuple[str, ...] = (),
    ) -> Annotations:
        """The finished record; arguments as its attributes.

        Raises UserError if nothing was added.
        """
        entries = self._entries
        for video, (path, place) in self._normal_parts.items():
            if video not in entries:
                self.add(path, (), place=place, label="Normal")
        if self._normal_parts:
            notes += (
                f"rows labelled normal with times are normal parts: videos "
                f"{len(self._normal_parts)}, first {next(iter(self._normal_parts))}",
            )
        if not entries and not points:
            raise UserError(f"{self._source}: no video in it; check that this is the right file")
        ids = short_ids([*entries, *(points or {})])
        entries = {ids[path]: entry for path, entry in entries.items()}
        points = {ids[path]: frames for path, frames in (points or {}).items()}
        if self._empty:
            names = dict.fromkeys(self._empty)
            more = ", ..." if len(names) > 3 else ""
            notes += (
                f"{len(self._empty)} empty spans left out, in {', '.join([*names][:3])}{more}",
            )
        if self._repeated:
            notes += (
                f"rows that repeat an earlier row exactly and count once: {len(self._repeated)}, "
                f"first of {self._repeated[0]}",
            )
        known = {v: tuple(entry.spans) for v, entry in entries.items() if entry.spans is not None}
        stretches: dict[str, Any] = {
            video: spans
            for video, spans in known.items()
            if spans and isinstance(spans[0], Stretch)
        }
        spans: dict[str, Any] = {v: found for v, found in known.items() if v not in stretches}
        return Annotations(
            grammar=self._grammar,
            source=self._source,
            video_ids=tuple(entries) or tuple(points),
            spans=spans,
            num_frames={v: e.num_frames for v, e in entries.items() if e.num_frames is not None},
            # Several classes have no common one; they are those of the spans.
            labels={v: next(iter(e.labels)) for v, e in entries.items() if len(e.labels) == 1},
            fps={v: e.fps for v, e in entries.items() if e.fps is not None},
            durations={v: e.duration for v, e in entries.items() if e.duration is not None},
            stretches=stretches,
            unit=self._unit,
            unit_reason=unit_reason,
            unit_fixed=unit_fixed,
            unit_question=unit_question,
            points=points,
            frames_from_segments=frames_from_segments,
            notes=notes,
            paths={video: path for path, video in ids.items()},
        )


def joined(parts: Sequence[Annotations], source: str) -> Annotations:
    """The annotations of several files, each of other videos, as one.

    Raises UserError if their units differ, or if two of them state the same video.
    """
    if len(parts) == 1:
        return dataclasses.replace(parts[0], source=source)
    files: dict[str, str] = {}
    for part in parts:
        for path in (part.paths.get(video, video) for video in part.video_ids):
            if files.setdefault(path, part.source) != part.source:
                raise UserError(
                    f"{source}: {path} is in {files[path]} and in {part.source}; a folder has a "
                    "file per video, otherwise name the annotation file"
                )
    parts = _in_one_unit(parts)
    units = {part.unit for part in parts if part.stretches}
    spanned = [part for part in parts if any(part.spans.values())]
    if len(units) > 1 or (units and spanned):
        one = next(part for part in parts if part.stretches)
        other = next(p for p in parts if p is not one and (p.unit != one.unit or p in spanned))
        raise UserError(
            f"{one.source}: in {one.unit or 'frames'}, but {other.source} is in "
            f"{other.unit or 'frames'}; write all files of the folder in one unit"
        )
    grammars = list(dict.fromkeys(part.grammar for part in parts))
    builder = Builder(", ".join(grammars), source, unit=units.pop() if units else "frames")
    for part in parts:
        for video in part.video_ids:
            builder.add(
                part.paths.get(video, video),
                part.stretches.get(video, part.spans.get(video)),
                place=part.source,
                label=part.labels.get(video),
                num_frames=part.num_frames.get(video),
                fps=part.fps.get(video),
                duration=part.durations.get(video),
            )
    notes = [f"{len(parts)} files with {len(files)} videos read as one"]
    notes += [
        f"{part.source.rpartition('/')[2]}: {note}" for part in parts[:1] for note in part.notes
    ]
    reasons = [part.unit_reason for part in parts if part in spanned or part.stretches]
    return builder.build(
        unit_reason=reasons[0] if reasons and all(reasons) else "",
        unit_fixed=next((part.unit_fixed for part in parts if part.unit_fixed), ""),
        unit_question=next((part.unit_question for part in parts if part.unit_question), ""),
        notes=tuple(notes),
    )


def _in_one_unit(parts: Sequence[Annotations]) -> Sequence[Annotations]:
    """The parts; whole numbers that were taken for frames are seconds if those of others are."""
    seconds = [part for part in parts if part.unit == "seconds" and part.stretches]
    guessed = [part for part in parts if part.unit == "frames" and any(part.spans.values())]
    if not seconds or not guessed or not all(part.unit_reason for part in guessed):
        return parts
    reason = seconds[0].unit_reason
    return [part.in_unit("seconds", reason) if part in guessed else part for part in parts]
