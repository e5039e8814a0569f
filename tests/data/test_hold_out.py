"""The held-out part of a training list: by label, in whole recordings, never all of a category."""

import numpy as np
import pytest

from refinevad_jax.data.bags import Bag
from refinevad_jax.data.hold_out import faults, hold_out

CATEGORIES = "abc"


def bag(name: str, label: str, recording: str = "") -> Bag:
    """A video; label: categories joined by +, or Normal."""
    labels = np.array([one in label.split("+") for one in CATEGORIES])
    features, spans = np.ones((1, 5, 4), np.float16), np.zeros((0, 3), np.int32)
    return Bag(name, label, labels, features, 80, 0.0, spans, has_truth=False, recording=recording)


def bags(num_normal: int, num_anomalous: int) -> list[Bag]:
    return [bag(f"n{i}", "Normal") for i in range(num_normal)] + [
        bag(f"x{i}", "ab"[i % 2]) for i in range(num_anomalous)
    ]


def cameras(num: int, size: int, label: str, first: int = 0) -> list[Bag]:
    """num cameras with size videos each."""
    return [
        bag(f"{label}{camera}_{i}", label, f"{camera}")
        for camera in range(first, first + num)
        for i in range(size)
    ]


def test_it_is_stratified_and_a_function_of_seed_and_ids() -> None:
    videos = bags(40, 40)
    held = hold_out(videos, 0.1, seed=0)
    assert sum(bag.video_id in held for bag in videos if bag.label == "Normal") == 4
    assert sum(bag.video_id in held for bag in videos if bag.label == "a") == 2
    assert len(held) == 8
    assert hold_out(videos[::-1], 0.1, seed=0) == held
    assert hold_out(videos, 0.1, seed=1) != held


def test_a_small_list_gives_one_of_each_kind() -> None:
    videos = bags(3, 4)
    held = hold_out(videos, 0.1, seed=0)
    assert sorted(bag.anomalous for bag in videos if bag.video_id in held) == [False, True]
    assert not faults(videos, held)


@pytest.mark.parametrize(
    ("videos", "fraction"),
    [
        (cameras(10, 20, "Normal") + cameras(10, 5, "a"), 0.1),  # of ShanghaiTech's kind
        (cameras(30, 4, "Normal") + cameras(20, 3, "b", 50) + bags(20, 10), 0.1),  # films
        (cameras(7, 3, "Normal") + cameras(7, 3, "a", 3) + cameras(2, 9, "b", 20), 0.2),
    ],
)
def test_no_recording_is_on_both_sides(videos: list[Bag], fraction: float) -> None:
    held = hold_out(videos, fraction, seed=0)
    assert hold_out(videos[::-1], fraction, seed=5) == held  # recordings differ in size
    trained = {bag.recording for bag in videos if bag.video_id not in held} - {""}
    assert not trained & {bag.recording for bag in videos if bag.video_id in held}
    assert not faults(videos, held)
    for label in {bag.label for bag in videos}:
        share = np.mean([bag.video_id in held for bag in videos if bag.label == label])
        assert abs(share - fraction) <= 0.15 if label != "b" else share < 1
    kinds = {bag.anomalous for bag in videos if bag.video_id in held}
    assert kinds == {False, True}


def test_a_category_of_one_recording_stays_in_training() -> None:
    videos = cameras(10, 2, "Normal") + cameras(1, 2, "a", 20) + bags(0, 8) + [bag("m", "b+c")]
    for fraction in (0.1, 0.3, 0.5):
        held = hold_out(videos, fraction, seed=0)
        trained = np.any([bag.labels for bag in videos if bag.video_id not in held], axis=0)
        np.testing.assert_array_equal(trained, [True, True, True])
        assert not faults(videos, held)


@pytest.mark.parametrize("seed", range(4))
def test_the_only_video_of_a_category_is_not_taken_while_there_is_another(seed: int) -> None:
    videos = [*bags(5, 0), bag("only", "a"), bag("b0", "b"), bag("b1", "b")]
    held = hold_out(videos, 0.1, seed)
    assert "only" not in held
    assert held & {"b0", "b1"}


def test_a_hold_out_that_cannot_be_good_is_made_and_named() -> None:
    videos = [*bags(5, 0), bag("x", "a"), bag("y", "b")]
    (fault,) = faults(videos, hold_out(videos, 0.1, seed=0))
    assert "is the only one of" in fault
    assert "selection_split" in fault
    one_camera = cameras(1, 12, "Normal") + cameras(1, 8, "a")
    held = hold_out(one_camera, 0.25, seed=0)
    assert sum(bag.anomalous for bag in one_camera if bag.video_id in held) == 2
    assert len(held) == 5  # a quarter of each
    (fault,) = faults(one_camera, held)
    assert fault.startswith("recording '0' is trained on, and 5 of its videos are held out")


def test_one_video_of_a_kind_stays_in_training() -> None:
    assert hold_out([bag("n", "Normal"), bag("x", "a")], 0.5, seed=0) == frozenset()
