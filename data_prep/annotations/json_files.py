"""JSON grammars of temporal annotation, told apart by their keys."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from data_prep.annotations.record import LARGEST_FRAME, Annotations, Builder, Stretch, to_span
from data_prep.annotations.vectors import spans_of_vector
from data_prep.catalogue.video_names import is_normal_label, strip_video_path
from data_prep.dataset.videos import Span
from refinevad_jax.errors import UserError, as_damaged

_KNOWN = (
    "known are LaGoVAD ('anomaly_span'), VERA ('temporal_label'), HIVAU ('events'), S3R and "
    "GlanceVAD ('labels' per frame), VadCLIP ('segments'), ActivityNet ('annotations') and "
    '{"video": [[start, end]]}'
)


def read_json(content: Any, source: str) -> Annotations:
    """Reads a parsed JSON file. Raises UserError naming the entry that does not fit."""
    # Every reader below looks its entries up with the keys that its grammar promises.
    with as_damaged(f"{source}: an entry lacks what its grammar promises; {_KNOWN}"):
        return _reader(content, source)(content, source)


Reader = Callable[[Any, str], Annotations]


def _reader(content: Any, source: str) -> Reader:
    for_lists: dict[str, Reader] = {
        "anomaly_span": _read_lagovad,
        "temporal_label": _read_vera,
        "segments": _read_segments,
        "length": _read_vera_lengths,
    }
    for_videos: dict[str, Reader] = {
        "events": _read_hivau,
        "labels": _read_frame_labels,
        "annotations": _read_activitynet,
    }
    if isinstance(content, dict) and isinstance(content.get("database"), dict):
        return lambda values, name: _read_activitynet(values["database"], name)
    first: Any = None
    if content and isinstance(content, list | dict):
        first = content[0] if isinstance(content, list) else next(iter(content.values()))
    if isinstance(first, list) and isinstance(content, dict):
        return _read_intervals
    for key, reader in (for_lists if isinstance(content, list) else for_videos).items():
        if isinstance(first, dict) and key in first:
            return reader
    raise UserError(f"{source}: no temporal annotation in a known JSON grammar; {_KNOWN}")


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
    twins = 0
    for i, entry in enumerate(entries, 1):
        place = f"{source}, entry {i}"
        video = strip_video_path(_text(entry["video"], place))
        numbers = [_whole(value, place) for value in entry["temporal_label"]]
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        spans = [Span(start, end) for start, end in pairs if (start, end) != (-1, -1)]
        length = _whole(entry["length"], place) or None
        if video in rows:
            earlier_spans, earlier_length, _ = rows[video]
            if spans and earlier_spans and spans != earlier_spans:
                raise UserError(f"{place}: {video} appears twice with different spans; keep one")
            spans, length = spans or earlier_spans, length or earlier_length
            twins += 1
        rows[video] = (spans, length, place)
    builder = Builder("VERA JSON (frames)", source)
    for video, (spans, length, place) in rows.items():
        builder.add(video, spans, place=place, num_frames=length)
    notes = (f"{twins} videos appear twice; the entry with spans was taken",) if twins else ()
    return builder.build(notes=notes)


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
    builder = Builder("HIVAU JSON (seconds)", source)
    for name, entry in videos.items():
        place = f"{source}, {name}"
        labels = [_text(label, place) for label in entry["label"]]
        fps = _real(entry["fps"], place)
        category = labels[0] if len(labels) == 1 else None
        events = _stretches(entry["events"] if labels else [], place, category)
        builder.add(
            strip_video_path(name),
            [to_span(event.start, event.end, fps, category) for event in events],
            place=place,
            label="-".join(labels) or "Normal",
            num_frames=_whole(entry["n_frames"], place),
            fps=fps,
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
        builder.add(strip_video_path(name), spans, place=place, label=label, num_frames=len(labels))
    return builder.build(frames_from_segments=True)


def _read_activitynet(videos: Mapping[str, Any], source: str) -> Annotations:
    """ActivityNet ground truth: segments in seconds; the `v_` before an id is the format's own."""
    builder = Builder("ActivityNet JSON (seconds)", source, unit="seconds")
    prefixed = all(name.startswith("v_") for name in videos)
    for name, entry in videos.items():
        place = f"{source}, {name}"
        stretches = []
        for annotation in entry["annotations"]:
            label = _text(annotation["label"], place)
            stretches += _stretches([annotation["segment"]], place, label or None)
        categories = {stretch.category for stretch in stretches}
        duration = _real(entry.get("duration_second", entry.get("duration", 0)), place)
        frames = _whole(entry["duration_frame"], place) if "duration_frame" in entry else None
        stated = categories.pop() if len(categories) == 1 else None
        if "label" in entry:
            stated = _text(entry["label"], place)
        builder.add(
            strip_video_path(name.removeprefix("v_") if prefixed else name),
            stretches,
            place=place,
            label=stated,
            num_frames=frames,
            fps=frames / duration if frames and duration else None,
        )
    return builder.build()


def _read_intervals(videos: Mapping[str, Any], source: str) -> Annotations:
    """`{"video": [[start, end], ...]}`, end exclusive, an empty list for a normal video.

    The unit is the last of the words `seconds` and `frames` in the file's name, as in
    `val_intervals_seconds.json`; without one, frames if all numbers are whole, seconds otherwise.
    """
    for video, pairs in videos.items():
        if not isinstance(pairs, list) or not all(_is_interval(pair) for pair in pairs):
            raise UserError(
                f"{source}, {video}: {pairs!r:.80} is not a list of [start, end] with start < end"
            )
    stated = re.findall("seconds|frames", source.rpartition("/")[2])
    values = [value for pairs in videos.values() for pair in pairs for value in pair]
    whole = all(isinstance(value, int) for value in values)
    unit = stated[-1] if stated else "frames" if whole else "seconds"
    builder = Builder(
        f"JSON {{video: spans}} ({unit})", source, unit="seconds" if unit == "seconds" else ""
    )
    for video, pairs in videos.items():
        spans = [
            Stretch(start, end) if unit == "seconds" else to_span(start, end, 1)
            for start, end in pairs
        ]
        builder.add(strip_video_path(video), spans, place=f"{source}, {video}")
    return builder.build()


def _is_interval(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in pair)
        and -math.inf < pair[0] < pair[1] <= LARGEST_FRAME
    )
