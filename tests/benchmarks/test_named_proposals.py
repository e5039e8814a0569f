"""Categories of proposals, from windows that a made-up head names."""

import numpy as np
import pytest

from benchmarks.named_proposals import RULES, held_out_of, located, proposals
from refinevad_jax import config as config_lib
from refinevad_jax.data.bags import Bag, BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores


@pytest.fixture
def two_events() -> ScoredSplit:
    """One video of 20 segments: an event of each of two categories, the video named the second.

    The only channel of a segment is its category, or -1.
    """
    rows = np.full((1, 20, 1), -1, np.float16)
    rows[0, 3:6], rows[0, 12:16] = 0, 1
    scores = np.where(rows[0, :, 0] < 0, 0.02, 0.98)
    spans = np.array([[48, 96, 0], [192, 256, 1]], np.int32)
    bag = Bag("video", "a+b", np.array([True, True]), rows, 320, 0.0, spans, True)
    result = VideoScores(scores, 0.9, np.array([0.1, 0.3]), np.zeros(2), np.zeros(20))
    info = BagsInfo("own", Taxonomy("own", ("a", "b"), ("A", "B")), (Modality("visual", 1),))
    return ScoredSplit(info, [bag], [result], False)


def of_most_segments(windows: list[Bag]) -> np.ndarray:
    """[W, 2], 0.8 for what most segments of a window are that are something."""
    found = [float(np.mean(w.features[w.features >= 0] > 0.5)) > 0.5 for w in windows]
    return np.array([[0.0, 0.8] if second else [0.8, 0.0] for second in found])


def test_events_of_two_categories_need_their_own_segments(two_events: ScoredSplit) -> None:
    (found,) = proposals(two_events, of_most_segments)
    np.testing.assert_allclose(found.video, [0.25, 0.75])
    assert set(zip(found.start.tolist(), found.end.tolist(), strict=True)) >= {(48, 96), (192, 256)}
    of_video, of_proposal = (
        located(two_events, [found], RULES[rule]) for rule in ("video", "proposal")
    )
    assert len(of_video) == 7 and of_proposal[4:] == pytest.approx([1, 1, 1])
    assert of_video[-1] < of_proposal[-1]


def test_training_videos_are_not_measured_on(two_events: ScoredSplit) -> None:
    config = config_lib.default()
    config.data.selection_split = "val"
    with pytest.raises(UserError, match="has trained on all of these"):
        held_out_of(two_events, config)
