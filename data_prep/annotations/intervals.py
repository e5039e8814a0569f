"""Interval files: `<split>_intervals_seconds.json` or `_frames.json`, {video: [[start, end], ...]}.

The end is exclusive, an empty list means that the video is known to be normal, and a video that is
not named has no known truth.
"""

import dataclasses
import json
import pathlib
from typing import Any

from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError

_UNITS = ("seconds", "frames")
_LIMIT = 1e9  # beyond any video, within every number type


@dataclasses.dataclass(frozen=True)
class Intervals:
    """The anomalous stretches of one video.

    Attributes:
        path: the file they stand in.
        unit: "seconds" or "frames".
        pairs: (start, end) in that unit, end exclusive.
    """

    path: pathlib.Path
    unit: str
    pairs: tuple[tuple[float, float], ...]

    def spans(self, fps: float) -> tuple[Span, ...]:
        """In whole frames, rounded; an interval never vanishes by rounding."""
        scale = fps if self.unit == "seconds" else 1.0
        spans = []
        for start, end in self.pairs:
            first = round(start * scale)
            spans.append(Span(first, max(round(end * scale), first + 1)))
        return tuple(spans)


def find_interval_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The interval files of a folder, sorted. Raises UserError for a unit that is neither."""
    files = sorted(folder.glob("*_intervals_*.json"))
    for path in files:
        if _unit(path) not in _UNITS:
            raise UserError(f"{path}: intervals are in {' or '.join(_UNITS)}, not {_unit(path)!r}")
    return files


def read_intervals(files: list[pathlib.Path]) -> dict[str, Intervals]:
    """Reads interval files into one table by video.

    Raises UserError naming file and video for a damaged file or a video in two files.
    """
    table: dict[str, Intervals] = {}
    for path in files:
        for video_id, pairs in _load(path).items():
            if video_id in table:
                raise UserError(f"{path}: video {video_id!r} is in {table[video_id].path} too")
            if not isinstance(pairs, list) or not all(_is_interval(pair) for pair in pairs):
                raise UserError(
                    f"{path}: video {video_id!r}: {str(pairs)[:80]} is no list of [start, end] "
                    "with start < end"
                )
            table[video_id] = Intervals(path, _unit(path), tuple((s, e) for s, e in pairs))
    return table


def _unit(path: pathlib.Path) -> str:
    return path.stem.rpartition("_")[2]


def _load(path: pathlib.Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected an object {{video: [[start, end], ...]}}")
    return values


def _is_interval(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in pair)
        and -_LIMIT < pair[0] < pair[1] < _LIMIT
    )
