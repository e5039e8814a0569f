"""Hit or miss, and how far off, of single videos."""

import numpy as np
import pytest

from refinevad_jax.data.bags import Bag, BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.evaluation.outcomes import Outcome, outcomes
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores

INFO = BagsInfo("own", Taxonomy("t", ("a",), ("A",)), (Modality("visual", 4),))


def outcome(
    scores: list[float], span: tuple[int, int] | None, *, anomalous: bool, has_truth: bool = True
) -> Outcome:
    """Of one video at the threshold 0.5; span in segments."""
    size = len(scores)
    spans = [[16 * span[0], 16 * span[1], 0]] if span else []
    bag = Bag(
        video_id="v",
        label="a" if anomalous else "Normal",
        labels=np.array([anomalous]),
        features=np.zeros((1, size, 4), np.float16),
        num_frames=16 * size,
        fps=25.0,
        spans=np.array(spans, np.int32).reshape(-1, 3),
        has_truth=has_truth,
    )
    values = np.array(scores, np.float32)
    result = VideoScores(values, 0.0, np.ones(1), np.ones(1), np.zeros(size))
    (found,) = outcomes(ScoredSplit(INFO, [bag], [result], False), 0.5)
    return found


QUIET, PEAK = [0.1] * 8, [0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.2, 0.1]


@pytest.mark.parametrize(
    ("scores", "span", "anomalous", "kind", "error"),
    [
        (PEAK, (2, 3), True, "detected", 0.1),
        (PEAK, (6, 7), True, "missed", 0.8),
        (QUIET, (6, 7), True, "missed", 0.9),
        (PEAK, None, False, "false alarm", 0.9),
        (QUIET, None, False, "quiet", 0.1),
    ],
)
def test_what_became_of_a_video(scores, span, anomalous, kind, error) -> None:
    found = outcome(scores, span, anomalous=anomalous)
    assert found.kind == kind
    assert found.error == pytest.approx(error)
    assert bool(found.events) == (max(scores) > 0.5)


def test_without_spans_any_event_of_an_anomalous_video_counts() -> None:
    found = outcome(PEAK, None, anomalous=True, has_truth=False)
    assert found.kind == "detected"
    assert found.error == pytest.approx(0.1)
    assert np.isnan(found.frame_auc)


def test_the_videos_own_auc() -> None:
    assert outcome(PEAK, (2, 3), anomalous=True).frame_auc == 1
    assert outcome(PEAK, (0, 1), anomalous=True).frame_auc == pytest.approx(2.5 / 7)
    assert np.isnan(outcome(QUIET, None, anomalous=False).frame_auc)
