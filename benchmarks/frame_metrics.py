"""Times every frame metric, and the bootstrap, on test sets of the field's size.

Scores (float32, as a network gives) and truth are drawn at random, at the lengths of XD-Violence
(800 videos, 2.3 million frames, 6 categories): once as the field scores, one number per 16 frames,
and once with another number for each frame, the worst case for sorting. scikit-learn is timed
beside ours.

    python -m benchmarks.frame_metrics
    python -m benchmarks.frame_metrics --resamples=0

Prints a table of seconds and, as the last line, the same numbers as JSON.
"""

import functools
from collections.abc import Callable

import numpy as np
from absl import flags

from benchmarks import records
from refinevad_jax.metrics import bootstrap
from refinevad_jax.metrics import truth as truth_lib
from refinevad_jax.metrics.frames import (
    anomalous_videos_auc,
    category_against_normal,
    category_one_vs_rest,
    false_alarm_rate,
    rank,
    threshold_at_false_alarm_rate,
)
from refinevad_jax.runtime.command_line import run

RESAMPLES = flags.DEFINE_integer("resamples", 1000, "Draws of the bootstrap.", lower_bound=0)
REPEATS = flags.DEFINE_integer("repeats", 3, "Times each metric is run; the median counts.")

NUM_VIDEOS, NUM_ANOMALOUS, NUM_SEGMENTS, NUM_CATEGORIES = 800, 500, 145_706, 6


class TestSet:
    """Random truth and scores of 800 videos."""

    def __init__(self, *, per_frame: bool) -> None:
        rng = np.random.default_rng(0)
        shares = rng.dirichlet(np.full(NUM_VIDEOS, 2.0))
        segments = np.maximum(1, np.round(shares * NUM_SEGMENTS)).astype(int)
        self.lengths = 16 * segments
        starts = np.concatenate(([0], np.cumsum(self.lengths)))
        self.truth = np.zeros(starts[-1], bool)
        for start, length in zip(starts, self.lengths[:NUM_ANOMALOUS], strict=False):
            self.truth[start + length // 4 : start + 3 * length // 4] = True
        self.categories = np.arange(NUM_VIDEOS) % NUM_CATEGORIES
        self.anomalous = truth_lib.per_frame(np.arange(NUM_VIDEOS) < NUM_ANOMALOUS, self.lengths)
        self.scores = self._draw(rng, per_frame) + np.float32(0.3) * self.truth
        self.category_scores = np.stack([self._draw(rng, per_frame) for _ in range(NUM_CATEGORIES)])

    def _draw(self, rng: np.random.Generator, per_frame: bool) -> np.ndarray:
        num_frames = len(self.truth)
        count = num_frames if per_frame else num_frames // 16
        values = rng.random(count, dtype=np.float32)
        return values if per_frame else truth_lib.segment_to_frame_scores(values, num_frames)

    def frames_of_category(self) -> np.ndarray:
        """[C, F] bool, frame lies in an anomalous video of the category."""
        category = truth_lib.per_frame(self.categories, self.lengths)
        return (category == np.arange(NUM_CATEGORIES)[:, None]) & self.anomalous

    def tasks(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name."""
        truth, scores = self.truth, self.scores
        in_category = self.frames_of_category()

        def frame_values() -> tuple[float, ...]:
            ranking = rank(truth, scores)
            return (
                ranking.roc_auc(),
                ranking.average_precision(),
                ranking.precision_recall_auc(),
            )

        return {
            "AUC, AP, PR-AUC": frame_values,
            "AUC, anomalous videos": lambda: anomalous_videos_auc(truth, scores, self.anomalous),
            "false alarms, threshold": lambda: (
                false_alarm_rate(scores[~self.anomalous], 0.5),
                threshold_at_false_alarm_rate(scores[~self.anomalous], 0.01),
            ),
            "category against normal": lambda: category_against_normal(
                truth, scores, in_category, ~self.anomalous
            ),
            "category one-vs-rest": lambda: [
                category_one_vs_rest(own & truth, category_scores)
                for own, category_scores in zip(in_category, self.category_scores, strict=True)
            ],
        }


def median_seconds(task: Callable[[], object], repeats: int) -> float:
    """Median wall time of a call."""
    return records.middle([records.timed(task)[0] for _ in range(repeats)], 4)


def scikit_learn_values(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float, float]:
    """The same three numbers by scikit-learn, which is needed for development only."""
    from sklearn import metrics

    precision, recall, _ = metrics.precision_recall_curve(truth, scores)
    return (
        metrics.roc_auc_score(truth, scores),
        metrics.average_precision_score(truth, scores),
        metrics.auc(recall, precision),
    )


def main() -> None:
    """Times everything and prints."""
    result: dict[str, object] = {"videos": NUM_VIDEOS, "numpy": np.__version__}
    for kind, per_frame in (("a score per 16 frames", False), ("a score per frame", True)):
        test_set = TestSet(per_frame=per_frame)
        tasks = test_set.tasks()
        seconds = {name: median_seconds(task, REPEATS.value) for name, task in tasks.items()}
        seconds["all of these"] = round(sum(seconds.values()), 4)
        reference = functools.partial(scikit_learn_values, test_set.truth, test_set.scores)
        seconds["scikit-learn: AUC, AP, PR-AUC"] = median_seconds(reference, 1)
        if RESAMPLES.value:
            draws = functools.partial(
                bootstrap.confidence_intervals,
                test_set.truth,
                test_set.scores,
                test_set.lengths,
                num_resamples=RESAMPLES.value,
            )
            seconds[f"bootstrap, {RESAMPLES.value} draws"] = median_seconds(draws, 1)
        result["frames"] = len(test_set.truth)
        result |= {f"{kind}: {name}": value for name, value in seconds.items()}
    records.finish("frame_metrics", result)


if __name__ == "__main__":
    run(main)
