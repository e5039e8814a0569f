"""What is begun before bags are read: for a run that begins, and thrown away if it does not fit."""

import pathlib
from concurrent.futures import Future

import pytest
from ml_collections import ConfigDict

from refinevad_jax.data.bags import read_info, read_split
from refinevad_jax.data.batches import training_bags
from refinevad_jax.errors import UserError
from refinevad_jax.training import ahead as ahead_lib
from refinevad_jax.training.ahead import Ahead, begun


@pytest.fixture(autouse=True)
def _nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ahead, "compile", lambda self: setattr(self, "program", Future()))
    monkeypatch.setattr(Ahead, "make_states", lambda self: None)


@pytest.mark.parametrize("memory_gb", [1.0, 0.0])
def test_the_list_has_the_shape_that_its_first_bag_tells(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, memory_gb: float
) -> None:
    data = tiny_config.data
    tiny_config.update(num_seeds=2, seed=5)
    data.host_limit_gb = memory_gb
    ahead = begun(tiny_config, read_info(data.data_dir, data.dataset), tmp_path)
    assert ahead is not None and ahead.program is not None
    bags = read_split(data.data_dir, data.dataset, data.train_split, memory_gb=memory_gb)
    shape = training_bags(bags, data.num_segments, ahead._run.columns()).list_shape
    assert shape.in_files == (memory_gb == 0)
    assert ahead.fits([5, 6], shape) and not ahead.fits([5], shape)
    assert not ahead.fits([5, 6], training_bags(bags[1:], 9, ahead._run.columns()).list_shape)


def test_a_run_that_goes_on_is_not_begun(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = read_info(tiny_config.data.data_dir, tiny_config.data.dataset)
    (tmp_path / "config.json").touch()
    assert begun(tiny_config, info, tmp_path) is None
    monkeypatch.setattr(ahead_lib, "first_bag", lambda *words, **options: None)
    assert begun(tiny_config, info, tmp_path / "other") is None  # the list is empty
    tiny_config.data.modalities = ("smell",)
    monkeypatch.undo()
    with pytest.raises(UserError, match="'smell' is not in data set"):
        begun(tiny_config, info, tmp_path / "other")
