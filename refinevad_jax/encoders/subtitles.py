r"""Reads sentences with their times from subtitle files: SRT, WebVTT, JSON lines.

A JSON line is {"start": 3.2, "end": 5.0, "text": "two men push each other"}, seconds. The npz form,
sentences already embedded, is read by data_prep.package (docs/data_format.md).
"""

import dataclasses
import html
import json
import math
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from refinevad_jax.errors import UserError

SUFFIXES = (".srt", ".vtt", ".jsonl")

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d{1,6})?)"
_TIMES = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}(?:\s|$)")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence and the stretch it describes, in seconds, end not before start."""

    start: float
    end: float
    text: str


def read_sentences(path: pathlib.Path) -> list[Sentence]:
    """Reads a file by its suffix, in order of start; a file without sentences gives [].

    Raises UserError naming file and line if a time or a text is missing or makes no sense.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: timed text is read from {', '.join(SUFFIXES)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text ({error.reason}); convert it") from error
    lines = text.splitlines()
    if path.suffix.lower() == ".vtt" and not (lines and lines[0].startswith("WEBVTT")):
        raise UserError(f"{path}: does not begin with WEBVTT; is it another format?")
    read = _json_lines if path.suffix.lower() == ".jsonl" else _cues
    return sorted(read(path, lines), key=lambda sentence: sentence.start)


def _json_lines(path: pathlib.Path, lines: list[str]) -> Iterator[Sentence]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            start, end, text = float(row["start"]), float(row["end"]), row["text"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f'{path}:{number}: expected {{"start": s, "end": s, "text": "..."}} '
                f"({type(error).__name__}: {error})"
            ) from error
        if not isinstance(text, str):
            raise UserError(f"{path}:{number}: 'text' is {text!r}, expected words")
        yield from _sentence(path, number, start, end, text)


def _cues(path: pathlib.Path, lines: list[str]) -> Iterator[Sentence]:
    """SRT and WebVTT: a line of times, then words up to an empty line."""
    number = 0
    while number < len(lines):
        number += 1
        line = lines[number - 1]
        if "-->" not in line:
            continue  # counters, headings, notes, styles
        times = _TIMES.match(line)
        if not times:
            raise UserError(f"{path}:{number}: {line.strip()!r} is not a pair of times")
        first = number
        words = []
        while number < len(lines) and lines[number].strip():
            words.append(lines[number])
            number += 1
        groups = times.groups()
        text = html.unescape(_MARKUP.sub("", " ".join(words)))
        yield from _sentence(path, first, _seconds(groups[:3]), _seconds(groups[3:]), text)


def _seconds(parts: tuple[Any, ...]) -> float:
    """Seconds of hours, which may be None, minutes, and seconds with a point or a comma."""
    hours, minutes, seconds = parts
    return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))


def _sentence(
    path: pathlib.Path, number: int, start: float, end: float, text: str
) -> Iterator[Sentence]:
    """The sentence, or nothing if there are no words."""
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end):
        raise UserError(f"{path}:{number}: from {start:g} s to {end:g} s is not a stretch of time")
    words = " ".join(text.split())
    if words:
        yield Sentence(start, end, words)
