"""The three numbers at the top of a report, each with a sentence that says what it means."""

from collections.abc import Mapping
from typing import Any

from refinevad_jax.report.tables import number, short_percent, threshold_text

NUM_CARDS = 3
RATE = 0.01  # of false alarms at which found frames and videos are given


def headline(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The first three that are defined: of frames, then of videos; fewer if fewer are defined.

    An average precision without normal frames or videos is always 1, and left out. Each has a
    title, the term that explains it, the value as text, its interval's ends or None, and the
    sentence.
    """
    positive = metrics["num_positive_frames"] / max(metrics["num_frames"], 1)
    anomalous = metrics["num_anomalous_videos"] / metrics["num_videos"]
    cards = (
        _metric(metrics, "frame_auc", "frame AUC", _pairs("frame")),
        _share(metrics, "detection_rate", "anomalous frames found", "annotated anomalous frames"),
        _metric(metrics, "video_auc", "video AUC", _pairs("video")),
        positive < 1 and _metric(metrics, "frame_ap", "frame AP", _precision("frame", positive)),
        _share(
            metrics,
            "anomalous_videos_found",
            "anomalous videos found",
            "anomalous videos with a segment",
        ),
        anomalous < 1 and _metric(metrics, "video_ap", "video AP", _precision("video", anomalous)),
        _metric(
            metrics,
            "category_accuracy",
            "category accuracy",
            "Share of the anomalous videos whose most probable category is among their labels.",
        ),
    )
    return [card for card in cards if card][:NUM_CARDS]


def _pairs(unit: str) -> str:
    return (
        f"Share of the pairs of an anomalous and a normal {unit} in which the anomalous one has "
        "the higher score. Guessing: 0.5."
    )


def _precision(unit: str, guessing: float) -> str:
    return f"Precision averaged over recall, {unit} by {unit}. Guessing: {number(guessing)}."


def _metric(
    metrics: Mapping[str, Any], key: str, title: str, sentence: str
) -> dict[str, Any] | None:
    if metrics.get(key) is None:
        return None
    interval = metrics["intervals"].get(key) or {}
    return {
        "title": title,
        "term": title,
        "value": number(metrics[key]),
        "low": interval.get("low"),
        "high": interval.get("high"),
        "sentence": sentence,
    }


def _share(metrics: Mapping[str, Any], key: str, title: str, what: str) -> dict[str, Any] | None:
    """What is found at 1 % false alarms, or at the nearest rate that has a threshold."""
    points = metrics["operating_points"]
    point = min(points, key=lambda point: abs(point["target_false_alarm_rate"] - RATE))
    if point["threshold"] is None or point.get(key) is None:
        return None
    return {
        "title": title,
        "term": "operating point",
        "value": short_percent(point[key]),
        "low": None,
        "high": None,
        "sentence": f"Share of the {what} at or above the threshold "
        f"{threshold_text(point['threshold'])}, which raises false alarms on "
        f"{short_percent(point['false_alarm_rate'])} of the frames of normal videos.",
    }
