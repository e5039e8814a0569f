"""JSON grammars of temporal annotation, told apart by their keys."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from data_prep.annotations.builder import Builder
from data_prep.annotations.columns import understand
from data_prep.annotations.exports import find_export
from data_prep.annotations.json_tables import read_entries
from data_prep.annotations.labels import is_normal_word
from data_prep.annotations.record import LARGEST_FRAME, Annotations, Stretch, to_span
from data_prep.annotations.times import unit_in_name
from data_prep.annotations.vectors import read_vectors, spans_of_vector
from data_prep.catalogue.video_names import is_normal_label, strip_video_path
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError, as_damaged

_KNOWN = (
    "known are LaGoVAD ('anomaly_span'), VERA ('temporal_label'), HIVAU ('events'), S3R and "
    "GlanceVAD ('labels' per frame), VadCLIP ('segments'), ActivityNet ('annotations'), exports of "
    "COCO, VIA and Label Studio, "
    '{"video": [[start, end]]} and [{"video": "a", "start": 1.5, "end": 3.0, "label": "x"}]'
)


def read_json(content: Any, source: str, stem: str = "") -> Annotations:
    """Reads a parsed JSON file. Raises UserError naming the entry that does not fit.

    stem: the name of the video if the file names none.
    """
    # Every reader below looks its entries up with the keys that its grammar promises.
    with as_damaged(f"{source}: an entry lacks what its grammar promises; {_KNOWN}"):
        reader = find_export(content) or _reader(content)
        if reader is not None:
            return reader(content, source)
        found = read_entries(content, source, stem)
    if found is None:
        raise UserError(f"{source}: no temporal annotation in a known JSON grammar; {_KNOWN}")
    return found


Reader = Callable[[Any, str], Annotations]


def _reader(content: Any) -> Reader | None:
    """The reader of a released grammar by the keys of the first entry, None for anything else."""
    if isinstance(content, dict) and isinstance(content.get("database"), dict):
        entries = content["database"]
        if any(isinstance(entry, dict) and "annotations" in entry for entry in entries.values()):
            return lambda values, name: _read_activitynet(values["database"], name)
    first: Any = None
    if content and isinstance(content, list | dict):
        first = content[0] if isinstance(content, list) else next(iter(content.values()))
    if isinstance(content, dict):
        if all(_is_mask(entry) for entry in content.values()):
            return lambda values, name: read_vectors(values, name, "JSON {video: 0/1 values}")
        if all(_is_numbers(entry) for entry in content.values()):
            return lambda values, name: _read_intervals(_paired(values), name)
        columns = understand(list(content))
        if columns.has_events and columns.video:
            return None
        lists = [entry for entry in content.values() if isinstance(entry, list)]
        others = [entry for entry in content.values() if entry is not None]
        if lists and len(lists) == len(others) and not any(map(_has_more, lists)):
            return _read_intervals
    if not isinstance(first, dict):
        return None
    keys = set(first)
    readers: tuple[tuple[Reader, type, set[str]], ...] = (
        (_read_lagovad, list, {"anomaly_span"}),
        (_read_vera, list, {"temporal_label"}),
        (_read_segments, list, {"video", "segments", "labels"}),
        (_read_hivau, dict, {"events", "n_frames"}),
        (_read_frame_labels, dict, {"labels", "num_frames"}),
        (_read_activitynet, dict, {"annotations"}),
    )
    for reader, kind, promised in readers:
        if isinstance(content, kind) and promised <= keys:
            return reader
    if isinstance(content, list) and "length" in keys and {"video", "video_name"} & keys:
        columns = understand(list(first))
        return None if columns.has_events else _read_vera_lengths
    return None


def _is_numbers(entry: Any) -> bool:
    """Whether an entry is [start, end, start, end ...] itself."""
    return (
        isinstance(entry, list)
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in entry)
        and (not entry or len(entry) % 2 == 0)
    )


def _is_mask(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) > 4 and all(v in (0, 1, 255) for v in entry)


def _has_more(entry: list[Any]) -> bool:
    """Whether a list of events has something else than two numbers in one."""
    return any(
        isinstance(e, dict | str)
        or (isinstance(e, list) and (len(e) == 3 or any(isinstance(v, str) for v in e)))
        for e in entry
    )


def _paired(videos: Mapping[str, list[Any]]) -> dict[str, list[list[Any]]]:
    return {
        video: [
            [a, b] for a, b in zip(values[::2], values[1::2], strict=True) if (a, b) != (-1, -1)
        ]
        for video, values in videos.items()
    }


def _whole(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{place}: {value!r} is not a whole number; correct it")
    return value


def _real(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{place}: {value!r} is not a number; correct it")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{place}: {value!r} is not a word; correct it")
    return value


def _stretches(pairs: Any, place: str, category: str | None = None) -> list[Stretch]:
    return [Stretch(_real(start, place), _real(end, place), category) for start, end in pairs]


def _read_lagovad(entries: list[Any], source: str) -> Annotations:
    """LaGoVAD: start and end as shares of the video, class_name is one of several on XD."""
    builder = Builder("LaGoVAD JSON (shares of the video)", source, unit="ratio")
    for i, entry in enumerate(entries, 1):
        place = f"{source}, entry {i}"
        video = strip_video_path(_text(entry.get("video_path") or entry["path"], place))
        class_name = _text(entry["class_name"], place)
        label = None if "_label_" in video else class_name
        spans = _stretches(entry["anomaly_span"], place)
        known = spans or is_normal_label(class_name)
        builder.add(video, spans if known else None, place=place, label=label)
    return builder.build()


def _read_vera(entries: list[Any], source: str) -> Annotations:
    """VERA: frames start and end by turns in `temporal_label`, -1 -1 for none.

    xd_annotations.json has 14 videos twice, once under a name ending in `.mp4` with the spans and
    length 0, once without and as normal; the spans are kept.
    """
    rows: dict[str, tuple[list[Span], int | None, str]] = {}
    twins = several = 0
    for i, entry in enumerate(entries, 1):
        place = f"{source}, entry {i}"
        video = strip_video_path(_text(entry["video"], place))
        numbers = [_whole(value, place) for value in entry["temporal_label"]]
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        spans = [Span(start, end) for start, end in pairs if (start, end) != (-1, -1)]
        length = _whole(entry["length"], place) or None
        if video in rows:
            earlier_spans, earlier_length, _ = rows[video]
            length = length or earlier_length
            joined = bool(spans and earlier_spans and spans != earlier_spans)
            twins, several = twins + (not joined), several + joined
            spans = earlier_spans + [span for span in spans if span not in earlier_spans]
        rows[video] = (spans, length, place)
    builder = Builder("VERA JSON (frames)", source)
    for video, (spans, length, place) in rows.items():
        builder.add(video, spans, place=place, num_frames=length)
    notes = [f"{twins} videos appear twice; the entry with spans was taken"] if twins else []
    if several:
        notes.append(f"entries with further spans of an earlier video: {several}, read together")
    return builder.build(notes=tuple(notes))


def _read_vera_lengths(entries: list[Any], source: str) -> Annotations:
    """VERA's training and validation files: a length per video, no spans."""
    builder = Builder("VERA JSON (frame counts)", source)
    for i, entry in enumerate(entries, 1):
        place = f"{source}, entry {i}"
        video = strip_video_path(_text(entry.get("video") or entry["video_name"], place))
        builder.add(video, None, place=place, num_frames=_whole(entry["length"], place))
    return builder.build()


def _read_segments(entries: list[Any], source: str) -> Annotations:
    """VadCLIP's gt_segment and gt_label as JSON; a normal is one whole segment labelled `A`."""
    builder = Builder("VadCLIP gt_segment JSON (frames)", source)
    for i, entry in enumerate(entries, 1):
        place = f"{source}, entry {i}"
        video = strip_video_path(_text(entry["video"], place))
        spans, frames = [], None
        for (start, end), label in zip(entry["segments"], entry["labels"], strict=True):
            if is_normal_label(_text(label, place)):
                frames = _whole(end, place)
            else:
                spans.append(Span(_whole(start, place), _whole(end, place), label or None))
        categories = {span.category for span in spans}
        stated = "Normal" if not spans else categories.pop() if len(categories) == 1 else None
        label = None if "_label_" in video else stated
        builder.add(video, spans, place=place, label=label, num_frames=frames)
    return builder.build(frames_from_segments=True)


def _read_hivau(videos: Mapping[str, Any], source: str) -> Annotations:
    """HIVAU-70k: events in seconds; events of a video without label are not truth: it is normal."""
    builder = Builder("HIVAU JSON (seconds)", source, unit="seconds")
    for name, entry in videos.items():
        place = f"{source}, {name}"
        labels = [_text(label, place) for label in entry["label"]]
        category = labels[0] if len(labels) == 1 else None
        builder.add(
            strip_video_path(name),
            _stretches(entry["events"] if labels else [], place, category),
            place=place,
            label="-".join(labels) or "Normal",
            num_frames=_whole(entry["n_frames"], place),
            fps=_real(entry["fps"], place),
        )
    notes = ("events cut anew for captions: 12 of the 251 UCF-Crime videos differ from the truth",)
    return builder.build(notes=notes)


def _read_frame_labels(videos: Mapping[str, Any], source: str) -> Annotations:
    """S3R and GlanceVAD: 0 or 1 for each frame, 16 T frames."""
    builder = Builder("S3R JSON (0/1 per frame)", source)
    for name, entry in videos.items():
        place = f"{source}, {name}"
        labels = [_real(value, place) for value in entry["labels"]]
        if len(labels) != _whole(entry["num_frames"], place):
            raise UserError(
                f"{place}: {len(labels)} labels for num_frames {entry['num_frames']}; they are one "
                "per frame"
            )
        spans = spans_of_vector(labels, place)
        label = "Abnormal" if spans else "Normal"
        builder.add(name, spans, place=place, label=label, num_frames=len(labels))
    return builder.build(frames_from_segments=True, unit_fixed="there is a value per frame")


def _read_activitynet(videos: Mapping[str, Any], source: str) -> Annotations:
    """ActivityNet ground truth: segments in seconds; the `v_` before an id is the format's own."""
    builder = Builder("ActivityNet JSON (seconds)", source, unit="seconds")
    prefixed = all(name.startswith("v_") for name in videos)
    for name, entry in videos.items():
        place = f"{source}, {name}"
        video = strip_video_path(name.removeprefix("v_") if prefixed else name)
        stretches: list[Stretch] = []
        normal = False
        for annotation in entry["annotations"]:
            label = _text(annotation.get("label", ""), place)
            if is_normal_word(label):
                builder.add_normal_part(video, place)
                normal = True
                continue
            stretches += _stretches([annotation["segment"]], place, label or None)
        categories = {stretch.category for stretch in stretches}
        duration = _real(entry.get("duration_second", entry.get("duration", 0)), place)
        frames = _whole(entry["duration_frame"], place) if "duration_frame" in entry else None
        fps = _real(entry["fps"], place) if "fps" in entry else None
        stated = categories.pop() if len(categories) == 1 else None
        if "label" in entry:
            stated = _text(entry["label"], place)
        if normal and not stretches:
            stated = "Normal"
        builder.add(
            video,
            stretches,
            place=place,
            label=stated,
            num_frames=frames,
            fps=fps,
            duration=duration or None,
        )
    return builder.build()


def _read_intervals(videos: Mapping[str, Any], source: str) -> Annotations:
    """`{"video": [[start, end], ...]}`, end exclusive, an empty list for a normal video.

    The unit is the last of the words `seconds` and `frames` in the file's name, as in
    `val_intervals_seconds.json`; without one, frames if all numbers of the file are whole, seconds
    otherwise.
    """
    for video, pairs in videos.items():
        if pairs is None:
            raise UserError(
                f"{source}, {video}: null; write [] for a normal video, or leave it out"
            )
        if not isinstance(pairs, list) or not all(_is_interval(pair) for pair in pairs):
            raise UserError(
                f"{source}, {video}: {pairs!r:.80} is not a list of [start, end] with start < end"
            )
    stated = unit_in_name(source)
    values = [value for pairs in videos.values() for pair in pairs for value in pair]
    whole = all(isinstance(value, int) for value in values)
    unit = stated or ("frames" if whole else "seconds")
    reason = "all numbers are whole" if whole else "some numbers have a decimal point"
    builder = Builder(f"JSON {{video: spans}} ({unit})", source, unit=unit)
    for video, pairs in videos.items():
        spans = [
            Stretch(start, end) if unit == "seconds" else to_span(start, end, 1)
            for start, end in pairs
        ]
        builder.add(video, spans, place=f"{source}, {video}")
    return builder.build(unit_reason="" if stated or not values else reason)


def _is_interval(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in pair)
        and -math.inf < pair[0] < pair[1] <= LARGEST_FRAME
    )
