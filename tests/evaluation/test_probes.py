"""Probes of a trained run: what is changed, what is measured, what is claimed."""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, traverse_util

from refinevad_jax.data.bags import read_info, read_split
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation import probe_claims, probed_seeds, probes
from refinevad_jax.evaluation.probes import Prober, SeedProbes
from refinevad_jax.evaluation.run import Settings, evaluate
from refinevad_jax.metrics import names
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import abstract, create
from refinevad_jax.runs import evaluations
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import Run, read_run, write_run
from tests.conftest import make_tiny_config


def test_the_probe_that_changes_nothing_has_the_numbers_of_the_evaluation(
    trained: pathlib.Path, tiny_data: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = read_run(trained)
    _, params, _ = restore(run, trained, "best")
    prober = Prober(run, run.info, read_split(str(tiny_data), "tiny", "val"))
    found = prober.probes(params)
    quick = Settings(num_curves=0, report=False, verbose=False)
    content = evaluate(trained, split="val", step="best", settings=quick)
    own = found.numbers[probes.AS_IS]
    for metric in names.shown_in(names.PROBES):
        assert own[metric.key] == pytest.approx(metric.of(content), abs=1e-6), metric.key
    assert own[probes.MOVED] == own[probes.NORMAL] == own[probes.ANOMALOUS] == 0
    assert found.inside is not None
    assert found.inside[0] == pytest.approx(content["mixture_target"]["single_video_auc"], abs=1e-6)
    assert found.inside[2] == pytest.approx(content["position_only"]["single_video_auc"])
    # Normal videos are given nothing by the true category, and something by a wrong one.
    assert found.numbers[probes.TRUE_CATEGORY][probes.NORMAL] == 0
    assert found.numbers[probes.WRONG_CATEGORY][probes.NORMAL] != 0
    page = probe_claims.block([found, found], "tiny").markdown()
    assert all(f"| {name} | " in page for name in found.numbers)
    # With weights of 1 / C for every video it does not matter which prototype is which.
    uniform = {
        path: jnp.zeros_like(leaf) if path[-2] == "classifier" else leaf
        for path, leaf in traverse_util.flatten_dict(params).items()
    }
    flat = prober.probes(traverse_util.unflatten_dict(uniform)).numbers
    assert flat[probes.PERMUTED][probes.MOVED] < 1e-4 < flat[probes.NO_PROTOTYPES][probes.MOVED]
    # What a ladder keeps makes the same table.
    bags = read_split(str(tiny_data), "tiny", "val")
    data = probed_seeds.fingerprint(run.info, bags)
    evaluations.write_probes(trained / "eval" / "tiny-val-best", data, dataclasses.asdict(found))
    monkeypatch.setattr(probed_seeds, "Prober", lambda *_: pytest.fail("probed again"))
    kept = probed_seeds.probe_seeds(trained, split="val", beside="tiny-val-best")
    assert kept.rows == probe_claims.block([found], "").rows
    assert kept.claims == probe_claims.block([found], "").claims
    # The same videos and truth with other features, as a data set packaged again may have.
    other = [dataclasses.replace(bag, features=bag.features + 1) for bag in bags]
    monkeypatch.setattr(probed_seeds, "read_split", lambda *_: other)
    with pytest.raises(pytest.fail.Exception, match="probed again"):
        probed_seeds.probe_seeds(trained, split="val", beside="tiny-val-best")


def test_kept_probes_are_not_those_of_another_evaluation(tmp_path: pathlib.Path) -> None:
    metrics, kept = tmp_path / "metrics.json", tmp_path / "probes.json"
    metrics.write_text('{"step": 5, "truth_hash": "a"}')
    assert evaluations.read_probes(tmp_path, "d") is None
    evaluations.write_probes(tmp_path, "d", {"attention": 1.5})
    assert evaluations.read_probes(tmp_path, "d") == {"attention": 1.5}
    whole = kept.read_text()
    for damaged in (whole.replace("1.5", "1.6"), whole[:-9], "[]", "7"):
        kept.write_text(damaged)
        assert evaluations.read_probes(tmp_path, "d") is None
    kept.write_text(whole.replace('"python": "3', '"python": "2'))
    assert evaluations.read_probes(tmp_path, "d") is None
    kept.write_text(whole)
    assert evaluations.read_probes(tmp_path, "other features") is None
    for other in ('{"step": 6, "truth_hash": "a"}', '{"step": 5, "truth_hash": "b"}'):
        metrics.write_text(other)
        assert evaluations.read_probes(tmp_path, "d") is None


def small(**changes: Any) -> tuple[ModelConfig, Any]:
    config = ModelConfig((6,), 3, width=8, num_layers=0, num_heads=2, scorer_width=4, **changes)
    return config, create(config, jax.random.key(0))[1]


def test_each_probe_changes_its_part_alone() -> None:
    config, params = small(score_smoothing=0.1)
    labels = np.array([[False] * 3, [True, False, False], [True] * 3])
    found = probes.variants(params, config, labels, np.arange(8.0))
    before = traverse_util.flatten_dict(params)
    for name, draws in found.items():
        assert len(draws) in (1, probes.DRAWS)
        for draw in draws:
            after = traverse_util.flatten_dict(draw.params)
            assert after.keys() == before.keys()
            changed = {path[1] for path in before if not np.array_equal(before[path], after[path])}
            part = {
                probes.NO_PROTOTYPES: {"prototypes"},
                probes.PERMUTED: {"prototypes"},
                probes.HALF_GATE: {"gate"},
                probes.SHUT_GATE: {"gate"},
                probes.MEAN_CONTEXT: {"cross_attention"},
            }
            assert changed == part.get(name, set()), name
    (raw,) = found[probes.RAW]
    assert raw.config == dataclasses.replace(config, score_smoothing=0.0)
    (true,) = found[probes.TRUE_CATEGORY]
    assert np.array_equal(true.injected, labels)
    plain = probes.variants(params, dataclasses.replace(config, shift="none"), labels, np.zeros(8))
    assert found.keys() - plain.keys() == {probes.HALF_GATE, probes.SHUT_GATE}
    one = ModelConfig((6,), 1, width=8, num_layers=0, num_heads=2, shift="none")
    single = probes.variants(create(one, jax.random.key(0))[1], one, labels[:, :1], np.zeros(8))
    assert plain.keys() - single.keys() == {probes.PERMUTED, probes.WRONG_CATEGORY, probes.RAW}
    assert single[probes.ONLY_CATEGORY][0].injected.all()


def test_with_a_linear_scorer_no_part_is_probed_and_a_line_says_why() -> None:
    config = ModelConfig((6,), 3, scorer_width=0, score_smoothing=0.1)
    found = probes.variants({}, config, np.ones((2, 3), bool), np.zeros(0))
    assert list(found) == [probes.AS_IS, probes.RAW]
    own = {"frame_auc": 0.9, probes.MOVED: 0.0, probes.NORMAL: 0.0, probes.ANOMALOUS: 0.0}
    linear = SeedProbes({probes.AS_IS: own, probes.RAW: own}, attention=None, inside=None)
    said = probe_claims.block([linear, linear], "tiny")
    assert [row[0] for row in said.rows] == [probes.AS_IS, probes.RAW]
    assert [line.split(":")[0] for line in said.claims] == [probes.RAW, "not probed"]
    assert "scorer_width=0 a score is a linear function" in said.claims[1]
    assert "category" not in said.note and "Attention" not in said.note


def test_wrong_categories_and_permutations_leave_nothing_right() -> None:
    labels = np.array([[False] * 4, [True, False, True, False], [True] * 4] * 20)
    given = probes.wrong_categories(labels, np.random.default_rng(1))
    assert (given.sum(axis=1) == 1).all() and not (given & labels)[labels.sum(axis=1) < 4].any()
    again = probes.wrong_categories(labels, np.random.default_rng(1))
    other = probes.wrong_categories(labels, np.random.default_rng(2))
    assert np.array_equal(given, again) and not np.array_equal(given, other)
    assert set(given[::3].argmax(axis=1)) == {0, 1, 2, 3}
    for count in (2, 3, 13):
        order = probes.cycle(count, np.random.default_rng(count))
        assert sorted(order) == [*range(count)] and (order != np.arange(count)).all()


def test_attention_without_a_query_is_uniform() -> None:
    config, params = small()
    valid = np.array([[True] * 5, [True, True, False, False, False], [False] * 5])
    features = np.random.default_rng(0).normal(size=(3, 5, 6)).astype(np.float32)
    flat = traverse_util.flatten_dict(params)
    kernel = ("core", "cross_attention", "query", "kernel")
    asks_nothing = traverse_util.unflatten_dict(flat | {kernel: 0 * flat[kernel]})

    @jax.jit
    def sums() -> list[list[jax.Array]]:
        found = []
        for query in ("video", "segment"):
            graphdef, _ = abstract(dataclasses.replace(config, attention_query=query))
            models = [nnx.merge(graphdef, own) for own in (params, asks_nothing)]
            found.append([probes.attention_sums(model, features, valid) for model in models])
        return found

    for (own, uniform), expected in zip(sums(), (2, 7), strict=True):
        assert own.shape == (8 + 2,) and own[-1] == uniform[-1] == expected
        assert own[-2] / expected > 1 and uniform[-2] / expected == pytest.approx(1)


def seed(true: float, wrong: float, moved: float, auc: float = 0.9) -> SeedProbes:
    """Numbers of a seed: logits raised by the true and by a wrong category."""
    metrics = {"frame_auc": 0.9, "frame_ap": 0.5}
    still = {probes.MOVED: 0.0, probes.NORMAL: 0.0, probes.ANOMALOUS: 0.0}
    numbers: dict[str, dict[str, float | None]] = {
        probes.AS_IS: {**metrics, **still},
        probes.TRUE_CATEGORY: {**metrics, **still, probes.MOVED: moved, probes.ANOMALOUS: true},
        probes.WRONG_CATEGORY: {
            "frame_auc": auc,
            "frame_ap": 0.5,
            probes.MOVED: moved,
            probes.NORMAL: wrong,
            probes.ANOMALOUS: wrong / 2,
        },
    }
    return SeedProbes(numbers, attention=1.05, inside=(0.7, 0.69, 0.68))


@pytest.mark.parametrize(
    ("true", "wrong", "moved", "claim"),
    [
        (4.0, 3.9, 0.3, "read as 'anomalous', not which: a wrong one moves the mean logit of no"),
        (4.0, 0.4, 0.3, "read as which they are: a wrong one moves the mean logit of normal vid"),
        (4.0, 3.9, 0.01, "not read: the true one moves logits by 0.010 of their deviation"),
        (-1.0, 3.9, 0.3, "not read: the true one moves logits by 0.300 of their deviation"),
    ],
)
def test_claims_follow_from_the_numbers(
    true: float, wrong: float, moved: float, claim: str
) -> None:
    lines = probe_claims.claims([seed(true, wrong, moved)])
    assert any(f"categories are {claim}" in line for line in lines)
    if wrong == 3.9 and "anomalous'" in claim:
        assert any("normal videos by 98 %, that of anomalous videos by 49 %" in x for x in lines)
    assert "is uniform: its largest weight is 1.05 times" in " ".join(lines)
    assert "knows more than place: AUC inside videos 0.700" in " ".join(lines)


def test_scores_fall_only_if_they_do_so_in_every_seed() -> None:
    def verdict(*aucs: float) -> str:
        lines = probe_claims.claims([seed(4.0, 3.9, 0.3, auc) for auc in aucs])
        (line,) = (line for line in lines if line.startswith(probes.WRONG_CATEGORY))
        return line.removeprefix(f"{probes.WRONG_CATEGORY}: ").split(" (")[0]

    assert verdict(0.85, 0.8) == "scores fall"
    assert verdict(0.91, 0.92) == "scores rise"
    assert verdict(0.895, 0.899) == verdict(0.7, 0.91) == "no difference"


def test_a_run_without_core_is_refused_in_one_line(
    tiny_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    config = make_tiny_config(tiny_data)
    config.model.injection = "none"
    write_run(tmp_path, Run(config, read_info(str(tiny_data), "tiny")))
    with pytest.raises(UserError, match=r"a run without CORE, which the probes are of$"):
        probed_seeds.probe_seeds(tmp_path, split="val")
    with pytest.raises(UserError, match="is not a workdir"):
        probed_seeds.probe_seeds(tmp_path / "none", split="val")
