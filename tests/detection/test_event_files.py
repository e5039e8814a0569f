"""Events in other programs' formats, read back by hand and, if installed, by their libraries."""

import json
import pathlib
from typing import Any

import pytest

from refinevad_jax.detection.event_files import (
    FORMATS,
    fiftyone,
    notes,
    srt,
    webvtt,
    write_event_files,
)


def event(start: int, end: int, category: str, score: float) -> dict[str, Any]:
    """At 25 frames per second."""
    return {
        "start_frame": start,
        "end_frame": end,
        "start_seconds": start / 25,
        "end_seconds": end / 25,
        "category": category,
        "score": score,
    }


CLIP = {
    "name": "clip",
    "video": "/videos/clip.mp4",
    "events": [event(16, 48, "A & <b>", 0.5), event(90_000, 92_512, "", 0.976)],
}
QUIET = {"name": "quiet", "video": None, "events": []}
VIDEOS = [CLIP, QUIET]


def test_every_format_is_written(tmp_path: pathlib.Path) -> None:
    paths = write_event_files(tmp_path, VIDEOS, tuple(FORMATS))
    assert sorted(str(path.relative_to(tmp_path)) for path in paths) == [
        "activitynet.json",
        "clip.srt",
        "clip.vtt",
        "fiftyone/labels.json",
        "quiet.srt",
        "quiet.vtt",
    ]
    results = json.loads((tmp_path / "activitynet.json").read_text())
    assert set(results) == {"version", "results", "external_data"}  # ActivityNet refuses others
    assert results["results"]["quiet"] == []
    assert results["results"]["clip"][1] == {
        "label": "anomaly",
        "score": 0.976,
        "segment": [3600.0, 3700.48],
    }


def test_what_is_left_out_or_of_an_earlier_call_is_said(tmp_path: pathlib.Path) -> None:
    written = write_event_files(tmp_path, VIDEOS, tuple(FORMATS))
    (said,) = notes(tmp_path, VIDEOS, tuple(FORMATS), written)
    assert said == "not in FiftyOne's file, because they are not videos: quiet"
    written = write_event_files(tmp_path, [CLIP], ("webvtt",))
    (said,) = notes(tmp_path, [CLIP], ("webvtt",), written)
    assert "activitynet.json, clip.srt, fiftyone/labels.json, quiet.srt, quiet.vtt; delete" in said


def test_fiftyone_counts_frames_from_one_and_includes_the_last() -> None:
    assert fiftyone(VIDEOS) == {
        "labels": {
            "/videos/clip.mp4": [
                {"label": "A & <b>", "support": [17, 48], "confidence": 0.5},
                {"label": "anomaly", "support": [90_001, 92_512], "confidence": 0.976},
            ]
        }
    }


def test_cues_by_hand() -> None:
    assert webvtt(CLIP) == (
        "WEBVTT\n\n1\n00:00:00.640 --> 00:00:01.920\nA &amp; &lt;b&gt; 0.50\n\n"
        "2\n01:00:00.000 --> 01:01:40.480\nanomaly 0.98\n"
    )
    assert srt(CLIP) == (
        "1\n00:00:00,640 --> 00:00:01,920\nA & <b> 0.50\n\n"
        "2\n01:00:00,000 --> 01:01:40,480\nanomaly 0.98\n"
    )
    assert webvtt(QUIET) == "WEBVTT\n" and srt(QUIET) == ""
    damaged = {**CLIP, "events": [event(25, 25, "two\nlines", 1.0)]}
    assert webvtt(damaged).splitlines()[-2:] == [
        "00:00:01.000 --> 00:00:01.001",
        "two lines 1.00",
    ]


def test_webvtt_py_reads_the_chapters(tmp_path: pathlib.Path) -> None:
    library = pytest.importorskip("webvtt", reason="webvtt-py is not installed")
    write_event_files(tmp_path, VIDEOS, ["webvtt"])
    cues = library.read(str(tmp_path / "clip.vtt")).captions
    assert [(cue.start, cue.end) for cue in cues] == [
        ("00:00:00.640", "00:00:01.920"),
        ("01:00:00.000", "01:01:40.480"),
    ]
    assert cues[1].text == "anomaly 0.98"
    assert not library.read(str(tmp_path / "quiet.vtt")).captions


def test_webvtt_py_reads_the_subtitles(tmp_path: pathlib.Path) -> None:
    library = pytest.importorskip("webvtt", reason="webvtt-py is not installed")
    write_event_files(tmp_path, VIDEOS, ["srt"])
    cues = library.from_srt(str(tmp_path / "clip.srt")).captions
    assert [(cue.start, cue.end) for cue in cues] == [
        ("00:00:00.640", "00:00:01.920"),
        ("01:00:00.000", "01:01:40.480"),
    ]
    assert cues[0].raw_text == "A & <b> 0.50"
    assert (tmp_path / "quiet.srt").read_text() == ""
