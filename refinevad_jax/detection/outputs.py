"""What detection writes: events of all inputs as JSON; per input, scores as CSV and a page."""

import csv
import io
import pathlib
from typing import Any

import numpy as np

from refinevad_jax.detection.detector import Detector
from refinevad_jax.detection.features import Features
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.metrics.events import Event
from refinevad_jax.runs.scoring_rule import Threshold


def describe(
    detector: Detector, name: str, found: Features, scores: VideoScores, events: list[Event]
) -> dict[str, Any]:
    """One input as events.json holds it.

    Times are those of the frames, so that they hold for a variable frame rate too.
    """
    size = detector.frames_per_segment
    probs = {
        category: float(p)
        for category, p in zip(detector.categories, scores.category_probs, strict=False)
    }
    total = float(scores.category_probs.sum()) or 1.0
    by_share = sorted(probs, key=lambda category: -probs[category])
    return {
        "name": name,
        "input": str(found.path),
        "video": str(found.video) if found.video else None,
        "num_frames": found.num_frames,
        "duration_seconds": round(found.duration, 3),
        "fps": found.fps,
        "fps_source": found.fps_source,
        "num_segments": len(scores.scores),
        "encoder": found.encoder,
        "highest_score": float(scores.scores.max()),
        "video_score": float(scores.video_score),
        "category_probs": probs,
        "warnings": found.warnings,
        "events": [
            {
                "start_frame": event.start,
                "end_frame": event.end,
                "start_seconds": _seconds(found, event.start / size),
                "end_seconds": _seconds(found, event.end / size),
                "category": detector.categories[event.category] if event.category >= 0 else "",
                # Each category's share of what the network says of the whole video.
                "category_shares": {name: round(probs[name] / total, 4) for name in by_share},
                "score": event.score,
            }
            for event in events
        ],
    }


def _seconds(found: Features, segment: float) -> float:
    """The time at a place counted in segments, between the edges that are known."""
    edges = np.arange(len(found.seconds))
    return round(float(np.interp(segment, edges, found.seconds)), 3)


def run_facts(detector: Detector, threshold: Threshold) -> dict[str, Any]:
    """What made the events, for events.json and the pages."""
    return {
        "workdir": str(detector.workdir),
        "step": detector.step,
        "dataset": detector.run.info.name,
        "source": detector.run.info.source,
        "encoder": detector.run.info.encoder,
        "simulated": detector.run.info.simulated,
        "inputs": detector.inputs_words,
        "threshold": threshold.value,
        "threshold_source": threshold.source,
        "threshold_anomalous_videos_found": threshold.found,
        "scoring": {
            "num_segments": detector.rule.num_segments,
            "calibrated": detector.rule.calibration is not None,
        },
        "frames_per_segment": detector.frames_per_segment,
    }


def segment_table(found: Features, scores: VideoScores, events: list[Event], size: int) -> str:
    """The scores as CSV text, one row per segment; `event` counts from 1, empty outside.

    size: frames per segment.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["segment", "start_frame", "end_frame", "start_seconds", "end_seconds", "score", "event"]
    )
    lies_in = {
        i: number
        for number, event in enumerate(events, start=1)
        for i in range(event.start // size, -(-event.end // size))
    }
    for i, score in enumerate(scores.scores.tolist()):
        seconds = [f"{found.seconds[i]:.3f}", f"{found.seconds[i + 1]:.3f}"]
        row = [i, i * size, (i + 1) * size, *seconds, f"{score:.6f}", lies_in.get(i, "")]
        writer.writerow(row)
    return buffer.getvalue()


def output_paths(output: pathlib.Path, name: str) -> dict[str, pathlib.Path]:
    """Where the files of one input go; `npy` and `json` are the features and their record."""
    kinds = ("html", "csv", "playable.mp4", "annotated.mp4")
    kept = {kind: output / "features" / f"{name}.{kind}" for kind in ("npy", "json")}
    return {kind: output / f"{name}.{kind}" for kind in kinds} | kept
