"""Folds of a training list: whole recordings, labels spread, shared segments found."""

import collections
import dataclasses

import numpy as np

from refinevad_jax.data.bags import Bag
from refinevad_jax.data.folds import make_folds, recordings_of


def bag(number: int, label: str, recording: str = "") -> Bag:
    rng = np.random.default_rng(number)
    return Bag(
        video_id=f"v{number}",
        label=label,
        labels=np.array([label == "a", label == "b"]),
        features=rng.normal(size=(1, 6, 4)).astype(np.float16),
        num_frames=96,
        fps=0.0,
        spans=np.zeros((0, 3), np.int32),
        has_truth=False,
        recording=recording,
    )


def test_every_label_is_spread_over_the_folds() -> None:
    bags = [bag(i, ("Normal", "a", "Normal", "b")[i % 4]) for i in range(40)]
    folds = make_folds(bags, recordings_of(bags), 5, seed=0)
    for label, each in (("Normal", 4), ("a", 2), ("b", 2)):
        counts = collections.Counter(
            int(fold) for fold, one in zip(folds, bags, strict=True) if one.label == label
        )
        assert counts == dict.fromkeys(range(5), each)
    assert (make_folds(bags, recordings_of(bags), 5, seed=0) == folds).all()
    assert (make_folds(bags, recordings_of(bags), 5, seed=1) != folds).any()


def test_a_recording_lies_in_one_fold() -> None:
    bags = [bag(i, ("Normal", "a")[i % 2], f"film{i // 7}") for i in range(42)]
    folds = make_folds(bags, recordings_of(bags), 3, seed=0)
    of_films = [set(folds[i : i + 7].tolist()) for i in range(0, 42, 7)]
    assert all(len(found) == 1 for found in of_films)
    assert sorted(collections.Counter(next(iter(one)) for one in of_films).values()) == [2, 2, 2]


def test_videos_that_share_segments_are_one_recording() -> None:
    one, other, third, fourth = (bag(i, "a") for i in range(4))
    # More than half of the shorter one's segments; a segment without evidence does not count.
    features = other.features.copy()
    features[0, :4] = one.features[0, 2:]
    other = dataclasses.replace(other, features=features)
    zeros = [
        dataclasses.replace(b, features=np.pad(b.features, ((0, 0), (0, 9), (0, 0))))
        for b in (third, fourth)
    ]
    names = recordings_of([one, other, *zeros])
    assert names[0] == names[1]
    assert len(set(names)) == 3
    features[0, 0] += 1  # half of them
    assert len(set(recordings_of([one, dataclasses.replace(other, features=features)]))) == 2
