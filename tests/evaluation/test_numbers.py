"""mAP@IoU of a whole split, by both rules and under every convention."""

import dataclasses

import numpy as np
import pytest

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from refinevad_jax.data.bags import Bag, BagsInfo, Modality
from refinevad_jax.evaluation.numbers import localization_metrics
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores
from tests.metrics.test_legacy_localization import published_report

LENGTH = 20


def video(name: str, category: int, segments: tuple[int, int], num_categories: int) -> tuple:
    """A video of 20 segments whose scores and categories are perfect."""
    labels = np.arange(num_categories) == category
    start, end = segments
    spans = np.array([[16 * start, 16 * end, category]] if category >= 0 else [], np.int32)
    scores = np.zeros(LENGTH, np.float32)
    if category >= 0:
        scores[start:end] = 1
    features = np.zeros((1, LENGTH, 4), np.float16)
    bag = Bag(name, "x", labels, features, 16 * LENGTH, 0.0, spans.reshape(-1, 3), True)
    probs = labels.astype(np.float32)
    return bag, VideoScores(scores, float(scores.max()), probs, probs, np.zeros_like(scores))


def perfect(taxonomy, *, whole: bool) -> ScoredSplit:
    """Every category once, and two normal videos; the first covers its whole video if asked for."""
    size = taxonomy.num_categories
    videos = [
        video(f"v{c}", c, (0, LENGTH) if whole and not c else (3, 9), size) for c in range(size)
    ]
    videos += [video(f"n{i}", -1, (0, 0), size) for i in range(2)]
    bags, results = zip(*videos, strict=True)
    info = BagsInfo("own", taxonomy, (Modality("visual", 4),))
    return ScoredSplit(info, list(bags), list(results), False)


def test_perfect_detectors_reach_the_ceilings_of_the_published_rule_and_all_of_ours() -> None:
    found = localization_metrics(perfect(UCF_CRIME, whole=False))
    assert found["legacy"]["legacy"]["mean"] == pytest.approx(13 / 14)
    assert found["legacy"]["anomaly"]["mean"] == pytest.approx(1)
    assert found["proposals"]["anomaly"]["mean"] == pytest.approx(1)
    assert found["proposals"]["anomaly"]["high"] == pytest.approx(1)
    assert found["proposals"]["legacy"]["mean"] == pytest.approx(13 / 14)
    assert found["proposals"]["class_agnostic"]["mean"] == pytest.approx(1)


def test_a_video_that_is_anomalous_from_end_to_end_is_lost_by_the_published_rule_only() -> None:
    found = localization_metrics(perfect(XD_VIOLENCE, whole=True))
    assert found["legacy"]["anomaly"]["mean"] == pytest.approx(5 / 6)
    assert found["proposals"]["anomaly"]["mean"] == pytest.approx(1)
    # Normal videos are annotated there, and flat: where every column of one is, it is lost.
    assert found["legacy"]["legacy"]["mean"] < found["proposals"]["legacy"]["mean"]


@pytest.mark.parametrize("taxonomy", [UCF_CRIME, XD_VIOLENCE])
def test_the_published_numbers_are_those_of_the_published_evaluator(taxonomy) -> None:
    rng = np.random.default_rng(0)
    split = perfect(taxonomy, whole=False)
    noisy = [
        dataclasses.replace(
            result,
            scores=rng.random(LENGTH).astype(np.float32),
            category_probs=rng.random(taxonomy.num_categories).astype(np.float32),
        )
        for result in split.results
    ]
    split = dataclasses.replace(split, results=noisy)
    expected = published_report(
        [split.category_map(i) for i in range(len(noisy))],
        [bag.spans for bag in split.bags],
        anomalous=split.arrays.anomalous,
        normal_has_truth=taxonomy is XD_VIOLENCE,
    )
    found = localization_metrics(split)["legacy"]
    for name in expected.keys() - {"per_category"}:
        assert found[name]["at"] == expected[name].tolist()
    assert [row["at"] for row in found["per_category"]] == expected["per_category"].tolist()


def test_resampled_scores_give_the_numbers_of_their_frames() -> None:
    split = perfect(UCF_CRIME, whole=False)
    twice = [
        dataclasses.replace(result, scores=np.repeat(result.scores, 2)) for result in split.results
    ]
    resampled = dataclasses.replace(split, results=twice, resampled=True)
    for rule in ("legacy", "proposals"):
        expected, found = (localization_metrics(s)[rule]["anomaly"] for s in (split, resampled))
        assert found["mean"] == pytest.approx(expected["mean"])


def test_spans_without_a_category_leave_the_place_alone() -> None:
    split = perfect(UCF_CRIME, whole=False)
    split.bags[3].spans[0, 2] = -1
    found = localization_metrics(split)
    assert found["no_categories"].startswith("1 videos have annotated spans without a category, v3")
    assert set(found["legacy"]) == {"class_agnostic"}
    assert found["proposals"]["class_agnostic"]["mean"] == pytest.approx(1)
    unnamed = [dataclasses.replace(r, category_probs=np.zeros(0)) for r in split.results]
    without = dataclasses.replace(split, results=unnamed)
    assert localization_metrics(without)["no_categories"] == "the scores name no category"
