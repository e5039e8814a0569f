"""The three numbers at the top: the first that are defined, each with its meaning."""

from typing import Any

import pytest

from refinevad_jax.report.headline import headline

METRICS: dict[str, Any] = {
    "frame_auc": 0.9,
    "frame_ap": 0.5,
    "video_auc": 0.8,
    "video_ap": 0.7,
    "category_accuracy": 0.6,
    "num_frames": 100,
    "num_positive_frames": 10,
    "num_videos": 4,
    "num_anomalous_videos": 3,
    "intervals": {"frame_auc": {"low": 0.85, "high": 0.95}},
    "operating_points": [
        {
            "target_false_alarm_rate": rate,
            "threshold": threshold,
            "false_alarm_rate": rate,
            "detection_rate": rate + 0.5,
            "anomalous_videos_found": rate + 0.7,
        }
        for rate, threshold in ((0.001, 0.99), (0.01, 0.95), (0.05, 0.9))
    ],
}


def without(*keys: str) -> dict[str, Any]:
    points = [dict.fromkeys(keys & point.keys()) for point in METRICS["operating_points"]]
    changed = [
        point | none for point, none in zip(METRICS["operating_points"], points, strict=True)
    ]
    return METRICS | dict.fromkeys(keys & METRICS.keys()) | {"operating_points": changed}


def test_frames_and_videos_with_frame_truth() -> None:
    auc, found, video = headline(METRICS)
    assert (auc["title"], auc["value"], auc["low"]) == ("frame AUC", "0.9000", 0.85)
    assert (found["title"], found["value"]) == ("anomalous frames found", "51.0 %")
    assert (
        "at or above the threshold 0.950, which raises false alarms on 1.0 %" in (found["sentence"])
    )
    assert (video["title"], video["low"]) == ("video AUC", None)
    assert "Guessing: 0.5." in video["sentence"]


FRAMES = ("frame_auc", "frame_ap", "detection_rate")


@pytest.mark.parametrize(
    ("missing", "titles"),
    [
        (FRAMES, ["video AUC", "anomalous videos found", "video AP"]),
        (("threshold",), ["frame AUC", "video AUC", "frame AP"]),
        ((*FRAMES, "anomalous_videos_found"), ["video AUC", "video AP", "category accuracy"]),
        ((*FRAMES, "anomalous_videos_found", "video_auc", "video_ap", "category_accuracy"), []),
    ],
)
def test_what_is_not_defined_gives_way(missing: tuple[str, ...], titles: list[str]) -> None:
    assert [card["title"] for card in headline(without(*missing))] == titles


def test_precision_without_negatives_is_no_headline() -> None:
    metrics = without(*FRAMES, "threshold", "video_auc") | {"num_anomalous_videos": 4}
    assert [card["title"] for card in headline(metrics)] == ["category accuracy"]
