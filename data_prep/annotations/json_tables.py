"""JSON that people write themselves: events as objects or as [start, end, label].

Whatever names the entries have, they become the rows of a table (tables.py).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from data_prep.annotations.columns import (
    LABEL_NAMES,
    TIMES_NAMES,
    UNIT_NAMES,
    understand,
    words_of,
)
from data_prep.annotations.record import Annotations
from data_prep.annotations.rows import Row
from data_prep.annotations.tables import read_rows
from data_prep.annotations.times import find_time, is_blank, pairs_of
from refinevad_jax.errors import UserError

# A file may hold its entries under one of these keys, beside what holds for all of them.
_WRAPPERS = ("database", "videos", "annotations", "data", "events", "items", "samples")
# Where an entry may keep facts about its video.
_DETAILS = {"metadata", "meta", "info", "video_info"}
# What else a file may have beside its entries, without events.
_ASIDE = {*_DETAILS, "licenses", "license", "categories", "classes", "labels", "taxonomy"}


def read_entries(content: Any, source: str, stem: str) -> Annotations | None:
    """Reads events under any names, None if there are none to be seen.

    `{"video": [{"start": 1.5, "end": 3, "label": "x"}]}`, `[{"video": ..., "start": ..., ...}]`,
    `{"video": {"events": [...]}}`, `{"video": [[1.5, 3, "x"]]}`, a list per column, and any of them
    under one key of `_WRAPPERS`.

    Args:
        content: parsed.
        source: the file.
        stem: the name of the video if the file names none.
    """
    content = _unwrapped(content)
    entries = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(entries, list) or not any(isinstance(e, list | dict) for e in entries):
        return None
    rows = list(_rows(content, source))
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    columns = understand(names)
    if not rows or not (columns.has_events or (columns.frame and columns.labels)):
        return None
    return read_rows(rows, names, source, "JSON entries", stem)


def _unwrapped(content: Any) -> Any:
    if isinstance(content, dict):
        for key in _WRAPPERS:
            if isinstance(content.get(key), list | dict) and not any(
                isinstance(value, list | dict)
                for other, value in content.items()
                if other != key and other not in _ASIDE
            ):
                beside = {
                    k: v for k, v in content.items() if k != key and understand([k]).video == k
                }
                if beside:
                    return [{**beside, key: content[key]}]
                details = [content[k] for k in sorted(_DETAILS & set(content) - {key})]
                for detail in filter(lambda one: isinstance(one, dict), details):
                    content = {**detail, **content}
                common = {k: v for k, v in content.items() if k != key and _is_common(k)}
                return _with_facts(content[key], common) if common else content[key]
    return content


def _is_common(key: str) -> bool:
    """Whether what stands beside all entries holds for each of them: their rate or their unit."""
    return understand([key]).fps == key or " ".join(words_of(key)) in UNIT_NAMES


def _with_facts(entries: Any, facts: Mapping[str, Any]) -> Any:
    """The entries of a file, each with these facts unless it states its own."""
    if isinstance(entries, list):
        return [{**facts, **entry} if isinstance(entry, dict) else entry for entry in entries]
    return {
        video: {**facts, **entry} if isinstance(entry, dict) else {**facts, "events": entry}
        for video, entry in entries.items()
    }


def _rows(content: Any, source: str) -> Iterator[Row]:
    if isinstance(content, list):
        for number, entry in enumerate(content, 1):
            place = f"{source}, entry {number}"
            if not isinstance(entry, dict):
                if number > 1 or not isinstance(entry, list):
                    raise UserError(f"{place}: {str(entry)[:60]!r} is not an entry with names")
                return
            yield from _of_entry(entry, place)
    elif isinstance(content, dict) and content:
        columns = _as_columns(content)
        if columns is not None:
            for number, entry in enumerate(columns, 1):
                yield f"{source}, row {number}", entry
            return
        for video, entry in content.items():
            yield from _of_video(video, entry, f"{source}, {video}")


def _as_columns(content: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of an object with a list, or an object by number, per column; else None."""
    if not understand(list(content)).has_events or understand(list(content)).video is None:
        return None
    columns = [
        list(column.values()) if isinstance(column, dict) else column for column in content.values()
    ]
    if not all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
        return None
    return [dict(zip(content, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _of_video(video: str, entry: Any, place: str) -> Iterator[Row]:
    named = {"video": video}
    if isinstance(entry, dict):
        yield from _of_entry({**entry, **named}, place)
    elif entry == []:
        yield place, named
    elif isinstance(entry, list):
        for number, event in enumerate(entry, 1):
            found = _event(event, f"{place}, event {number}")
            columns = understand(list(found))
            # Events grouped by class name their video themselves.
            key = "label" if columns.video and not columns.labels else "video"
            outer = {} if columns.video and columns.labels else {key: video}
            yield f"{place}, event {number}", {**outer, **found}
    else:
        raise UserError(f"{place}: {entry!r:.60} is not an event; write [start, end, label]")


def _of_entry(entry: Mapping[str, Any], place: str) -> Iterator[Row]:
    """The rows of an object: itself, or its facts with each event of a list in it."""
    for key in _DETAILS & set(entry):
        if isinstance(entry[key], dict):
            entry = {**{k: v for k, v in entry[key].items() if k not in entry}, **entry}
    both = understand([k for k, v in entry.items() if isinstance(v, list)])
    if both.start and both.end:  # a list of starts and one of ends
        starts, ends = entry[both.start.name], entry[both.end.name]
        if len(starts) != len(ends):
            raise UserError(f"{place}: {len(starts)} starts and {len(ends)} ends; correct them")
        for number, pair in enumerate(zip(starts, ends, strict=True), 1):
            times = dict(zip((both.start.name, both.end.name), pair, strict=True))
            yield f"{place}, event {number}", {**entry, **times}
        return
    for key, value in entry.items():
        events = value if isinstance(value, list) else None
        named = " ".join(words_of(key)) in TIMES_NAMES
        if events is None or not (named or _are_events(events)):
            continue
        if events and not any(isinstance(event, list | dict) for event in events):
            events = [events]
        # A duration beside a list of events is the video's.
        facts = {
            f"video_{k}" if words_of(k)[:1] == ["duration"] else k: v
            for k, v in entry.items()
            if k != key and not isinstance(v, list | dict)
        }
        labels = next(
            (
                v
                for k, v in entry.items()
                if isinstance(v, list) and " ".join(words_of(k)) in LABEL_NAMES and k != key
            ),
            [],
        )
        labels = labels if len(labels) == len(events) else []
        if not events:
            yield place, facts
        for number, event in enumerate(events, 1):
            at = f"{place}, event {number}"
            label = {"label": labels[number - 1]} if labels else {}
            yield at, {**facts, **label, **_event(event, at, key)}
        return
    yield place, entry


def _are_events(values: list[Any]) -> bool:
    """Whether a list holds objects with start and end, whatever its name."""
    return bool(values) and all(isinstance(v, dict) and understand(list(v)).start for v in values)


def _event(event: Any, place: str, key: str = "") -> dict[str, Any]:
    """An event as named cells; key: of the list that it is from, for its unit."""
    if isinstance(event, dict):
        pair = next(
            (
                (k, v)
                for k, v in event.items()
                if isinstance(v, list) and len(v) == 2 and " ".join(words_of(k)) in TIMES_NAMES
            ),
            None,
        )
        if pair is None:
            return event
        rest = {k: v for k, v in event.items() if k != pair[0]}
        return {**rest, **_event(pair[1], place, pair[0])}
    if isinstance(event, str) and (pairs := pairs_of(event)) and len(pairs) == 1:
        start, end, word = pairs[0]
        return {"start": start, "end": end, **({"label": word} if word else {})}
    if isinstance(event, list) and len(event) in (2, 3):
        words = [v for v in event if find_time(v) is None and not is_blank(v)]
        times = [v for v in event if not any(v is word for word in words)]
        if len(times) == 2 and len(words) == len(event) - 2:
            seconds = "time" in words_of(key) or "timestamps" in words_of(key)
            names = ("start_time", "end_time") if seconds else ("start", "end")
            label = {"label": words[0]} if words else {}
            return {**dict(zip(names, times, strict=True)), **label}
    raise UserError(f"{place}: {event!r:.60} is not an event; write [start, end, label]")
