"""How early an event is found: delays of alarms, and average precision of the first seconds alone.

Arrays in, floats out. F frames, T segments of a video, E events, K videos.
"""

from collections.abc import Sequence

import numpy as np

from refinevad_jax.metrics.frames import average_precision
from refinevad_jax.metrics.truth import truth_runs


def alarm_delays(truth: np.ndarray, alarms: np.ndarray, frames_per_segment: int) -> np.ndarray:
    """Frames from the start of each event to its first alarm; nan for an event without one.

    An event is a run of anomalous frames. Its first alarm is the first segment with an alarm that
    has a frame of the event. A segment is judged when it has ended, so the delay runs to its end.
    An alarm that was there before the event and goes on counts, one after the event is too late.

    truth: [F] bool of one video, F at most T x frames_per_segment; alarms: [T] bool. Returns [E].
    """
    delays = []
    for start, end in truth_runs(truth).tolist():
        first, last = start // frames_per_segment, -(-end // frames_per_segment)
        found = np.flatnonzero(np.asarray(alarms[first:last], bool))
        delays.append((first + found[0] + 1) * frames_per_segment - start if len(found) else np.nan)
    return np.array(delays, np.float64)


def early_average_precision(
    truths: Sequence[np.ndarray], scores: Sequence[np.ndarray], limits: Sequence[float]
) -> float:
    """Average precision of frames where only the first ones of each event are to be found.

    Later frames of an event count neither as found nor as false alarms. A detector that rises late
    in every event gets the precision of chance, however high its average precision.

    truths, scores: [F] bool and [F] of each of K videos; limits: [K] frames of an event that count.
    nan if no frame is anomalous.
    """
    kept_truth, kept_scores = [np.zeros(0, bool)], [np.zeros(0)]
    for truth, score, limit in zip(truths, scores, limits, strict=True):
        kept = ~np.asarray(truth, bool)
        for start, end in truth_runs(truth).tolist():
            kept[start : min(end, start + max(1, round(limit)))] = True
        kept_truth.append(np.asarray(truth, bool)[kept])
        kept_scores.append(np.asarray(score)[kept])
    return average_precision(np.concatenate(kept_truth), np.concatenate(kept_scores))
