"""Times as people write them in tables: `01:02:03.250`, `2:15`, `12s`, `PT1M3S`, `12.5`."""

import dataclasses
import json
import re
from typing import Any

from refinevad_jax.errors import UserError

# What stands in a cell for "no time".
BLANKS = frozenset(("", "-", "--", ".", "none", "n/a", "na", "nan", "null", "-1", "-1.0"))

_CLOCK = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,5}):([0-9]{1,2}(?:[.,][0-9]{1,9})?)")
_NUMBER = re.compile(r"-?(?:[0-9]{1,12}(?:[.][0-9]{0,17})?|[.][0-9]{1,17})(?:e[-+]?[0-9]{1,2})?")
_AMOUNT = r"([0-9]{1,9}(?:[.,][0-9]{1,9})?)\s*"
_UNITS = re.compile(
    rf"(?:{_AMOUNT}(?:h|hrs?|hours?)\s*)?(?:{_AMOUNT}(?:m|min|mins|minutes?)\s*)?"
    rf"(?:{_AMOUNT}(?:s|secs?|seconds?)\s*)?(?:{_AMOUNT}(?:ms|msecs?|milliseconds?))?"
)
_FRAME_CODE = re.compile(r"[0-9]+:[0-9]{2}:[0-9]{2}[:;][0-9]{2}|[0-9]+(;[0-9]{2}){3}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?")


@dataclasses.dataclass(frozen=True)
class Time:
    """A time of a cell.

    Attributes:
        value: seconds if `clock`, else in the unit of its column.
        clock: whether the cell itself says that it is in seconds, as `0:12` and `12s` do.
        whole: whether it is written without decimals.
        text: as written.
    """

    value: float
    clock: bool
    whole: bool
    text: str


def unit_in_name(source: str) -> str:
    """The last of the words `seconds` and `frames` in a file's name, "" if it has neither."""
    return next(reversed(re.findall("seconds|frames", source.rpartition("/")[2])), "")


def with_points(field: str) -> str:
    """A number with a decimal comma as `12.5`, where no comma separates fields; others as is."""
    return re.sub(r"^(-?[0-9]+),([0-9]+)$", r"\1.\2", field)


def is_blank(value: Any) -> bool:
    """Whether a cell states no time."""
    return value is None or (
        not isinstance(value, list | dict) and str(value).strip().lower() in BLANKS
    )


def find_time(value: Any) -> Time | None:
    """The time of a cell, None if it is something else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    lower = text.lower()
    if _NUMBER.fullmatch(lower):
        whole = re.fullmatch("-?[0-9]+", lower) is not None
        return Time(float(lower), False, whole, text)
    seconds = _clock_seconds(lower)
    return None if seconds is None else Time(seconds, True, False, text)


def read_time(value: Any, place: str, column: str) -> Time:
    """The time of a cell that has to be one. Raises UserError that says what it is instead."""
    found = find_time(value)
    if found is not None:
        return found
    text = str(value).strip()
    if _FRAME_CODE.fullmatch(text):
        cure = "a time code that ends in frames; export it as hh:mm:ss.ms or in seconds"
    elif _DATE.fullmatch(text):
        cure = "a date; write the time since the start of the video"
    else:
        cure = "not a time; write seconds (12.5), hh:mm:ss.ms or a frame number"
    raise UserError(f"{place}: {text[:40]!r} in '{column}' is {cure}")


def _clock_seconds(text: str) -> float | None:
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        rest = float(seconds.replace(",", "."))
        if rest >= 60 or (hours is not None and int(minutes) >= 60):
            return None
        return 3600 * int(hours or 0) + 60 * int(minutes) + rest
    iso = re.fullmatch("p(?:([0-9]{1,3})d)?t(.+)", text)
    match = _UNITS.fullmatch(iso.group(2) if iso else text)
    if match is None or not any(match.groups()):
        return None
    amounts = [float((amount or "0").replace(",", ".")) for amount in match.groups()]
    days = int(iso.group(1) or 0) if iso else 0
    scales = (3600, 60, 1, 0.001)
    return 86400 * days + sum(a * scale for a, scale in zip(amounts, scales, strict=True))


_PAIR = re.compile(
    r"(?:(?P<label>[^\W\d_][\w-]*)\s+)?\(?(?P<start>[0-9][0-9:.]*)\s*(?:-|–|~|\bto\b|,|\s)\s*"
    r"(?P<end>[0-9][0-9:.]*)\)?"
)


def pairs_of(value: Any) -> list[tuple[Any, Any, str | None]] | None:
    """The pairs of times of one cell, [] if there are none, None if it is something else.

    `[[1, 2], [3, 4]]`, `[1, 2]`, `1-2; 3-4`, `c092 11.90 21.20;c147 0.00 12.60` (Charades).
    """
    if is_blank(value):
        return []
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in "[(" and text[-1:] in "])":
            try:
                value = json.loads(text.replace("(", "[").replace(")", "]"))
            except (ValueError, RecursionError):
                return None
        else:
            parts = re.split(r"[;|]|,\s+(?=[^,]*[0-9]\s*[-–~])", text)
            found = [_PAIR.fullmatch(part.strip()) for part in parts if part]
            return [(m["start"], m["end"], m["label"]) for m in found if m] if all(found) else None
    if not isinstance(value, list):
        return None
    if value and not any(isinstance(part, list) for part in value):
        if len(value) % 2:
            return None
        value = [list(pair) for pair in zip(value[::2], value[1::2], strict=True)]
    pairs: list[tuple[Any, Any, str | None]] = []
    for part in value:
        if not isinstance(part, list) or len(part) not in (2, 3):
            return None
        texts = [field for field in part if isinstance(field, str) and find_time(field) is None]
        times = [field for field in part if field not in texts]
        if len(times) != 2 or not all(find_time(field) for field in times):
            return None
        if not all(is_blank(field) for field in times):
            pairs.append((times[0], times[1], texts[0] if texts else None))
    return pairs
