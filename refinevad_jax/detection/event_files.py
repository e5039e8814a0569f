"""The events of events.json in the formats of other programs.

activitynet  OUTPUT/activitynet.json       a submission of ActivityNet: seconds, label, score
fiftyone     OUTPUT/fiftyone/labels.json   FiftyOneTemporalDetectionDataset: frames, label
webvtt       OUTPUT/NAME.vtt               chapters for players in browsers, one file per input
srt          OUTPUT/NAME.srt               SubRip subtitles, one file per input

Times in seconds are those of the frames, as in events.json. No library of these programs is needed.
"""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refinevad_jax.files.staged import write_json, write_text

UNNAMED = "anomaly"  # the label of an event of a run without categories
SHORTEST = 0.001  # seconds; a cue of no length is against the grammar of WebVTT

Described = Mapping[str, Any]


def write_event_files(
    output: pathlib.Path, videos: Sequence[Described], formats: Sequence[str]
) -> list[pathlib.Path]:
    """Writes the events of all inputs in each format, and returns the files.

    videos: `videos` of events.json; formats: names of FORMATS. Raises OSError if one of the files
    cannot be written.
    """
    return [path for name in formats for path in FORMATS[name](output, videos)]


def notes(
    output: pathlib.Path,
    videos: Sequence[Described],
    formats: Sequence[str],
    written: Sequence[pathlib.Path],
) -> list[str]:
    """What the written files do not have, and what an earlier call has left, a line each.

    The arguments are those of `write_event_files`, and what it returned.
    """
    found = []
    without = [str(video["name"]) for video in videos if not video["video"]]
    if "fiftyone" in formats and without:
        found.append(f"not in FiftyOne's file, because they are not videos: {', '.join(without)}")
    places = ("activitynet.json", "fiftyone/labels.json", "*.vtt", "*.srt")
    left = sorted({path for place in places for path in output.glob(place)} - set(written))
    if left:
        names = ", ".join(str(path.relative_to(output)) for path in left)
        found.append(
            f"of an earlier call, and not of these events: {names}; delete them, or give their "
            "format to --events"
        )
    return found


def label(event: Described) -> str:
    """The category of an event, or that it is an anomaly."""
    return event["category"] or UNNAMED


def activitynet(videos: Sequence[Described]) -> dict[str, Any]:
    """What eval_detection.py of ActivityNet reads as a prediction."""
    return {
        "version": "VERSION 1.3",
        "results": {
            video["name"]: [
                {
                    "label": label(event),
                    "score": event["score"],
                    "segment": [event["start_seconds"], event["end_seconds"]],
                }
                for event in video["events"]
            ]
            for video in videos
        },
        "external_data": {"used": False, "details": ""},
    }


def fiftyone(videos: Sequence[Described]) -> dict[str, Any]:
    """labels.json of a FiftyOneTemporalDetectionDataset, whose keys are the paths of the videos.

    Its frames count from 1 and the last one is part of the event; ours count from 0 and end before
    `end_frame`. Inputs without a video are left out: FiftyOne shows videos.
    """
    return {
        "labels": {
            str(pathlib.Path(video["video"]).absolute()): [
                {
                    "label": label(event),
                    "support": [event["start_frame"] + 1, event["end_frame"]],
                    "confidence": event["score"],
                }
                for event in video["events"]
            ]
            for video in videos
            if video["video"]
        }
    }


def webvtt(video: Described) -> str:
    """The events of one input as WebVTT, of the kind "chapters"."""
    cues = [
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{_escaped(text)}\n"
        for number, (start, end, text) in enumerate(_cues(video), start=1)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def srt(video: Described) -> str:
    """The events of one input as SubRip: a comma before the milliseconds, no escapes."""
    cues = [
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(_cues(video), start=1)
    ]
    return "\n".join(cues)


def _cues(video: Described) -> list[tuple[float, float, str]]:
    """Start and end in seconds, and what is shown, which is one line."""
    return [
        (
            event["start_seconds"],
            max(event["end_seconds"], event["start_seconds"] + SHORTEST),
            " ".join(f"{label(event)} {event['score']:.2f}".split()),
        )
        for event in video["events"]
    ]


def _clock(seconds: float, point: str = ".") -> str:
    """HH:MM:SS.mmm; more than 99 hours get more digits."""
    milliseconds = round(1000 * max(seconds, 0.0))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"


def _escaped(text: str) -> str:
    """Cue text: these characters are markup in WebVTT."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _write_activitynet(output: pathlib.Path, videos: Sequence[Described]) -> list[pathlib.Path]:
    path = output / "activitynet.json"
    write_json(path, activitynet(videos))
    return [path]


def _write_fiftyone(output: pathlib.Path, videos: Sequence[Described]) -> list[pathlib.Path]:
    path = output / "fiftyone" / "labels.json"
    path.parent.mkdir(exist_ok=True)
    write_json(path, fiftyone(videos))
    return [path]


def _per_input(
    ending: str, text: Callable[[Described], str]
) -> Callable[[pathlib.Path, Sequence[Described]], list[pathlib.Path]]:
    def write(output: pathlib.Path, videos: Sequence[Described]) -> list[pathlib.Path]:
        paths = [output / f"{video['name']}.{ending}" for video in videos]
        for path, video in zip(paths, videos, strict=True):
            write_text(path, text(video))
        return paths

    return write


FORMATS: dict[str, Callable[[pathlib.Path, Sequence[Described]], list[pathlib.Path]]] = {
    "activitynet": _write_activitynet,
    "fiftyone": _write_fiftyone,
    "webvtt": _per_input("vtt", webvtt),
    "srt": _per_input("srt", srt),
}
