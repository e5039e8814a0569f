"""Data that goes away after a command has begun, or was never whole: one line that names it."""

import pathlib
import shutil
from typing import Any

import pytest
from ml_collections import ConfigDict

from refinevad_jax.data.bags import read_info, read_split, split_sizes
from refinevad_jax.detection import features, inputs
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.run import evaluate
from refinevad_jax.runtime.command_line import one_line
from refinevad_jax.training import loop
from refinevad_jax.training.dispatch import Dispatch
from tests.conftest import make_tiny_config


@pytest.fixture
def data(tiny_data: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return shutil.copytree(tiny_data, tmp_path / "data")


def one_line_naming(word: str, call: Any) -> None:
    with pytest.raises(UserError) as caught:
        call()
    assert word in one_line(caught.value)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_missing_shard(data: pathlib.Path, split: str) -> None:
    (shard,) = data.rglob(f"*-{split}.array_record*")
    shard.unlink()
    one_line_naming(split, lambda: read_split(str(data), "tiny", split))
    if split != "test":
        one_line_naming(split, lambda: loop.train(make_tiny_config(data), data / "run"))


def test_a_folder_that_goes_before_it_is_read(
    data: pathlib.Path, trained: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert split_sizes(str(data), "tiny") and read_info(str(data), "tiny")
    from refinevad_jax.evaluation import run as run_evaluation

    def gone(*arguments: Any) -> Any:
        shutil.rmtree(data)
        return read_split(*arguments)

    monkeypatch.setattr(run_evaluation, "read_split", gone)
    words = {"split": "test", "step": "best", "dataset": "", "num_segments": None}
    one_line_naming(
        str(data),
        lambda: evaluate(trained, **words, data_dir=str(data), allow_mismatch=False),
    )
    assert not (trained / "eval").exists() or not list((trained / "eval").glob(".*"))


def test_files_of_bags_that_go_while_training(
    data: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bags too large for memory are read from their files at every step."""
    tiny_config.data.update(data_dir=str(data), host_limit_gb=0.0)
    run = Dispatch.run

    def cut(self: Dispatch, state: Any, first: int, count: int) -> Any:
        if first >= 3:  # the second epoch
            for shard in data.rglob("*.array_record*"):
                shard.write_bytes(b"")
        return run(self, state, first, count)

    monkeypatch.setattr(Dispatch, "run", cut)
    one_line_naming(str(data), lambda: loop.train(tiny_config, tmp_path / "run"))
    assert (tmp_path / "run" / "checkpoints" / "3").is_dir()


def test_an_input_that_goes_before_it_is_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "v.npy"
    path.write_bytes(b"")
    found = inputs.find_inputs([str(path)], tmp_path / "out")
    path.unlink()
    one_line_naming(str(path), lambda: features.read_features(found["v"]))
