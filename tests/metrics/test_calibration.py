"""Platt scaling, Brier score and reliability: hand values, properties, agreement."""

import math

import numpy as np
import pytest

from refinevad_jax.metrics.calibration import (
    brier_score,
    log_odds_of_mean,
    platt_scaling,
    reliability,
    sigmoid,
)


def test_the_logit_of_a_mean_score_does_not_saturate() -> None:
    logits = np.array([[0.5, -3.0, 40.0], [1.5, 2.0, 42.0]])
    mean = sigmoid(logits).mean(axis=0)
    found = log_odds_of_mean(logits)
    np.testing.assert_allclose(found[:2], np.log(mean[:2] / (1 - mean[:2])), rtol=1e-12)
    assert 40 < found[2] < 42 and mean[2] == 1
    np.testing.assert_allclose(log_odds_of_mean(logits[:1]), logits[0], rtol=1e-12)
    assert sigmoid(np.array([-1e4, 0, 1e4])).tolist() == [0, 0.5, 1]


def test_platt_scaling_by_hand() -> None:
    """Two logits: the targets 3/4 and 1/4 of 2 anomalous and 2 normal videos are met exactly."""
    slope, offset = platt_scaling(np.array([5.0, 5, 3, 3]), np.array([True, True, False, False]))
    assert slope * 5 + offset == pytest.approx(math.log(3))
    assert slope * 3 + offset == pytest.approx(-math.log(3))


def test_platt_scaling_is_logistic_regression_on_its_targets() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", reason="pip install scikit-learn")
    rng = np.random.default_rng(0)
    anomalous = np.arange(60) < 25
    logits = rng.normal(size=60) * 9 + 6 * anomalous + 4
    target = np.where(anomalous, 26 / 27, 1 / 37)
    model = linear_model.LogisticRegression(C=1e10, tol=1e-10, max_iter=10_000)
    both = np.concatenate([logits, logits])[:, None]
    labels = np.arange(120) < 60
    model.fit(both, labels, sample_weight=np.concatenate([target, 1 - target]))
    slope, offset = platt_scaling(logits, anomalous)
    assert slope == pytest.approx(model.coef_[0, 0], rel=1e-4)
    assert offset == pytest.approx(model.intercept_[0], rel=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_separable_and_odd_videos_have_a_finite_calibration(scale: float) -> None:
    rng = np.random.default_rng(1)
    anomalous = np.arange(30) % 3 == 0
    logits = scale * (rng.uniform(0, 1, 30) + 2 * anomalous)
    slope, offset = platt_scaling(logits, anomalous)
    scores = sigmoid(slope * logits + offset)
    assert slope > 0 and 0.01 < scores.min() < 0.2 and 0.8 < scores.max() < 0.999
    logits[0] = 1e3 * scale  # far away from the others
    slope, offset = platt_scaling(logits, anomalous)
    assert 0 < slope < math.inf and math.isfinite(offset)
    assert platt_scaling(-logits, anomalous)[0] < 0
    with pytest.raises(ValueError, match="all logits are equal"):
        platt_scaling(np.ones(4), np.array([True, False, True, False]))


def test_brier_score_and_reliability_by_hand() -> None:
    scores, anomalous = np.array([0.0, 0.04, 0.95, 1.0]), np.array([False, True, True, True])
    assert brier_score(scores, anomalous) == pytest.approx((0.96**2 + 0.05**2) / 4)
    rows = reliability(scores, anomalous)
    assert [row["num_videos"] for row in rows] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert rows[0]["mean_score"] == pytest.approx(0.02) and rows[0]["anomalous_share"] == 0.5
    assert rows[9]["mean_score"] == pytest.approx(0.975) and rows[9]["anomalous_share"] == 1
    assert (rows[9]["low"], rows[9]["high"]) == (0.9, 1.0) and math.isnan(rows[1]["mean_score"])
    assert math.isnan(brier_score(np.zeros(0), np.zeros(0)))
