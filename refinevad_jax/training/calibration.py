"""What the end of training finds on the selection videos: a calibration and thresholds.

Video-level labels alone: the frame truth that the videos may have is left out.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refinevad_jax.data.bags import Bag
from refinevad_jax.evaluation.numbers import operating_points, without_nan
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import Scorer, calibrated
from refinevad_jax.metrics.calibration import platt_scaling
from refinevad_jax.runs.calibration import Calibration, Stored
from refinevad_jax.runs.run import Run
from refinevad_jax.runs.scoring_rule import FALSE_ALARM_RATES

# Below so many videos of either kind in the selection list, the choice of a checkpoint is noise:
# with ten of each a video AUC of 0.8 has a standard error of 0.1 (Hanley and McNeil 1982). So is a
# slope.
FEWEST_VIDEOS = 10


def found_on_selection(
    run: Run, scorer: Scorer, params: Any, step: int, selection: Sequence[Bag]
) -> Stored:
    """What calibration.json holds of a checkpoint: its scores by the run's own rule.

    params: of the checkpoint of that step; selection: the videos that chose it.
    """
    segments = run.config.eval.num_segments
    bags = [
        dataclasses.replace(bag, has_truth=False, spans=np.zeros((0, 3), np.int32))
        for bag in selection
    ]
    results = scorer(params, bags, columns=run.columns(), num_segments=segments)
    anomalous = np.array([bag.anomalous for bag in bags])
    logits = np.array([result.video_logit for result in results], np.float64)
    fitted, reason = _fitted(logits, anomalous)
    results = [
        dataclasses.replace(result, scores=calibrated(result.logits, fitted))
        for result in results
        if result.logits is not None
    ]
    split = ScoredSplit(run.info, bags, results, segments > 0)
    return Stored(
        step=step,
        num_segments=segments,
        num_normal=int((~anomalous).sum()),
        num_anomalous=int(anomalous.sum()),
        calibration=fitted,
        reason=reason,
        operating_points=without_nan(operating_points(split, FALSE_ALARM_RATES)),
    )


def _fitted(logits: np.ndarray, anomalous: np.ndarray) -> tuple[Calibration | None, str]:
    """The calibration, or None and the reason."""
    num_anomalous = int(anomalous.sum())
    num_normal = len(anomalous) - num_anomalous
    if min(num_normal, num_anomalous) < FEWEST_VIDEOS:
        return None, (
            f"{num_normal} normal and {num_anomalous} anomalous videos to select by, "
            f"{FEWEST_VIDEOS} of each are needed"
        )
    if not logits.std():
        return None, "all videos to select by have the same score"
    slope, offset = platt_scaling(logits, anomalous)
    if slope <= 0:
        return None, "anomalous videos to select by do not score higher than normal ones"
    return Calibration(slope, offset), ""


def in_words(stored: Stored) -> str:
    """Calibration and thresholds, in one line."""
    if stored.calibration:
        calibration = (
            f"scores calibrated on {stored.num_normal} normal and {stored.num_anomalous} anomalous "
            f"videos (slope {stored.calibration.slope:.3g}, offset {stored.calibration.offset:.3g})"
        )
    else:
        calibration = f"scores not calibrated: {stored.reason}"
    points = stored.operating_points
    count = points[0]["num_normal_segments"]
    thresholds = ", ".join(_threshold_in_words(point) for point in points)
    return f"{calibration}; thresholds of {count:,} normal segments: {thresholds} false alarms"


def _threshold_in_words(point: Mapping[str, Any]) -> str:
    highest = "" if point["false_alarm_rate"] else "above all, "
    return f"{point['threshold']:.4f} ({highest}{100 * point['target_false_alarm_rate']:g} %)"
