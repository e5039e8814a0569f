"""What the first tables of a page say, from metrics.json: plain rows, no HTML.

Keys are those of `evaluation.metrics`; docs/metrics.md explains them at length.
"""

from collections.abc import Mapping
from typing import Any

# Key of metrics.json: name, and what a reader has to know to compare it.
HEADLINE = {
    "frame_auc": ("Frame AUC", "all frames of all videos with truth"),
    "frame_ap": ("Frame AP, steps", "average_precision_score; VadCLIP, DSANet, LaGoVAD"),
    "frame_pr_auc": ("Frame AP, trapezoid", "auc(recall, precision); RTFM, UR-DMU, BN-WVAD"),
    "anomalous_frame_auc": ("Ano-AUC, by label", "frames of videos labelled anomalous"),
    "anomalous_frame_auc_by_truth": ("Ano-AUC, by truth", "frames of videos with anomalous frames"),
    "false_alarm_rate": ("False alarms at 0.5", "share of the frames of normal videos"),
    "video_auc": ("Video AUC", "mean of the top k segments against the label"),
    "video_ap": ("Video AP", "the same, average precision"),
    "category_accuracy": ("Category accuracy", "anomalous videos, most probable among the labels"),
    "category_map": ("Category mAP", "multi-label, over all videos, normal ones as negatives"),
}
CONVENTIONS = {
    "legacy": "published evaluator, bit for bit: all columns, normal included",
    "legacy_exclude_normal": "the same with excludeNormal=True",
    "anomaly": "mean over anomalous classes with truth",
    "anomaly_on_anomalous_videos": "the same, detections in anomalous videos only",
    "anomaly_interpolated": "the same, interpolated AP as in ActivityNet",
    "class_agnostic": "place alone: one category against the anomalous runs",
}
RULES = {"legacy": "published rule", "proposals": "our proposals"}


def rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The headline numbers: name, note, value, and the interval's ends or None."""
    found = []
    for key, (name, note) in HEADLINE.items():
        interval = metrics["intervals"].get(key) or {}
        found.append(
            {
                "key": key,
                "name": name,
                "note": note,
                "value": metrics[key],
                "low": interval.get("low"),
                "high": interval.get("high"),
            }
        )
    return found


def facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was measured on what: the protocol every number of the page shares."""
    segments = metrics["num_segments"]
    return [
        ("Data set", f"{metrics['dataset']}, split {metrics['split']}"),
        ("Scores", metrics["scored_by"]),
        ("Selection rule", metrics["selection"]),
        (
            "Videos",
            f"{metrics['num_videos']}, {metrics['num_anomalous_videos']} anomalous; "
            f"{metrics['num_videos_with_truth']} with frame truth",
        ),
        (
            "Frames",
            f"{metrics['num_frames']:,}, {metrics['num_positive_frames']:,} anomalous",
        ),
        ("Truth hash", metrics["truth_hash"]),
        ("End of a span", metrics["end_convention"]),
        ("Frames a segment", str(metrics["frames_per_segment"])),
        ("Resolution", f"{segments} scores a video" if segments else "full sequences"),
        ("Crops", f"{metrics['num_crops']}, scores averaged"),
        ("Features", metrics["encoder"]),
        ("Seed", "–" if metrics["seed"] is None else str(metrics["seed"])),
        ("Trained by commit", metrics.get("commit") or "not known"),
    ]


def localization_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """mAP@IoU: rule, convention, values at each IoU and their mean."""
    return [
        {"rule": RULES[rule], "key": key, "note": note, **found[rule][key]}
        for key, note in CONVENTIONS.items()
        for rule in RULES
        if key in found.get(rule, {})
    ]


def number(value: float | None, digits: int = 4) -> str:
    """A fraction, or a dash where it is not defined."""
    return "–" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """A fraction in percent, as papers print mAP."""
    return "–" if value is None else f"{100 * value:.2f}"
