"""A split is stored and read without a loss; arrays that do not fit together are refused."""

import dataclasses

import numpy as np
import pytest

from refinevad_jax.evaluation.scored_split import stored_arrays, stored_split
from tests.report.test_page import scored_split

METRICS = {"dataset": "d", "frames_per_segment": 16}


@pytest.mark.parametrize("given", [False, True])
def test_a_stored_split_has_the_arrays_of_the_one_it_was_made_of(given: bool) -> None:
    split = scored_split()
    if given:
        results = [
            dataclasses.replace(result, category_map=split.category_map(index))
            for index, result in enumerate(split.results)
        ]
        split = dataclasses.replace(split, results=results)
    stored = stored_split(METRICS, stored_arrays(split))
    assert [bag.video_id for bag in stored.bags] == [bag.video_id for bag in split.bags]
    for field in dataclasses.fields(split.arrays):
        one, other = (getattr(s.arrays, field.name) for s in (split, stored))
        np.testing.assert_array_equal(one, other, err_msg=field.name)
    for index in (0, 3):
        assert stored.evaluated_frames(index) == split.evaluated_frames(index)
        np.testing.assert_array_equal(stored.category_map(index), split.category_map(index))
        assert (stored.results[index].category_map is not None) == given


def test_without_categories_their_arrays_are_empty() -> None:
    split, none = scored_split(), np.zeros(0)
    results = [
        dataclasses.replace(result, category_probs=none, category_weights=none)
        for result in split.results
    ]
    arrays = stored_arrays(dataclasses.replace(split, results=results))
    assert arrays["category_probs"].shape == arrays["category_weights"].shape == (40, 0)
    stored = stored_split(METRICS, arrays)
    assert stored.arrays.category_probs.shape == (40, 0) and not stored.has_categories


def test_categories_of_normal_videos_alone_are_read_again() -> None:
    split = scored_split()
    bags = [dataclasses.replace(bag, labels=np.zeros(2, bool)) for bag in split.bags]
    stored = stored_split(METRICS, stored_arrays(dataclasses.replace(split, bags=bags)))
    assert stored.has_categories


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
