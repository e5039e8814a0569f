"""From scored videos to the numbers of a report and the files of an evaluation folder.

V videos, T segments, C categories. A number that is not defined (a class is absent) is NaN here and
null in metrics.json.
"""

import csv
import dataclasses
import io
import math
import pathlib
import re
from typing import Any

import numpy as np

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.evaluation import frame_metrics, protocol, video_metrics
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.report import figures

FALSE_ALARM_THRESHOLD = 0.5
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
)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Videos of a split with what the network says of them, and the truth that counts.

    Attributes:
        info: the data set's description.
        bags: V videos.
        results: V scores, in the same order.
        resampled: whether each video was resampled to a fixed number of segments.
        has_categories: whether the network has category outputs (CORE).
    """

    info: BagsInfo
    bags: list[Bag]
    results: list[VideoScores]
    resampled: bool
    has_categories: bool

    def evaluated_frames(self, bag: Bag) -> int:
        """T x frames_per_segment: what the field evaluates of a video."""
        return protocol.evaluated_length(bag.num_segments, self.info.frames_per_segment)

    def frame_scores(self, bag: Bag, result: VideoScores) -> np.ndarray:
        """[F] scores of one video's evaluated frames."""
        length = self.evaluated_frames(bag)
        if self.resampled:
            return protocol.resampled_to_frame_scores(result.scores, length)
        return protocol.segment_to_frame_scores(result.scores, length, self.info.frames_per_segment)

    def with_truth(self) -> list[tuple[Bag, VideoScores, np.ndarray, np.ndarray]]:
        """The videos whose spans are known, with frame truth [F] and frame scores [F]."""
        return [
            (
                bag,
                result,
                protocol.frame_truth(bag.spans, self.evaluated_frames(bag)),
                self.frame_scores(bag, result),
            )
            for bag, result in zip(self.bags, self.results, strict=True)
            if bag.has_truth
        ]


def metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Every number of the evaluation, and what it was measured on."""
    known = evaluation.with_truth()
    truth = _joined([item[2] for item in known], bool)
    scores = _joined([item[3] for item in known], np.float32)
    in_anomalous = _joined([np.full(len(item[2]), item[0].anomalous) for item in known], bool)
    ranking = frame_metrics.rank(truth, scores)
    normal_scores = scores[~in_anomalous]
    return {
        "frame_auc": ranking.roc_auc(),
        "frame_ap": ranking.average_precision(),
        "frame_pr_auc": ranking.precision_recall_auc(),
        "anomalous_frame_auc": frame_metrics.roc_auc(truth[in_anomalous], scores[in_anomalous]),
        "false_alarm_rate": frame_metrics.false_alarm_rate(normal_scores, FALSE_ALARM_THRESHOLD),
        **video_level_metrics(evaluation),
        "num_videos": len(evaluation.bags),
        "num_anomalous_videos": sum(bag.anomalous for bag in evaluation.bags),
        "num_videos_with_truth": len(known),
        "num_frames": len(truth),
        "num_positive_frames": int(truth.sum()),
        "truth_hash": protocol.truth_hash(
            (bag.video_id, len(frames), bag.spans) for bag, _, frames, _ in known
        ),
        "gate": gate_statistics(evaluation),
    }


def video_level_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Numbers that need video-level labels only; all videos count."""
    anomalous = np.array([bag.anomalous for bag in evaluation.bags])
    scores = np.array([result.video_score for result in evaluation.results])
    found = {
        "video_auc": frame_metrics.roc_auc(anomalous, scores),
        "video_ap": frame_metrics.average_precision(anomalous, scores),
        "category_accuracy": math.nan,
        "category_map": math.nan,
    }
    if evaluation.has_categories:
        probs = np.stack([result.category_probs for result in evaluation.results])
        labels = np.stack([bag.labels for bag in evaluation.bags])
        found["category_accuracy"] = video_metrics.category_accuracy(probs, labels)
        found["category_map"] = video_metrics.category_mean_average_precision(probs, labels)
    return found


def gate_statistics(evaluation: Evaluation) -> dict[str, float]:
    """Whether the shift adapts: its mean, spread, span inside a video, and tie to the truth.

    The correlation is Pearson's of r_t with the segment's share of anomalous frames, over the
    segments of the anomalous videos with truth; NaN for a constant gate.
    """
    ratios = [result.shift_ratio for result in evaluation.results]
    joined = np.concatenate(ratios)
    gate, share = [], []
    for bag, result, truth, _ in evaluation.with_truth():
        if bag.anomalous:
            gate.append(result.shift_ratio)
            edges = np.linspace(0, len(truth), len(result.shift_ratio) + 1).astype(int)
            counts = np.diff(np.concatenate(([0], np.cumsum(truth)))[edges])
            share.append(counts / np.maximum(np.diff(edges), 1))
    return {
        "ratio_mean": float(joined.mean()),
        "ratio_spread": float(joined.std()),
        "ratio_span_within_video": float(np.mean([np.ptp(ratio) for ratio in ratios])),
        "correlation_with_truth": _correlation(_joined(gate, float), _joined(share, float)),
    }


def write_files(evaluation: Evaluation, folder: pathlib.Path, *, num_curves: int) -> None:
    """Writes scores.npz, videos.csv and the score curves into a folder."""
    arrays: dict[str, Any] = score_arrays(evaluation)
    np.savez_compressed(folder / "scores.npz", **arrays)
    (folder / "videos.csv").write_text(video_table(evaluation), encoding="utf-8")
    write_curves(evaluation, folder, num_curves=num_curves)


def score_arrays(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """What scores.npz holds.

    Scores and shift ratios of video i stand at offsets[i]:offsets[i + 1], one per segment.
    """
    results = evaluation.results
    return {
        "video_ids": np.array([bag.video_id for bag in evaluation.bags]),
        "offsets": np.cumsum([0, *(len(result.scores) for result in results)]),
        "scores": np.concatenate([result.scores for result in results]),
        "shift_ratio": np.concatenate([result.shift_ratio for result in results]),
        "evaluated_frames": np.array([evaluation.evaluated_frames(bag) for bag in evaluation.bags]),
        "video_scores": np.array([result.video_score for result in results]),
        "category_probs": np.stack([result.category_probs for result in results]),
        "category_weights": np.stack([result.category_weights for result in results]),
        "categories": np.array(evaluation.info.taxonomy.categories),
    }


def video_table(evaluation: Evaluation) -> str:
    """videos.csv: one row a video, with its label, prediction, scores and own frame AUC."""
    frame_aucs = {
        bag.video_id: frame_metrics.roc_auc(truth, scores)
        for bag, _, truth, scores in evaluation.with_truth()
    }
    categories = evaluation.info.taxonomy.categories
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(VIDEO_COLUMNS)
    for bag, result in zip(evaluation.bags, evaluation.results, strict=True):
        best = int(result.category_probs.argmax())
        named = evaluation.has_categories
        auc = frame_aucs.get(bag.video_id, math.nan)
        writer.writerow(
            [bag.video_id, bag.label, f"{result.video_score:.6f}", f"{result.scores.max():.6f}"]
            + ([categories[best], f"{result.category_probs[best]:.6f}"] if named else ["", ""])
            + [bag.num_segments, bag.num_frames, evaluation.evaluated_frames(bag)]
            + [int(bag.has_truth), "" if math.isnan(auc) else f"{auc:.6f}"]
        )
    return text.getvalue()


def write_curves(evaluation: Evaluation, folder: pathlib.Path, *, num_curves: int) -> None:
    """Draws curves/<nn>_<video>.png for the chosen videos, and curves.png with the first twelve."""
    chosen = chosen_videos(evaluation, num_curves)
    if not chosen:
        return
    panels = [_panel(evaluation, index) for index in chosen]
    (folder / "curves").mkdir()
    for number, (index, panel) in enumerate(zip(chosen, panels, strict=True)):
        name = re.sub(r"[^A-Za-z0-9_.=-]", "_", evaluation.bags[index].video_id)[:100]
        figures.save_score_curve(folder / "curves" / f"{number:02d}_{name}.png", panel)
    figures.save_score_grid(folder / "curves.png", panels[: figures.MAX_GRID_PANELS])


def chosen_videos(evaluation: Evaluation, count: int) -> list[int]:
    """Indices of the videos to draw: anomalous ones with truth, one category after the other, and,
    for every three of them, the normal video with the highest score (the worst false alarm).
    """
    groups: dict[str, list[int]] = {}
    normal: list[int] = []
    for index, bag in enumerate(evaluation.bags):
        if bag.anomalous and bag.has_truth:
            groups.setdefault(bag.label, []).append(index)
        elif not bag.anomalous:
            normal.append(index)
    normal.sort(key=lambda index: -evaluation.results[index].video_score)
    rounds = max(map(len, groups.values()), default=0)
    anomalous = [group[i] for i in range(rounds) for group in groups.values() if i < len(group)]
    num_normal = min(len(normal), max(count // 4, count - len(anomalous)))
    return anomalous[: count - num_normal] + normal[:num_normal]


def _panel(evaluation: Evaluation, index: int) -> figures.Panel:
    bag, result = evaluation.bags[index], evaluation.results[index]
    unit, frame = ("seconds", 1 / bag.fps) if bag.fps else ("frames", 1.0)
    names = evaluation.info.taxonomy.display_names
    title = f"{bag.video_id} ({bag.label})"
    return figures.Panel(
        title=f"simulated: {title}" if evaluation.info.simulated else title,
        scores=result.scores,
        step=evaluation.evaluated_frames(bag) / len(result.scores) * frame,
        unit=unit,
        truth=[
            figures.Interval(
                start * frame, end * frame, names[category] if category >= 0 else "anomaly"
            )
            for start, end, category in bag.spans.tolist()
        ],
        series={"shift ratio": result.shift_ratio} if np.ptp(result.shift_ratio) else {},
    )


def without_nan(value: Any) -> Any:
    """NaN to None, through dicts and lists: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _joined(parts: list[np.ndarray], dtype: Any) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or not a.std() or not b.std():
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
