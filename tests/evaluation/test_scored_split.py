"""A split is stored and read without a loss; arrays that do not fit together are refused."""

import dataclasses

import numpy as np
import pytest

from refinevad_jax.evaluation.scored_split import stored_arrays, stored_split
from tests.report.test_page import scored_split

METRICS = {"dataset": "d", "frames_per_segment": 16, "category_accuracy": 0.5}


@pytest.mark.parametrize("given", [False, True])
def test_a_stored_split_has_the_arrays_of_the_one_it_was_made_of(given: bool) -> None:
    split = scored_split()
    if given:
        maps = [split.category_map(index) for index in range(len(split.bags))]
        split = dataclasses.replace(split, category_maps=maps)
    stored = stored_split(METRICS, stored_arrays(split))
    assert [bag.video_id for bag in stored.bags] == [bag.video_id for bag in split.bags]
    for field in dataclasses.fields(split.arrays):
        one, other = (getattr(s.arrays, field.name) for s in (split, stored))
        np.testing.assert_array_equal(one, other, err_msg=field.name)
    for index in (0, 3):
        assert stored.evaluated_frames(index) == split.evaluated_frames(index)
        np.testing.assert_array_equal(stored.category_map(index), split.category_map(index))
    assert (stored.category_maps is not None) == given


def test_without_categories_their_arrays_are_zero() -> None:
    arrays = stored_arrays(dataclasses.replace(scored_split(), has_categories=False))
    assert arrays["category_probs"].shape == arrays["category_weights"].shape == (40, 2)
    assert not arrays["category_probs"].any() and not arrays["category_weights"].any()
    stored = stored_split(METRICS | {"category_accuracy": None}, arrays)
    assert stored.arrays.category_probs.shape == (40, 0)


@pytest.mark.parametrize(
    "damage",
    [
        {"offsets": np.zeros(2)},
        {"labels": np.zeros((40, 1), bool)},
        {"scores": np.zeros(2, np.float32)},
        {"video_ids": np.array("v")},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(damage: dict[str, np.ndarray]) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        stored_split(METRICS, stored_arrays(scored_split()) | damage)
