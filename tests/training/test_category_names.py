"""Names reach the network of every seed, and nothing is written without their encoder."""

import pathlib

import numpy as np
import pytest
from ml_collections import ConfigDict

from refinevad_jax.errors import UserError
from refinevad_jax.runs.checkpoints import TrainState
from refinevad_jax.runs.run import read_run
from refinevad_jax.training import category_names, loop


def test_every_seed_knows_the_names(
    trained: pathlib.Path, named: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        category_names, "embedded_names", lambda names: np.array([[len(names)] * 384] * 3)
    )
    params = {"core": {"names": np.zeros((2, 3, 384)), "prototypes": 1}, "scorer": 2}
    state = TrainState(np.zeros(2), params, None)
    found = category_names.named(state, read_run(named)).params
    assert (found["core"]["names"] == 3).all() and found["core"]["names"].shape == (2, 3, 384)
    assert found["core"]["prototypes"] == 1 and found["scorer"] == 2
    assert category_names.named(state, read_run(trained)) is state


def test_nothing_is_written_without_the_encoder(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(names: tuple[str, ...]) -> np.ndarray:
        raise UserError(f"the sentence encoder is not installed: {names}")

    monkeypatch.setattr(category_names, "embedded_names", missing)
    tiny_config.model.category_names = "sentences"
    with pytest.raises(UserError, match=r"not installed: \('A', 'B', 'C'\)"):
        loop.train(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()
