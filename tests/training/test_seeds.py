"""Several seeds in one program: each as if trained alone, resumed together, on several devices."""

import pathlib
import shutil

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from refinevad_jax.errors import UserError
from refinevad_jax.runs.checkpoints import Checkpoints, restore
from refinevad_jax.runs.run import read_run, seed_workdirs
from refinevad_jax.training import loop
from tests.training.conftest import losses, scores, steps


def last_params(workdir: pathlib.Path) -> list[np.ndarray]:
    _, params, _ = restore(read_run(workdir), workdir, "last")
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]


def test_a_seed_trained_with_others_equals_the_seed_trained_alone(
    trained: pathlib.Path, pair: pathlib.Path
) -> None:
    """To float32 rounding: XLA may sum a batched product in another order.

    Scores are compared, not parameters: AdamW makes whole steps of the rounding error of a gradient
    that is 0, as that of attention's key biases.
    """
    assert [path.name for path in seed_workdirs(pair)] == ["seed0", "seed1"]
    np.testing.assert_allclose(losses(pair / "seed0"), losses(trained), rtol=1e-5)
    np.testing.assert_allclose(scores(pair / "seed0"), scores(trained), atol=1e-5)
    assert read_run(pair / "seed0").config == read_run(trained).config


def test_seeds_differ_in_parameters_and_batches(pair: pathlib.Path) -> None:
    assert read_run(pair / "seed1").config.seed == 1
    assert losses(pair / "seed0")[0] != losses(pair / "seed1")[0]


def test_seeds_stopped_between_two_saves_resume_together(
    pair: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save = Checkpoints.save
    calls = []

    def interrupted(self: Checkpoints, state: object, metrics: dict[str, float]) -> None:
        calls.append(metrics)
        if len(calls) == 4:
            raise KeyboardInterrupt
        save(self, state, metrics)  # type: ignore[arg-type]

    monkeypatch.setattr(Checkpoints, "save", interrupted)
    tiny_config.num_seeds = 2
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny_config, tmp_path)
    monkeypatch.undo()
    loop.train(tiny_config, tmp_path)
    for seed in ("seed0", "seed1"):
        for a, b in zip(last_params(tmp_path / seed), last_params(pair / seed), strict=True):
            np.testing.assert_array_equal(a, b)
        ours, theirs = tmp_path / seed / "metrics.jsonl", pair / seed / "metrics.jsonl"
        assert ours.read_bytes() == theirs.read_bytes()


def test_seeds_added_to_a_finished_run_leave_the_others_as_they_are(
    pair: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(pair, workdir)
    before = files(workdir)
    tiny_config.num_seeds = 3
    loop.train(tiny_config, workdir)
    assert "2 seeds are done, 1 to train" in capsys.readouterr().out
    after = files(workdir)
    assert before.items() <= after.items()
    assert {path.parts[0] for path in after.keys() - before.keys()} == {"seed2"}
    assert len(losses(workdir / "seed2")) == len(losses(workdir / "seed0"))


def test_seeds_of_different_progress_are_refused(
    pair: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(pair, workdir)
    record = workdir / "seed0" / "metrics.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:-1]))  # not at its end any more
    newest = max(steps(workdir / "seed0"))
    before = files(workdir)
    tiny_config.num_seeds = 3
    with pytest.raises(UserError, match=f"seed 0 at {newest}, seed 1 at {newest}, seed 2 at 0"):
        loop.train(tiny_config, workdir)
    assert before.items() <= files(workdir).items()


def files(workdir: pathlib.Path) -> dict[pathlib.Path, bytes]:
    """What a run holds, by path below it."""
    return {
        path.relative_to(workdir): path.read_bytes()
        for path in workdir.rglob("*")
        if path.is_file() and "tensorboard" not in path.parts and not path.name.startswith(".")
    }


def test_each_seed_holds_its_own_videos_out_whatever_its_company(
    tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    tiny_config.data.update(selection_split="train", selection_fraction=0.2)
    tiny_config.train.num_epochs = 1
    tiny_config.num_seeds = 2
    for seed in (0, 1):
        tiny_config.seed = seed
        loop.train(tiny_config, tmp_path / str(seed))
    one, other = (losses(tmp_path / seed / "seed1") for seed in ("0", "1"))
    np.testing.assert_allclose(one, other, rtol=1e-5)
    assert losses(tmp_path / "0" / "seed0") != one


def test_one_seed_and_several_do_not_share_a_workdir(
    trained: pathlib.Path, pair: pathlib.Path, tiny_config: ConfigDict
) -> None:
    with pytest.raises(UserError, match="holds several seeds"):
        loop.train(tiny_config, pair)
    tiny_config.num_seeds = 2
    with pytest.raises(UserError, match="holds a run of one seed"):
        loop.train(tiny_config, trained)
