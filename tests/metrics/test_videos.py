import math

import numpy as np
import pytest
import sklearn.metrics

from refinevad_jax.metrics.videos import (
    category_accuracy,
    category_average_precisions,
    category_mean_average_precision,
)

PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
LABELS = np.array([[1, 0, 0], [0, 1, 1], [0, 1, 0], [0, 0, 0]], bool)


def test_accuracy_counts_anomalous_videos_and_any_of_their_labels():
    assert category_accuracy(PROBS, LABELS) == pytest.approx(2 / 3)


def test_accuracy_without_anomalous_videos_is_nan():
    assert math.isnan(category_accuracy(PROBS, np.zeros_like(LABELS)))


def test_mean_average_precision_by_hand():
    # Category 0 ranks its video first; 1 has videos 2 and 1 on top; 2 ties videos 1 and 3.
    values = category_average_precisions(PROBS, LABELS)
    np.testing.assert_allclose(values, [1, 1, 0.5])
    assert category_mean_average_precision(PROBS, LABELS) == pytest.approx(2.5 / 3)


def test_mean_average_precision_equals_scikit_learn():
    rng = np.random.default_rng(0)
    probs = rng.integers(0, 8, (60, 5)) / 8
    labels = rng.random((60, 5)) < 0.3
    expected = sklearn.metrics.average_precision_score(labels, probs, average="macro")
    assert category_mean_average_precision(probs, labels) == pytest.approx(expected)


def test_category_without_a_video_is_left_out_of_the_mean():
    labels = LABELS.copy()
    labels[:, 2] = False
    assert np.isnan(category_average_precisions(PROBS, labels)[2])
    assert category_mean_average_precision(PROBS, labels) == 1.0
    assert math.isnan(category_mean_average_precision(PROBS, labels & False))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"must be \[V, C\]"):
        category_accuracy(PROBS[:, :2], LABELS)
    with pytest.raises(ValueError, match="video 2: NaN"):
        probs = PROBS.copy()
        probs[2, 1] = np.nan
        category_accuracy(probs, LABELS)
