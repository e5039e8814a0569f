"""The files of an evaluation folder beside metrics.json and report.html, and the printed table."""

import csv
import io
import math
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax.evaluation.event_metrics import RULES
from refinevad_jax.evaluation.outcomes import Outcome
from refinevad_jax.evaluation.page_content import curves
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.files.staged import write_json
from refinevad_jax.report import figures, metric_figures

VIDEO_COLUMNS = (
    "video_id",
    "label",
    "video_score",
    "highest_score",
    "category",
    "category_prob",
    "num_segments",
    "num_frames",
    "evaluated_frames",
    "has_truth",
    "frame_auc",
    "outcome",
    "num_events",
    "error",
)
HEADLINES = {
    "frame_auc": "frame AUC",
    "frame_ap": "frame AP (steps)",
    "frame_pr_auc": "frame AP (trapezoid)",
    "anomalous_frame_auc": "frame AUC, anomalous videos",
    "false_alarm_rate": "false alarms on normal videos at 0.5",
    "video_auc": "video AUC",
    "video_ap": "video AP",
    "category_accuracy": "category accuracy",
    "category_map": "category mAP",
}


def write_files(
    split: ScoredSplit,
    outcomes: Sequence[Outcome],
    content: dict[str, Any],
    folder: pathlib.Path,
    *,
    num_curves: int,
) -> None:
    """Writes scores.npz, videos.csv, events.json and, with num_curves, figures into a folder."""
    arrays: dict[str, Any] = score_arrays(split)
    np.savez_compressed(folder / "scores.npz", **arrays)
    (folder / "videos.csv").write_text(video_table(split, outcomes), encoding="utf-8")
    write_json(folder / "events.json", without_nan(event_list(split, outcomes, content)))
    if num_curves:
        write_curves(split, outcomes, folder, num_curves=num_curves)
        write_figures(split, content, folder / "figures")


def write_figures(split: ScoredSplit, content: dict[str, Any], folder: pathlib.Path) -> None:
    """ROC, precision-recall and per-class bars, each as PNG and SVG."""
    folder.mkdir()
    rows = content["per_category"]["categories"]
    names = [row["category"] for row in rows]
    measures = {"against normal videos": "against_normal_auc", "one-vs-rest": "one_vs_rest_auc"}
    series = {name: [row[key] for row in rows] for name, key in measures.items() if key in rows[0]}
    found = curves(split)
    for suffix in figures.SUFFIXES:
        metric_figures.save_class_bars(
            folder / f"classes{suffix}", names, series, label="frame AUC"
        )
        if found:
            metric_figures.save_curves(folder / f"curves{suffix}", found)


def score_arrays(split: ScoredSplit) -> dict[str, np.ndarray]:
    """What scores.npz holds.

    Scores and shift ratios of video i stand at offsets[i]:offsets[i + 1], one per segment, its
    annotated spans (start, end, category) at span_offsets[i]:span_offsets[i + 1]. What is said of
    categories segment by segment stands where the scores do: segment_category_probs [C] of a
    network, category_maps [1 + C] as they were given.
    """
    results = split.results
    by_segment: dict[str, list[np.ndarray]] = {"category_maps": split.category_maps or []}
    spans = [bag.spans for bag in split.bags]
    frames = [split.evaluated_frames(index) for index in range(len(results))]
    return {
        "video_ids": np.array([bag.video_id for bag in split.bags]),
        "offsets": np.cumsum([0, *(len(result.scores) for result in results)]),
        "scores": np.concatenate([result.scores for result in results]),
        "shift_ratio": np.concatenate([result.shift_ratio for result in results]),
        "evaluated_frames": np.array(frames),
        "spans": np.concatenate(spans),
        "span_offsets": np.cumsum([0, *map(len, spans)]),
        "has_truth": np.array([bag.has_truth for bag in split.bags]),
        "labels": split.labels,
        "video_scores": split.video_scores,
        "category_probs": split.category_probs,
        "category_weights": np.stack([result.category_weights for result in results]),
        "categories": np.array(split.info.taxonomy.categories),
        **{name: np.concatenate(arrays) for name, arrays in by_segment.items() if arrays},
    }


def video_table(split: ScoredSplit, outcomes: Sequence[Outcome]) -> str:
    """videos.csv: one row a video, with its label, prediction, scores and what became of it."""
    categories = split.info.taxonomy.categories
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(VIDEO_COLUMNS)
    for index, (bag, result, outcome) in enumerate(
        zip(split.bags, split.results, outcomes, strict=True)
    ):
        best = int(result.category_probs.argmax())
        named = split.has_categories
        auc = outcome.frame_auc
        writer.writerow(
            [bag.video_id, bag.label, f"{result.video_score:.6f}", f"{result.scores.max():.6f}"]
            + ([categories[best], f"{result.category_probs[best]:.6f}"] if named else ["", ""])
            + [bag.num_segments, bag.num_frames, split.evaluated_frames(index)]
            + [int(bag.has_truth), "" if math.isnan(auc) else f"{auc:.6f}"]
            + [outcome.kind, len(outcome.events), f"{outcome.error:.6f}"]
        )
    return text.getvalue()


def event_list(
    split: ScoredSplit, outcomes: Sequence[Outcome], content: dict[str, Any]
) -> dict[str, Any]:
    """events.json: what `propose_events` finds at the operating point, video by video.

    Frames are end exclusive; seconds are null where the frame rate is not known.
    """
    categories = split.info.taxonomy.categories
    videos = {}
    for bag, outcome in zip(split.bags, outcomes, strict=True):
        videos[bag.video_id] = [
            {
                "start_frame": event.start,
                "end_frame": event.end,
                "start_seconds": event.start / bag.fps if bag.fps else None,
                "end_seconds": event.end / bag.fps if bag.fps else None,
                "category": categories[event.category] if event.category >= 0 else None,
                "score": event.score,
            }
            for event in outcome.events
        ]
    return {
        "threshold": content["operating_point"]["threshold"],
        "dataset": content["dataset"],
        "split": content["split"],
        "videos": videos,
    }


def write_curves(
    split: ScoredSplit, outcomes: Sequence[Outcome], folder: pathlib.Path, *, num_curves: int
) -> None:
    """Draws curves/<nn>_<video>.png for the chosen videos, and curves.png with the first twelve."""
    chosen = chosen_videos(split, num_curves)
    if not chosen:
        return
    panels = [_panel(split, index, outcomes[index]) for index in chosen]
    (folder / "curves").mkdir()
    for number, (index, panel) in enumerate(zip(chosen, panels, strict=True)):
        name = re.sub(r"[^A-Za-z0-9_.=-]", "_", split.bags[index].video_id)[:100]
        figures.save_score_curve(folder / "curves" / f"{number:02d}_{name}.png", panel)
    figures.save_score_grid(folder / "curves.png", panels[: figures.MAX_GRID_PANELS])


def chosen_videos(split: ScoredSplit, count: int) -> list[int]:
    """Indices of the videos to draw: anomalous ones with truth, one category after the other, and,
    for every three of them, the normal video with the highest score (the worst false alarm).
    """
    groups: dict[str, list[int]] = {}
    normal: list[int] = []
    for index, bag in enumerate(split.bags):
        if bag.anomalous and bag.has_truth:
            groups.setdefault(bag.label, []).append(index)
        elif not bag.anomalous:
            normal.append(index)
    normal.sort(key=lambda index: -split.results[index].video_score)
    rounds = max(map(len, groups.values()), default=0)
    anomalous = [group[i] for i in range(rounds) for group in groups.values() if i < len(group)]
    num_normal = min(len(normal), max(count // 4, count - len(anomalous)))
    return anomalous[: count - num_normal] + normal[:num_normal]


def _panel(split: ScoredSplit, index: int, outcome: Outcome) -> figures.Panel:
    bag, result = split.bags[index], split.results[index]
    unit, frame = ("seconds", 1 / bag.fps) if bag.fps else ("frames", 1.0)
    names = split.info.taxonomy.display_names
    title = f"{bag.video_id} ({bag.label})"

    def intervals(rows: list[Any]) -> list[figures.Interval]:
        return [
            figures.Interval(
                start * frame, end * frame, names[category] if category >= 0 else "anomaly"
            )
            for start, end, category in rows
        ]

    return figures.Panel(
        title=f"simulated: {title}" if split.info.simulated else title,
        scores=result.scores,
        step=split.evaluated_frames(index) / len(result.scores) * frame,
        unit=unit,
        truth=intervals(bag.spans.tolist()),
        events=intervals([(event.start, event.end, event.category) for event in outcome.events]),
        series={"shift ratio": result.shift_ratio} if np.ptp(result.shift_ratio) else {},
    )


def table(content: dict[str, Any]) -> str:
    """The headline numbers as text, with what they were measured on."""
    simulated = " (simulated data)" if content["simulated"] else ""
    segments = content["num_segments"]
    resolution = f"{segments} segments a video" if segments else "full sequences"
    lines = [
        f"{content['dataset']}, split {content['split']}{simulated}, {content['scored_by']}, "
        f"{resolution}",
        f"{content['num_videos']} videos ({content['num_anomalous_videos']} anomalous), "
        f"{content['num_videos_with_truth']} with frame truth: {content['num_frames']:,} frames, "
        f"{content['num_positive_frames']:,} anomalous, truth {content['truth_hash'][:12]}, ends "
        f"{content['end_convention']}, {content['num_crops']} crops",
    ]
    for key, name in HEADLINES.items():
        interval = content["intervals"].get(key)
        spread = f"  [{_number(interval['low'])}, {_number(interval['high'])}]" if interval else ""
        lines.append(f"  {name:38s} {_number(content[key])}{spread}")
    point = content["operating_point"]
    name = f"threshold for {point['target_false_alarm_rate']:.1%} false alarms"
    rate = _number(point["detection_rate"])
    lines.append(f"  {name:38s} {_number(point['threshold'])}  (anomalous frames found: {rate})")
    return "\n".join([*lines, *_localization_lines(content["localization"])])


def _localization_lines(found: dict[str, Any]) -> list[str]:
    """mAP@IoU, one line a rule and convention, in percent as papers print it."""
    lines = []
    for rule in RULES:
        for convention, value in found.get(rule, {}).items():
            if convention != "per_category":
                cells = [*value["at"], value["mean"]]
                numbers = "".join("     –" if v is None else f"{100 * v:6.2f}" for v in cells)
                lines.append(f"  {rule:9s} {convention:28s} {numbers}")
    if lines:
        ious = "".join(f"{iou:6.1f}" for iou in found["iou_thresholds"])
        lines.insert(0, f"  {'mAP@IoU, percent':38s} {ious}  mean")
    if found["no_categories"]:
        lines.append(f"  no mAP by category: {found['no_categories']}")
    return lines


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"


def without_nan(value: Any) -> Any:
    """NaN to None, through dicts and lists: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
