"""t-SNE keeps neighbours together, and is the same every time."""

import dataclasses

import numpy as np
import pytest

from refinevad_jax.evaluation.outcomes import outcomes
from refinevad_jax.evaluation.page_content import page_content, project
from tests.report.test_page import scored_split

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def test_videos_lie_near_the_prototype_that_they_are_made_of() -> None:
    rng = np.random.default_rng(0)
    prototypes = rng.normal(size=(4, 8))
    weights = np.eye(4)[np.arange(40) % 4] + rng.uniform(0, 0.02, (40, 4))
    places = project(prototypes, weights)
    assert places is not None
    assert places.shape == (44, 2)
    distance = np.linalg.norm(places[4:, None] - places[None, :4], axis=2)
    assert np.mean(distance.argmin(axis=1) == np.arange(40) % 4) > 0.95
    np.testing.assert_array_equal(places, project(prototypes, weights))


def test_too_few_points_have_no_picture() -> None:
    assert project(np.ones((2, 3)), np.ones((1, 2))) is None
    split = scored_split()
    small = dataclasses.replace(split, bags=split.bags[:1], results=split.results[:1])
    reason = page_content(small, outcomes(small, 0.5), {}, {})["projection"]["reason"]
    assert reason == "t-SNE needs 5 categories and videos or more"
