"""Frames per second of annotated videos: what states them, and which of several counts."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping

from data_prep.catalogue.video_names import match_key
from refinevad_jax.errors import UserError

# Rates that differ by less than this share are the same rate, rounded.
RATE_TOLERANCE = 1e-3
# A duration that is stated in whole seconds is wrong by as much.
_DURATION_TOLERANCE = 0.5

# Frames per second that a duration may make.
_SLOWEST, _FASTEST = 0.05, 10_000

# The place in a video, counted in frames, of a time in seconds.
Place = Callable[[float], float]


@dataclasses.dataclass(frozen=True)
class Clock:
    """The times that were recorded of a video.

    Attributes:
        rate: frames per second, on average.
        frame_at: the place, counted in frames, of a time in seconds.
        num_frames: of the video.
        steady: whether the rate is the same throughout.
    """

    rate: float
    frame_at: Place
    num_frames: int
    steady: bool = True


# Where a rate may come from, in words.
_RATE_SOURCES = {
    "times": "the recorded times of the segments",
    "stated": "the rate that the annotations state",
    "duration": "the duration that the annotations state",
    "record": "the rate that extraction recorded",
    "flag": "--fps",
}
_OF_RECORD = ("times", "record")


def steady(frames_per_unit: float) -> Place:
    """The place of a time, or of another measure, at a constant rate."""
    return lambda place: place * frames_per_unit


class Rates:
    """What tells the frames per second of the videos of annotations, and which source counts."""

    def __init__(
        self,
        source: str,
        counts: Mapping[str, int],
        fps: Mapping[str, float],
        durations: Mapping[str, float],
        *,
        given: Mapping[str, int],
        flag: float | None,
        clocks: Mapping[str, Clock],
    ) -> None:
        """Tables are by match_key.

        Args:
            source: the annotation file.
            counts: frames as it states them.
            fps: frames per second as it states them.
            durations: seconds as it states them.
            given: frames from elsewhere, by id or match_key.
            flag: the rate that the user gives.
            clocks: the recorded times.

        Raises UserError for a duration that cannot be in seconds.
        """
        self._source, self._counts, self._fps = source, counts, fps
        self._durations, self._given, self._flag, self._clocks = durations, given, flag, clocks
        for video, duration in durations.items():
            length = self.length(video)
            if length and not _SLOWEST <= length / duration <= _FASTEST:
                raise UserError(
                    f"{source}: {video} has {length} frames in {duration:g} seconds; correct the "
                    "duration, is it in another unit?"
                )

    def length(self, video: str) -> int | None:
        """Frames of a video: as the annotations state them, else as given."""
        key = match_key(video)
        return self._counts.get(key, self._given.get(video, self._given.get(key)))

    def place(self, video: str) -> Place:
        """The frame of a time. Raises UserError if nothing tells the rate."""
        clock = self._clocks.get(match_key(video))
        found = self._sources(video)
        if not found:
            raise UserError(
                f"{self._source}: the spans of {video} are in seconds and its frames per "
                "second are not known; give the rate by --fps, 30 for UCF-Crime"
            )
        first = next(iter(found))
        return clock.frame_at if clock and first in _OF_RECORD else steady(found[first])

    def _sources(self, video: str) -> dict[str, float]:
        """The rate by everything that states it; the first one counts."""
        key = match_key(video)
        clock, own, stated = self._clocks.get(key), self._counts.get(key), self._fps.get(key, 0.0)
        recorded = clock.rate if clock else 0.0
        duration = self._durations.get(key) or (own / stated if own and stated else 0.0)
        length = self.length(video)
        by_duration = length / duration if length and key in self._durations else 0.0
        if own is None and not self._differ(recorded, by_duration, duration):
            by_duration = 0.0  # rounded; the record is more exact
        found = {"stated": stated, "duration": by_duration, "record": recorded}
        if clock and not clock.steady:
            found = {"times": recorded} | found
        elif (
            clock
            and duration
            and own != clock.num_frames
            and not self._differ(recorded, clock.num_frames / duration, duration)
        ):
            found = {"record": recorded} | found  # the file is about another encoding
        found["flag"] = self._flag or 0.0
        return {name: rate for name, rate in found.items() if rate}

    def of_other_frames(self, videos: Iterable[str]) -> list[str]:
        """A note for videos whose frame numbers are of another rate than the frames encoded."""
        told = []
        for video in videos:
            clock, rate = self._clocks.get(match_key(video)), self._fps.get(match_key(video))
            if clock and rate and self._differ(rate, clock.rate):
                told.append(f"{video}: {rate:.4g} frames per second, not {clock.rate:.4g}")
        if not told:
            return []
        return [
            "frame numbers are taken as they are, though the annotations state another rate than "
            f"extraction recorded ({'; '.join(told[:3])}"
            f"{f'; {len(told)} videos in all' if len(told) > 3 else ''}); if they are of another "
            "encoding of the videos, write times in seconds"
        ]

    @staticmethod
    def _differ(one: float, other: float, duration: float = 0.0) -> bool:
        """Whether two rates differ by more than rounding, of themselves or of the duration."""
        slack = _DURATION_TOLERANCE / duration if duration else 0.0
        return not math.isclose(one, other, rel_tol=max(RATE_TOLERANCE, slack))

    def chosen(self, videos: Iterable[str]) -> dict[str, float]:
        """The rate of every video for which there is one."""
        found = {video: self._sources(video) for video in videos}
        return {video: next(iter(rates.values())) for video, rates in found.items() if rates}

    def overruled(self, videos: Iterable[str]) -> list[str]:
        """A note for each two sources that state different rates, except for --fps and a record."""
        pairs: dict[tuple[str, str], list[str]] = {}
        for video in videos:
            (taken, rate), *others = self._sources(video).items() or [("", 0.0)]
            for other, its_rate in others:
                same = taken in _OF_RECORD and other in (*_OF_RECORD, "flag")
                rounded = self._durations.get(match_key(video), 0.0)
                rounded *= "duration" in (taken, other)
                if not same and self._differ(rate, its_rate, rounded):
                    told = f"{video}: {rate:.4g} frames per second, not {its_rate:.4g}"
                    pairs.setdefault((taken, other), []).append(told)
        return [
            f"seconds become frames by {_RATE_SOURCES[taken]}, not by {_RATE_SOURCES[other]} "
            f"({'; '.join(told[:3])}{f'; {len(told)} videos in all' if len(told) > 3 else ''})"
            for (taken, other), told in pairs.items()
        ]
