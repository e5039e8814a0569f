"""A run of several seeds is evaluated seed by seed and summed up."""

import pathlib
import shutil

import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.run import Settings, evaluate_seeds
from refinevad_jax.runs.evaluations import find_evaluations, stored_seeds
from refinevad_jax.runs.run import read_run
from refinevad_jax.training import loop
from tests.conftest import make_tiny_config


def test_every_seed_is_evaluated_and_the_mean_printed(
    tiny_data: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_tiny_config(tiny_data)
    config.num_seeds = 2
    loop.train(config, tmp_path)
    quick = Settings(num_curves=0, report=False, verbose=False)
    contents = evaluate_seeds(tmp_path, split="test", step="best", settings=quick)
    assert [content["seed"] for content in contents] == [0, 1]
    printed = capsys.readouterr().out
    assert "mean ± deviation over seeds 0, 1" in printed
    assert stored_seeds(tmp_path, "tiny-test-best") == contents
    folders = [tmp_path / f"seed{seed}" / "eval" / "tiny-test-best" for seed in (0, 1)]
    assert find_evaluations(str(tmp_path)) == folders
    pattern = str(tmp_path / "seed*" / "eval" / "tiny-*")
    assert find_evaluations(pattern) == folders
    shutil.copytree(folders[1], folders[1].with_name("tiny-test-last"))
    with pytest.raises(UserError, match=r"seed1 has 2 evaluations; name one of '.*/seed\*/eval/"):
        find_evaluations(str(tmp_path))
    shutil.rmtree(folders[0])
    with pytest.raises(UserError, match=r"seed0: no metrics\.json"):
        find_evaluations(str(tmp_path))
    one, other = (content["frame_auc"] for content in contents)
    mean, spread = (one + other) / 2, abs(one - other) / 2**0.5
    assert f"  {'frame AUC':24s} {mean:.4f} ± {spread:.4f}\n" in printed


def test_a_run_of_several_seeds_says_so_where_one_is_needed(
    trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for seed in (0, 1):
        shutil.copytree(trained, tmp_path / f"seed{seed}")
    with pytest.raises(UserError, match=r"holds 2 seeds; name one of them, as .*seed0"):
        read_run(tmp_path)


def test_a_folder_without_a_run_says_what_is_missing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"is not a workdir \(no config.json\)"):
        evaluate_seeds(tmp_path, split="test", step="best")
