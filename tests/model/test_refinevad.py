"""Properties of the whole network: masks, order, labels, gradients, every configuration."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from refinevad_jax import config as config_lib
from refinevad_jax.model import core
from refinevad_jax.model.fast import Linear
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import Outputs, RefineVAD, abstract, create
from refinevad_jax.model.temporal_encoder import Attention, masked_attention
from refinevad_jax.training import losses

SMALL = ModelConfig(
    modality_widths=(16, 8),
    num_categories=3,
    width=16,
    num_layers=1,
    num_heads=2,
    mlp_width=32,
    dropout=0.3,
    scorer_width=8,
)
LOSS = losses.LossConfig.of(config_lib.default().loss.to_dict())


def initial(**changes: Any) -> tuple[nnx.GraphDef[RefineVAD], Any]:
    """A network and its parameters before training."""
    return create(dataclasses.replace(SMALL, **changes), jax.random.key(0))


@functools.cache
def parts(**changes: Any) -> tuple[nnx.GraphDef[RefineVAD], Any]:
    """A network and made-up parameters: all act, and nothing is compiled for them."""
    graphdef, shapes = abstract(dataclasses.replace(SMALL, **changes))
    rng = np.random.default_rng(0)

    def draw(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        fan_in = leaf.shape[0] if len(leaf.shape) > 1 else 4
        return (rng.normal(size=leaf.shape) / np.sqrt(fan_in)).astype(leaf.dtype)

    return graphdef, jax.tree.map(draw, shapes)


def make(**changes: Any) -> Callable[..., Outputs]:
    """The network as a compiled function of features, valid, labels and a dropout key."""
    graphdef, params = parts(**changes)
    return functools.partial(apply, graphdef, params)


@functools.partial(jax.jit, static_argnums=0)
def apply(
    graphdef: nnx.GraphDef[RefineVAD],
    params: Any,
    features: jax.Array,
    valid: jax.Array,
    labels: jax.Array | None = None,
    dropout: jax.Array | None = None,
) -> Outputs:
    rngs = None if dropout is None else nnx.Rngs(dropout=dropout)
    return nnx.merge(graphdef, params)(features, valid, injected_labels=labels, rngs=rngs)


def bags(lengths: list[int], total: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(len(lengths), total, SMALL.num_channels)).astype(np.float32)
    valid = np.arange(total)[None] < np.array(lengths)[:, None]
    return features, valid


def per_segment(outputs: Outputs) -> tuple[jax.Array, ...]:
    attention = () if outputs.core is None else (outputs.core.coarse_attention,)
    return (outputs.scores, outputs.shift_ratio, *attention)


def core_of(outputs: Outputs) -> core.CoreOutputs:
    assert outputs.core is not None
    return outputs.core


# What one part does with padding shows beside the others: each configuration has several.
CONFIGURATIONS = {
    "full": {},
    "base": {"injection": "none", "shift": "none", "num_layers": 0},
    "constant shift, segment query, tau": {
        "shift": "constant",
        "attention_query": "segment",
        "tau": 0.2,
    },
    "dead gate, hard injection, folding 2": {"shift": "dead", "injection": "hard", "folding": 2},
    "categories of the features, folding 8": {
        "category_input": "features",
        "folding": 8,
    },
    "no shift, smoothed scores": {"shift": "none", "score_smoothing": 0.1},
    "smoothed scores, no categories": {"score_smoothing": 0.1, "injection": "none"},
    "centred scores": {"score_smoothing": 0.1, "score_centering": 0.5},
}


@pytest.mark.parametrize("changes", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_padding_changes_nothing(changes: dict[str, Any]) -> None:
    model = make(**changes)
    features, valid = bags([7, 4], 7)
    short = model(features, valid)
    longer = np.pad(features, ((0, 0), (0, 9), (0, 0)), constant_values=5.0)
    padded = model(longer, np.pad(valid, ((0, 0), (0, 9))))
    for a, b in zip(per_segment(short), per_segment(padded), strict=True):
        for row, length in enumerate((7, 4)):
            np.testing.assert_allclose(a[row, :length], b[row, :length], atol=2e-6)
            assert not np.asarray(b[row, length:]).any()
    if short.core is None:
        assert padded.core is None
    else:
        probs = core_of(padded).category_probs
        np.testing.assert_allclose(short.core.category_probs, probs, atol=2e-6)


def test_masked_equals_sliced() -> None:
    model = make()
    features, valid = bags([6, 3], 6)
    both = model(features, valid)
    alone = model(features[1:, :3], valid[1:, :3])
    np.testing.assert_allclose(both.scores[1, :3], alone.scores[0], atol=2e-6)
    np.testing.assert_allclose(
        core_of(both).category_probs[1], core_of(alone).category_probs[0], atol=2e-6
    )


def test_permuting_the_batch_permutes_the_output() -> None:
    model = make()
    features, valid = bags([6, 3, 5], 6)
    order = np.array([2, 0, 1])
    outputs, permuted = model(features, valid), model(features[order], valid[order])
    np.testing.assert_allclose(outputs.scores[order], permuted.scores, atol=2e-6)
    np.testing.assert_allclose(
        core_of(outputs).category_weights[order], core_of(permuted).category_weights, atol=2e-6
    )


def test_long_videos_are_attended_in_blocks_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query, key, value = jax.random.normal(jax.random.key(0), (3, 2, 50, 2, 4))
    valid = jnp.arange(50)[None] < jnp.array([[50], [23]])
    whole = masked_attention(query, key, value, valid)
    monkeypatch.setattr("refinevad_jax.model.temporal_encoder.LONGEST_WHOLE", 16)
    monkeypatch.setattr("refinevad_jax.model.temporal_encoder.SHORTEST_BLOCK", 12)
    blocks = masked_attention(query, key, value, valid)
    np.testing.assert_allclose(whole, blocks, atol=2e-6)


@pytest.mark.parametrize("training", [False, True])
def test_memory_of_long_videos_does_not_grow_with_the_square(
    training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the compiled program: four times the segments, four times the memory."""
    monkeypatch.setattr("refinevad_jax.model.temporal_encoder.LONGEST_WHOLE", 32)
    monkeypatch.setattr("refinevad_jax.model.temporal_encoder.SHORTEST_BLOCK", 8)

    def scratch(length: int) -> int:
        def total(query: jax.Array) -> jax.Array:
            valid = jnp.ones((1, length), bool)
            return masked_attention(query, query, query, valid).sum()

        function = jax.grad(total) if training else total
        query = jax.ShapeDtypeStruct((1, length, 2, 4), jnp.float32)
        return jax.jit(function).lower(query).compile().memory_analysis().temp_size_in_bytes

    assert 2 < scratch(1024) / scratch(256) < 6


def test_one_query_needs_no_keys_and_values_of_every_segment() -> None:
    """The same values and gradients as attention of two queries, of which one is looked at."""
    attention, rest = nnx.split(Attention(16, 2, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(0)
    query = rng.normal(size=(3, 1, 16)).astype(np.float32)
    sequence = rng.normal(size=(3, 9, 16)).astype(np.float32)
    valid = np.arange(9)[None] < np.array([[9], [4], [1]])
    rest["key_value"]["bias"][...] = jnp.asarray(rng.normal(size=32), jnp.float32)

    def loss(arrays: Any, copies: int) -> jax.Array:
        rest, query, sequence = arrays
        queries = jnp.repeat(query, copies, axis=1)
        return jnp.sin(3 * nnx.merge(attention, rest)(queries, sequence, valid)[:, 0]).sum()

    both = jax.jit(lambda arrays: [jax.value_and_grad(loss)(arrays, n) for n in (1, 2)])
    found, expected = both((rest, query, sequence))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), found, expected
    )


def test_the_weights_of_attention_are_those_of_its_output() -> None:
    rng = np.random.default_rng(0)
    query, sequence = (rng.normal(size=(2, n, 16)).astype(np.float32) for n in (3, 5))
    valid = np.arange(5)[None] < np.array([[5], [2]])

    @jax.jit
    def both() -> tuple[jax.Array, jax.Array, jax.Array]:
        attention = Attention(16, 2, rngs=nnx.Rngs(0))
        weights = attention.weights(query, sequence, valid)
        value = jnp.split(attention.key_value(sequence), 2, axis=-1)[1].reshape(2, 5, 2, 8)
        mixed = jnp.einsum("bnqt,btnd->bqnd", weights, value).reshape(query.shape)
        return weights, attention.output(mixed), attention(query, sequence, valid)

    weights, expected, found = both()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    assert not weights[1, :, :, 2:].any()


def test_before_training_no_video_has_a_category_nor_a_place_for_it() -> None:
    """L_GMM would else begin by raising the scores of normal videos."""
    features, valid = bags([12, 5], 12)
    found = core_of(apply(*initial(), features, valid))
    assert float(found.category_probs.max()) < 0.15
    assert float(found.mixture_target(valid).mean()) < 0.05


@pytest.mark.parametrize(("layer", "transposes"), [(Linear, 0), (nnx.Linear, 1)])
def test_the_gradient_of_a_linear_layer_transposes_nothing(
    layer: type[nnx.Linear], transposes: int
) -> None:
    graphdef, state = nnx.split(layer(16, 8, rngs=nnx.Rngs(0)))

    def total(state: Any, x: jax.Array) -> jax.Array:
        return (nnx.merge(graphdef, state)(x) ** 2).sum()

    gradient = jax.jit(jax.grad(total, argnums=(0, 1))).lower(state, jnp.ones((4, 6, 16)))
    assert gradient.compile().as_text().count(" transpose(") == transposes


@pytest.mark.parametrize("attention_query", ["video", "segment"])
def test_changing_v_changes_the_scores(attention_query: str) -> None:
    graphdef, params = parts(attention_query=attention_query)
    features, valid = bags([8, 5], 8)
    before = apply(graphdef, params, features, valid).scores
    new = params["core"] | {"prototypes": params["core"]["prototypes"][::-1] * 3.0}
    changed = params | {"core": new}
    after = apply(graphdef, changed, features, valid).scores
    assert float(jnp.abs(before - after)[:, :5].min()) > 1e-6


def test_label_embedding_is_the_mean_of_the_labelled_prototypes_and_absent_at_test() -> None:
    model = make()
    features, valid = bags([8, 8, 8], 8)
    labels = np.array([[False, False, False], [True, False, False], [True, False, True]])
    free = model(features, valid)
    given = model(features, valid, labels)
    added = core_of(given).category_feature - core_of(free).category_feature
    prototypes = parts()[1]["core"]["prototypes"]
    np.testing.assert_allclose(added[0], jnp.zeros(16), atol=1e-6)
    np.testing.assert_allclose(added[1], prototypes[0], atol=1e-6)
    np.testing.assert_allclose(added[2], (prototypes[0] + prototypes[2]) / 2, atol=1e-6)
    # What is reported as w is the model's own evidence, with or without labels.
    np.testing.assert_array_equal(core_of(given).category_weights, core_of(free).category_weights)
    np.testing.assert_array_equal(given.scores[0], free.scores[0])
    assert float(jnp.abs(given.scores[1:] - free.scores[1:]).max()) > 1e-6


def test_category_weights_hand_values() -> None:
    sure = jnp.array([[1.0] + [0.0] * 12])
    cap = np.e / (np.e + 12)
    np.testing.assert_allclose(core.category_weights(sure, 1.0)[0, 0], cap, rtol=1e-5)
    np.testing.assert_allclose(cap, 0.185, atol=5e-4)
    np.testing.assert_allclose(core.category_weights(sure, 0.2)[0, 0], 0.925, atol=5e-4)
    np.testing.assert_array_equal(core.hard_weights(jnp.array([[0.2, 0.7, 0.1]])), [[0, 1, 0]])


def test_without_core_there_is_none() -> None:
    graphdef, params = parts(injection="none")
    assert "core" not in params
    outputs = apply(graphdef, params, *bags([5], 5))
    assert outputs.core is None
    assert sorted(outputs.readout()) == ["logits", "scores", "shift_ratio"]


@pytest.mark.parametrize("changes", [{}, {"category_input": "features", "score_smoothing": 0.1}])
def test_empty_bag_gives_finite_zeros(changes: dict[str, Any]) -> None:
    outputs = make(**changes)(*bags([0, 5], 5))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(outputs))
    assert not np.asarray(outputs.scores[0]).any()
    assert not np.asarray(core_of(outputs).video_vector[0]).any()


def test_categories_of_the_features_leave_the_encoder_to_the_scorer() -> None:
    graphdef, params = parts(category_input="features")
    features, valid = bags([9, 9], 9)

    @jax.jit
    @jax.grad
    def gradient(params: Any) -> jax.Array:
        return core_of(apply(graphdef, params, features, valid)).category_logits.sum()

    found = gradient(params)
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(found["motar"]["encoder"]))
    assert all(np.asarray(leaf).any() for leaf in jax.tree.leaves(found["core"]["category_input"]))


def test_segments_without_evidence_stay_finite_with_finite_gradients() -> None:
    graphdef, params = parts()
    features, valid = bags([6, 6], 6)
    features[:, 2:4] = 0.0

    @jax.jit
    @jax.grad
    def gradient(params: Any) -> jax.Array:
        return apply(graphdef, params, features, valid).logits.sum()

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(params)))


@pytest.mark.parametrize(
    "changes",
    [
        {"attention_query": "video"},
        {"attention_query": "segment", "category_input": "features", "score_smoothing": 0.05},
        {"score_smoothing": 0.05, "score_centering": 0.4},
    ],
    ids=["plain", "features", "centred"],
)
def test_the_first_step_reaches_every_parameter(changes: dict[str, Any]) -> None:
    graphdef, params = initial(**changes)
    features, valid = bags([20] * 8, 20)
    labels = np.zeros((8, 3), bool)
    labels[[4, 5, 6, 7], [0, 1, 2, 2]] = True

    @jax.jit
    @jax.grad
    def gradient_of(params: Any) -> jax.Array:
        outputs = apply(graphdef, params, features, valid, labels)
        return losses.total_loss(losses.loss_terms(outputs, labels, valid, LOSS), LOSS)

    gradient = gradient_of(params)
    # Hidden units of the gate may be off on this input, a whole matrix may not.
    dead = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)
        if not np.asarray(leaf).any()
    ]
    assert not dead
    assert float(jnp.abs(gradient["motar"]["gate"]["w1"]["kernel"]).max()) > 1e-8


def test_the_dead_gate_gets_no_gradient() -> None:
    graphdef, params = parts(shift="dead")

    @jax.jit
    @jax.grad
    def gradient(params: Any) -> jax.Array:
        return apply(graphdef, params, *bags([9, 9], 9)).logits.sum()

    assert not any(
        np.asarray(leaf).any() for leaf in jax.tree.leaves(gradient(params)["motar"]["gate"])
    )


def test_dropout_needs_keys_and_follows_them() -> None:
    model, data = make(), bags([9, 9], 9)

    def scores(seed: int) -> jax.Array:
        return model(*data, None, jax.random.key(seed)).scores

    np.testing.assert_array_equal(scores(1), scores(1))
    assert not np.array_equal(scores(1), scores(2))
    assert not np.array_equal(scores(1), model(*data).scores)


def test_smoothed_scores_end_as_if_segments_without_evidence_followed() -> None:
    changes = {"shift": "none", "num_layers": 0, "injection": "none"}
    smoothed, raw = make(**changes, score_smoothing=0.1), make(**changes)
    features, valid = bags([8], 8)
    # share x T = 0.8 segments: ten empty ones on both sides are as good as no end.
    long = np.pad(features, ((0, 0), (10, 10), (0, 0)))
    logits = np.asarray(raw(long, np.ones((1, 28), bool)).logits[0], np.float64)
    distance = np.abs(np.subtract.outer(np.arange(28), np.arange(28)))
    weights = np.exp(-distance / 0.8)[10:18]
    expected = weights @ logits / weights.sum(axis=1)
    np.testing.assert_allclose(smoothed(features, valid).logits[0], expected, atol=1e-4)


def test_outputs_are_float32() -> None:
    outputs = make()(*bags([7, 4], 7))
    for part in (outputs.logits, outputs.features, outputs.core.category_logits):
        assert part.dtype == jnp.float32
    assert outputs.core.mixture_mean.dtype == jnp.float32


def test_a_category_is_its_name_and_any_names_can_be_asked_for() -> None:
    head = core.NameHead(16, (24, core.NAME_WIDTH), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(head.query.kernel[:24], 0)
    np.testing.assert_array_equal(head.query.kernel[24:], np.eye(core.NAME_WIDTH))
    part = core.Core(dataclasses.replace(SMALL, category_names="sentences"), rngs=nnx.Rngs(0))
    part.category_head.query.kernel[...] = jax.random.normal(jax.random.key(1), (24, 384)) / 10
    graphdef, state = nnx.split(part)
    params = nnx.to_pure_dict(state)
    features, valid = bags([8, 5], 8)
    names = jax.random.normal(jax.random.key(2), (3, core.NAME_WIDTH)) / 20

    @jax.jit
    def found(names: jax.Array) -> tuple[Any, ...]:
        def asked(names: jax.Array) -> tuple[jax.Array, core.CoreOutputs]:
            part = nnx.merge(graphdef, params | {"names": names})
            outputs = part(features, features[..., :16], valid, None)
            return outputs.category_probs.sum(), outputs

        return jax.grad(asked, has_aux=True)(names), asked(names[::-1])[1], asked(names[:2])[1]

    (gradient, own), turned, fewer = found(names)
    np.testing.assert_array_equal(gradient, 0)  # names are not learned
    assert float(own.category_probs.std()) > 1e-4
    np.testing.assert_allclose(turned.category_probs, own.category_probs[:, ::-1], rtol=1e-5)
    np.testing.assert_allclose(turned.category_feature, own.category_feature, atol=1e-6)
    np.testing.assert_allclose(fewer.category_probs, own.category_probs[:, :2], rtol=1e-5)


def test_a_linear_scorer_reads_the_normalised_features_alone() -> None:
    changes: dict[str, Any] = {"normalization": "training", "scorer_width": 0, "num_layers": 0}
    changes |= {"injection": "none", "shift": "none"}
    features, valid = bags([5, 3], 5)
    graphdef, params = parts(**changes)
    model = nnx.merge(graphdef, params)
    outputs = make(**changes)(features, valid)
    scaled = np.asarray(jax.jit(model.modality_norm)(features, valid))
    expected = scaled @ params["scorer"]["output"]["kernel"][:, 0]
    expected += params["scorer"]["output"]["bias"]
    np.testing.assert_allclose(outputs.logits[valid], expected[valid], rtol=1e-4, atol=1e-5)
