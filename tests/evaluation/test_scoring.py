"""Whole videos in padded lengths: nothing changes but the speed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict

from refinevad_jax.data.bags import Bag
from refinevad_jax.data.batches import resample
from refinevad_jax.evaluation import scoring
from refinevad_jax.metrics.calibration import sigmoid
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import Outputs, create
from refinevad_jax.training import losses

CONFIG = ModelConfig((6,), 2, width=8, num_layers=1, num_heads=2, mlp_width=8, scorer_width=4)


def bag(length: int, num_crops: int, seed: int) -> Bag:
    features = np.random.default_rng(seed).normal(size=(num_crops, length, 6)).astype(np.float16)
    spans = np.zeros((0, 3), np.int32)
    return Bag(f"v{seed}", "x", np.zeros(2, bool), features, 16 * length, 0.0, spans, True)


@pytest.fixture(scope="module")
def model() -> tuple[nnx.GraphDef, dict]:
    return create(CONFIG, jax.random.key(0))


def direct(model: tuple[nnx.GraphDef, dict], features: np.ndarray) -> np.ndarray:
    """Scores [N, T] of crops at their own length."""
    graphdef, params = model
    forward = jax.jit(lambda p, x, v: nnx.merge(graphdef, p)(x, v).scores)
    return np.asarray(forward(params, np.float32(features), np.ones(features.shape[:2], bool)))


@pytest.mark.parametrize("num_segments", [0, 20])
def test_scores_are_those_of_each_video_alone(
    model: tuple[nnx.GraphDef, dict], num_segments: int
) -> None:
    bags = [bag(length, 2, seed) for seed, length in enumerate((3, 40, 33))]
    scorer = scoring.Scorer(model[0], pooling=scoring.Pooling("ranking", 16))
    finished: list[int] = []
    results = scorer(
        model[1],
        bags,
        columns=np.arange(6),
        num_segments=num_segments,
        progress=finished.append,
    )
    assert sum(finished) == len(bags)
    for video, result in zip(bags, results, strict=True):
        features = resample(video.features, num_segments) if num_segments else video.features
        expected = direct(model, features).mean(axis=0)
        assert result.scores.shape == (num_segments or video.num_segments,)
        np.testing.assert_allclose(result.scores, expected, atol=2e-3 if num_segments else 1e-5)
        k = len(expected) // 16 + 1
        np.testing.assert_allclose(
            result.video_score, np.sort(result.scores)[-k:].mean(), rtol=1e-5
        )


@pytest.mark.parametrize("mil", ["ranking", "bce"])
def test_a_video_is_scored_as_training_pools_it(mil: str) -> None:
    rng = np.random.default_rng(0)
    logits = np.float32(rng.normal(scale=3, size=(4, 40)))
    config = losses.LossConfig(mil, 1.0, 16, "mixture", 0, {})
    rule = scoring.Pooling.of(ConfigDict(vars(config)))

    @jax.jit
    def trained(logits: jax.Array) -> jax.Array:
        nothing = jnp.zeros(())
        scores = jax.nn.sigmoid(logits)
        outputs = Outputs(logits, scores, nothing, nothing, nothing, None, logits)
        return losses.video_scores(outputs, jnp.ones(logits.shape, bool), config)

    found = sigmoid(np.array([rule.video_logit(row) for row in logits]))
    np.testing.assert_allclose(found, trained(logits), rtol=1e-4)


def test_video_logits_by_hand() -> None:
    logits = np.log([1.0, 3.0, 1 / 3])  # scores 1/2, 3/4 and 1/4, of which two count
    mean = 5 / 8
    found = scoring.Pooling("ranking", 2).video_logit(logits)
    assert found == pytest.approx(np.log(mean / (1 - mean)))
    assert scoring.Pooling("bce", 2).video_logit(logits) == pytest.approx(np.log(3) / 2)
    high = scoring.Pooling("ranking", 1).video_logit(np.array([80.0, 90.0]))
    assert 80 < high <= 90  # the mean of scores that round to 1


def test_lengths_are_padded_to_few_sizes_by_at_most_a_third() -> None:
    lengths = {scoring.bucket_length(n) for n in range(1, 1000)}
    assert lengths == {32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024}
    assert all(n <= scoring.bucket_length(n) for n in range(1, 1000))
    assert all(2 * scoring.bucket_length(n) < 3 * n for n in range(33, 1000))
    days = range(16_385, 10**6, 997)
    assert all(n <= scoring.bucket_length(n) < 1.125 * n for n in days)
    assert len({scoring.bucket_length(n) for n in days}) <= 8 * 6
    assert scoring.bucket_length(16_384) == 16_384 and scoring.bucket_length(324_000) == 327_680


def test_one_array_shape_per_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SEGMENTS_PER_CALL", 128)
    bags = [bag(length, 3, length) for length in (5, 20, 31, 60, 64, 200)]
    rows = list(scoring.batched_rows(bags, 0))
    assert len({(row.length, row.num_rows) for row in rows}) == len({row.length for row in rows})
    lengths = [row.length for row in rows]
    assert lengths == sorted(lengths, reverse=True)  # the others compile while these run
    members = [member for row in rows for member in row.members]
    assert sorted(members) == [(video, crop) for video in range(6) for crop in range(3)]
    assert all(row.num_rows * row.length <= max(128, row.length) for row in rows)
