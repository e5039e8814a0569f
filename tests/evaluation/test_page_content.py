"""What the report is made of: the flat view of categories, missing truth, outcomes in words."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from refinevad_jax.evaluation.numbers import measure
from refinevad_jax.evaluation.outcomes import Outcome, outcomes
from refinevad_jax.evaluation.page_content import (
    lost_truth,
    missing_truth,
    page_content,
    project,
    verdict,
    video_curves,
)
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.metrics.events import Event
from tests.report.test_page import scored_split, without_truth


def measured(split: ScoredSplit) -> dict[str, Any]:
    """What metrics.json holds of a split whose events are those at 0.5."""
    return measure(split) | {"alarm_threshold": {"threshold": 0.5, "source": "given"}}


def test_the_flat_view_keeps_the_most_variance_of_the_videos() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(4, 2)) @ rng.normal(size=(2, 8))  # prototypes that lie in a plane
    weights = rng.uniform(size=(40, 4))
    videos, prototypes, share = project(plane, weights)
    assert share == pytest.approx(1)
    np.testing.assert_allclose(videos.mean(axis=0), 0, atol=1e-12)
    points, places = (
        np.concatenate(pair) for pair in ((weights @ plane, plane), (videos, prototypes))
    )
    apart, shown = (
        np.linalg.norm(found[:, None] - found[None], axis=2) for found in (points, places)
    )
    np.testing.assert_allclose(shown, apart, atol=1e-9)  # distances are kept
    again = project(plane, weights)
    np.testing.assert_array_equal(videos, again[0])
    videos, prototypes, share = project(rng.normal(size=(9, 16)), rng.uniform(size=(40, 9)))
    assert videos.shape == (40, 2) and prototypes.shape == (9, 2)
    assert 0 < share < 1 and videos[:, 0].std() > videos[:, 1].std()


def test_points_on_one_line_or_one_point_have_places() -> None:
    videos, prototypes, share = project(np.array([[0.0], [1.0]]), np.array([[0.5, 0.5], [0, 1]]))
    assert share == pytest.approx(1) and np.ptp(videos[:, 0]) == pytest.approx(0.5)
    assert not videos[:, 1].any() and not prototypes[:, 1].any()
    videos, _, share = project(np.ones((2, 3)), np.array([[0.5, 0.5]]))
    np.testing.assert_allclose(videos, 0, atol=1e-12)
    assert share == 1


def test_what_cannot_be_drawn_says_why() -> None:
    split = scored_split()
    assert split.prototypes is not None
    metrics = measured(split)
    even = [dataclasses.replace(one, category_weights=np.ones(2) / 2) for one in split.results]
    for changes, reason in (
        ({"prototypes": None}, "without category prototypes"),
        ({"prototypes": split.prototypes[:1]}, "one category alone"),
        ({"results": even}, "all videos mix the categories alike"),
    ):
        found = dataclasses.replace(split, **changes)
        content = page_content(found, outcomes(found, 0.5), metrics, {})
        assert reason in content["projection"]["reason"]


def test_missing_truth_is_counted_and_has_a_cure() -> None:
    assert missing_truth(scored_split()) == ""
    some = missing_truth(without_truth(scored_split(), count=3))
    assert some.startswith("3 of 40 videos have no frame truth.") and "--annotations=FILE" in some
    none = missing_truth(without_truth(scored_split()))
    assert none.startswith("Frame metrics are missing: no video") and "--annotations=FILE" in none


def test_anomalous_videos_without_an_anomalous_frame_are_named() -> None:
    split = scored_split()
    assert lost_truth(split) == ""
    index = next(i for i in split.known if split.bags[i].anomalous)
    behind = split.evaluated_frames(index) + np.array([[1, 9, 0]])
    bags = list(split.bags)
    bags[index] = dataclasses.replace(bags[index], spans=behind)
    note = lost_truth(dataclasses.replace(split, bags=bags))
    assert note.startswith("Frame metrics take every frame of 1 anomalous video as normal")
    assert note.endswith(f": {bags[index].video_id}.")


def test_curves_over_videos_take_the_place_of_those_over_frames() -> None:
    split = without_truth(scored_split())
    content = page_content(split, outcomes(split, 0.5), measured(split), {})
    assert content["curves_over"] == "videos"
    assert content["curves"] == video_curves(split)
    assert content["curves"]["positive_share"] == 0.5


def test_the_score_axis_is_0_to_1_unless_a_score_lies_outside() -> None:
    split = scored_split()
    content = page_content(split, outcomes(split, 0.5), measured(split), {})
    assert content["score_range"] == [0, 1]
    results = [
        dataclasses.replace(result, scores=4 * result.scores - 1) for result in split.results
    ]
    wide = dataclasses.replace(split, results=results)
    low, high = page_content(wide, outcomes(wide, 0.5), measured(wide), {})["score_range"]
    assert low == min(result.scores.min() for result in results) < -0.9
    assert high == max(result.scores.max() for result in results) > 2


@pytest.mark.parametrize(
    ("kind", "count", "has_truth", "text"),
    [
        ("detected", 2, True, "Detected: 2 events {}; an event overlaps an annotated stretch."),
        (
            "detected",
            1,
            False,
            "Detected: 1 event {}; the video is anomalous; where is not annotated.",
        ),
        ("missed", 1, True, "Missed: 1 event {}; none overlaps an annotated stretch."),
        ("missed", 0, True, "Missed: no event {}; the video is anomalous."),
        ("false alarm", 1, True, "False alarm: 1 event {}; the video is normal."),
        ("quiet", 0, True, "Quiet: no event {}; right, the video is normal."),
    ],
)
def test_an_outcome_names_its_threshold(kind: str, count: int, has_truth: bool, text: str) -> None:
    alarm = {"threshold": 0.99995, "source": "1 % false alarms on val"}
    outcome = Outcome([Event(0, 16, 0, 0.9)] * count, kind, 0.1, 0.5)
    found = verdict(outcome, alarm, has_truth=has_truth)
    assert found == text.format("at the threshold 0.99995 (1 % false alarms on val)")
    none = verdict(outcome, {"threshold": None, "source": "no normal video"}, has_truth=True)
    assert none == "No event is shown: no normal video."
