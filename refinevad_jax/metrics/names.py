"""The table of metrics: every number that metrics.json gives of a split, and which tables show it.

A new metric is a function in frames.py or videos.py, an entry in METRICS, and a test. The entry
alone brings it into metrics.json and into the tables that it names. docs/metrics.md explains what
each number means and who else reports it under which name.

V videos, K of them with frame truth, F evaluated frames of these K, C categories.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refinevad_jax.metrics import frames, videos
from refinevad_jax.metrics.truth import has_anomalous_frame, per_frame

# What a metric is computed from.
FRAME = "frame"  # truth and scores of frames
VIDEO = "video"  # video-level labels and scores
CATEGORY = "category"  # video-level labels and category probabilities
LOCALIZATION = "localization"  # events: evaluation/numbers.py computes these apart
PROPOSALS_MAP = "localization.proposals.anomaly.mean"
PROPOSALS_MAP_HIGH = "localization.proposals.anomaly.high"  # IoU 0.3 to 0.5 alone
# The tables, in addition to metrics.json.
EVALUATION = "evaluation"  # printed by an evaluation, report.html and compare.html
SEEDS = "seeds"  # mean and deviation over the seeds of a run
RESULTS = "results"  # columns of the results page and of the ladder
VERDICTS = "verdicts"  # what the ladder judges a part of the model by
PROBES = "probes"  # what the probes of a trained run show
SELECTION = "selection"  # logged in training; config.CHOICES has those that may choose a checkpoint


@dataclasses.dataclass(frozen=True)
class SplitArrays:
    """A scored split as plain arrays: what the function of a metric takes.

    Attributes:
        labels: [V, C] bool, all False for a normal video.
        video_scores: [V].
        category_probs: [V, C]; [V, 0] for scores that name no category.
        truth: [F] bool, frames of the K videos with truth, one video after the other.
        scores: [F], of the same frames.
        lengths: [K] frames of each of these videos.
        with_truth: [V] bool, whether a video is one of the K.
        normal_scores: scores of all frames of all videos labelled normal.
    """

    labels: np.ndarray
    video_scores: np.ndarray
    category_probs: np.ndarray
    truth: np.ndarray
    scores: np.ndarray
    lengths: np.ndarray
    with_truth: np.ndarray
    normal_scores: np.ndarray

    @functools.cached_property
    def anomalous(self) -> np.ndarray:
        """[V] bool, by label."""
        return np.asarray(self.labels.any(axis=1))

    @functools.cached_property
    def ranking(self) -> frames.Ranking:
        """Of all frames: one sort that several metrics share."""
        return frames.rank(self.truth, self.scores)

    @functools.cached_property
    def video_ranking(self) -> frames.Ranking:
        """Of all videos, by label."""
        return frames.rank(self.anomalous, self.video_scores)

    def per_frame(self, values: np.ndarray) -> np.ndarray:
        """[F] from one value per video [V]: repeated over the frames of those with truth."""
        return per_frame(np.asarray(values)[self.with_truth], self.lengths)

    @functools.cached_property
    def single_video_aucs(self) -> np.ndarray:
        """AUC inside each of the videos with frames of both classes."""
        found = frames.single_video_aucs(self.truth, self.scores, self.lengths)
        return found[~np.isnan(found)]

    def recall_at(self, rate: float) -> float:
        """Share of anomalous frames found at a false alarm rate on normal videos."""
        positives = self.scores[self.truth]
        return frames.recall_at_false_alarm_rate(positives, self.normal_scores, rate)

    def auc_of(self, chosen: np.ndarray) -> float:
        """Ano-AUC: over the frames of some of the videos with truth, chosen [K] bool."""
        return frames.anomalous_videos_auc(self.truth, self.scores, per_frame(chosen, self.lengths))


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number of a split.

    Attributes:
        key: where it lies in metrics.json, dots between the levels.
        title: in tables.
        note: what a reader has to know to compare it.
        level: what it is computed from: FRAME, VIDEO, CATEGORY or LOCALIZATION.
        function: computes it, nan if it is not defined; None for LOCALIZATION.
        tables: those that show it.
        resampled: its name in `bootstrap.METRICS`, if draws of videos give its interval and its
            differences of runs; "" otherwise. For FRAME and VIDEO only.
    """

    key: str
    title: str
    note: str
    level: str
    function: Callable[[SplitArrays], float] | None
    tables: tuple[str, ...] = (EVALUATION,)
    resampled: str = ""

    def of(self, content: Mapping[str, Any]) -> Any:
        """The number in the content of a metrics.json; None if it is not defined there."""
        found: Any = content
        for part in self.key.split("."):
            found = (found or {}).get(part)
        return found


METRICS = (
    Metric(
        "frame_auc",
        "frame AUC",
        "all frames of all videos with truth",
        FRAME,
        lambda arrays: arrays.ranking.roc_auc(),
        (EVALUATION, SEEDS, RESULTS, VERDICTS, PROBES),
        "roc_auc",
    ),
    Metric(
        "frame_ap",
        "frame AP",
        "sum of steps, average_precision_score; VadCLIP, DSANet, LaGoVAD",
        FRAME,
        lambda arrays: arrays.ranking.average_precision(),
        (EVALUATION, SEEDS, RESULTS, VERDICTS, PROBES),
        "average_precision",
    ),
    Metric(
        "frame_pr_auc",
        "frame AP, trapezoid",
        "auc(recall, precision); RTFM, UR-DMU, BN-WVAD",
        FRAME,
        lambda arrays: arrays.ranking.precision_recall_auc(),
    ),
    Metric(
        "anomalous_frame_auc",
        "AUC, anomalous videos",
        "Ano-AUC: frames of videos labelled anomalous",
        FRAME,
        lambda arrays: arrays.auc_of(arrays.anomalous[arrays.with_truth]),
        (EVALUATION, SEEDS, RESULTS, PROBES),
    ),
    Metric(
        "anomalous_frame_auc_by_truth",
        "AUC, anomalous videos by truth",
        "Ano-AUC: frames of videos with anomalous frames",
        FRAME,
        lambda arrays: arrays.auc_of(has_anomalous_frame(arrays.truth, arrays.lengths)),
    ),
    Metric(
        "single_video_auc",
        "AUC inside videos",
        "mean of one AUC per video, over videos with frames of both classes",
        FRAME,
        lambda arrays: videos.mean_of_defined(arrays.single_video_aucs),
        (EVALUATION, SEEDS, PROBES),
    ),
    Metric(
        "single_video_auc_below_half",
        "videos with AUC below 0.5",
        "share of these videos whose own frames are ordered worse than by chance",
        FRAME,
        lambda arrays: videos.mean_of_defined(arrays.single_video_aucs < 0.5),
    ),
    *(
        Metric(
            f"recall_at_{per_mille}_per_mille",
            f"recall at {per_mille / 10:g} % false alarms",
            "anomalous frames found; threshold by all frames of this split's normal videos",
            FRAME,
            functools.partial(SplitArrays.recall_at, rate=per_mille / 1000),
        )
        for per_mille in (1, 10, 50)
    ),
    Metric(
        "false_alarm_rate",
        "false alarms at 0.5",
        "share of the frames of normal videos",
        FRAME,
        lambda arrays: frames.false_alarm_rate(arrays.normal_scores, frames.ALARM_THRESHOLD),
    ),
    Metric(
        "video_auc",
        "video AUC",
        "mean of the top k segments against the label",
        VIDEO,
        lambda arrays: arrays.video_ranking.roc_auc(),
        (EVALUATION, SEEDS, RESULTS, SELECTION),
        "roc_auc",
    ),
    Metric(
        "video_ap",
        "video AP",
        "the same, average precision",
        VIDEO,
        lambda arrays: arrays.video_ranking.average_precision(),
        (EVALUATION, SEEDS, SELECTION),
        "average_precision",
    ),
    Metric(
        "category_accuracy",
        "category accuracy",
        "anomalous videos, most probable among the labels",
        CATEGORY,
        lambda arrays: videos.category_accuracy(arrays.category_probs, arrays.labels),
        (EVALUATION, SEEDS, RESULTS, SELECTION, PROBES),
    ),
    Metric(
        "category_map",
        "category mAP",
        "multi-label, over all videos, normal ones as negatives",
        CATEGORY,
        lambda arrays: videos.category_mean_average_precision(arrays.category_probs, arrays.labels),
        (EVALUATION, SEEDS),
    ),
    Metric(
        PROPOSALS_MAP,
        "mAP@IoU",
        "by proposals, mean over IoU 0.1 to 0.5 and the anomaly categories",
        LOCALIZATION,
        None,
        (RESULTS, VERDICTS),
    ),
    Metric(
        PROPOSALS_MAP_HIGH,
        "mAP@IoU 0.3 to 0.5",
        "by proposals, mean over the anomaly categories; what raises an AUC often lowers it",
        LOCALIZATION,
        None,
        (EVALUATION, SEEDS, RESULTS),
    ),
)
# Those that are also given for a score that knows a frame's place in its video and nothing else,
# and for the target of L_GMM.
POSITION_ONLY = ("frame_auc", "frame_ap", "anomalous_frame_auc", "single_video_auc")
POSITION_NOTE = (
    "no model: a score that knows only where in its video a frame is, highest in the middle"
)
MIXTURE_NOTE = "where the loss takes the anomaly to be; compare with position only"
# mAP@IoU: how detections are made, and how their mean is taken.
RULES = {"legacy": "published rule", "proposals": "our proposals"}
CONVENTIONS = {
    "legacy": "published evaluator, bit for bit: all columns, normal included",
    "legacy_exclude_normal": "the same with excludeNormal=True",
    "anomaly": "mean over anomalous classes with truth",
    "anomaly_on_anomalous_videos": "the same, detections in anomalous videos only",
    "anomaly_interpolated": "the same, interpolated AP as in ActivityNet",
    "class_agnostic": "localisation only: all anomalies treated as one class",
}


def titles() -> dict[str, str]:
    """The title of every metric by its key."""
    return {metric.key: metric.title for metric in METRICS}


def shown_in(table: str) -> list[Metric]:
    """The metrics of a table, in order."""
    return [metric for metric in METRICS if table in metric.tables]


def measured(arrays: SplitArrays, table: str = "") -> dict[str, float]:
    """Every metric that has a function, or those of one table, by key; nan if not defined.

    Scores that name no category are left without the metrics of CATEGORY.
    """
    left_out = "" if arrays.category_probs.shape[1] else CATEGORY
    return {
        metric.key: metric.function(arrays)
        for metric in (shown_in(table) if table else METRICS)
        if metric.function and metric.level != left_out
    }


def position_only(arrays: SplitArrays) -> dict[str, float]:
    """The metrics of POSITION_ONLY for `frames.middle_scores`, by key: a reference, not the run."""
    return of_other_scores(arrays, frames.middle_scores(arrays.lengths))


def of_other_scores(arrays: SplitArrays, scores: np.ndarray) -> dict[str, float]:
    """The metrics of POSITION_ONLY for other scores [F] of the same frames, by key."""
    others = dataclasses.replace(arrays, scores=scores)
    found = [metric for metric in METRICS if metric.key in POSITION_ONLY]
    return {metric.key: metric.function(others) for metric in found if metric.function}


def selection_metrics(
    labels: np.ndarray, video_scores: np.ndarray, category_probs: np.ndarray
) -> dict[str, float]:
    """The metrics that training logs and may select by: they need video-level labels only.

    labels: [V, C] bool; video_scores: [V]; category_probs: [V, C], or [V, 0].
    """
    none, with_truth = np.zeros(0), np.zeros(len(labels), bool)
    arrays = SplitArrays(labels, video_scores, category_probs, none, none, none, with_truth, none)
    return measured(arrays, SELECTION)


def resampled(level: str) -> dict[str, str]:
    """Metrics of a level whose intervals come from draws of videos: key to bootstrap name."""
    return {m.key: m.resampled for m in METRICS if m.level == level and m.resampled}
