"""Traced steps in files: read if all that decides them is the same, made again otherwise."""

import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from refinevad_jax.training import kept_step
from refinevad_jax.training.kept_step import Step

STATE = {"a": np.ones(2, np.float32), "b": np.zeros(3, np.float32)}


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    monkeypatch.setattr(kept_step, "_keeping", True)
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    jax.config.update("jax_compilation_cache_dir", before)


def counted(facts: str = "one") -> tuple[Step, list[str]]:
    """A step, and what is appended to whenever it is traced."""
    traced: list[str] = []

    def double(state: dict[str, Any], rate: Any) -> tuple[Any, dict[str, Any]]:
        traced.append(facts)
        new = {name: rate * value for name, value in state.items()}
        return new, {"loss": new["a"].sum(), "also": rate + 1}

    return Step(double, {"donate_argnums": 0}, facts), traced


def made(step: Step, rate: float = 2.0) -> Any:
    compiled = step.lowered(STATE, np.float32(0)).compile()
    return jax.device_get(compiled(STATE, np.float32(rate)))


def test_a_second_process_does_not_trace(folder: pathlib.Path) -> None:
    step, traced = counted()
    state, metrics = made(step)
    np.testing.assert_array_equal(state["a"], [2, 2])
    assert metrics == {"loss": 4, "also": 3} and traced == ["one"]
    (path,) = folder.glob("double-*-traced")
    again, later = counted()  # of another process, as good as
    state, metrics = made(again, 3.0)
    np.testing.assert_array_equal(state["a"], [3, 3])
    assert metrics == {"loss": 6, "also": 4} and later == []
    path.write_bytes(path.read_bytes()[:-1])  # damaged: made again
    assert made(again)[1]["loss"] == 4 and later == ["one"]


def test_other_facts_sources_or_settings_are_another_step(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, _ = counted()
    names = {step._digest((STATE, np.ones(1)))}
    names.add(counted("other")[0]._digest((STATE, np.ones(1))))
    names.add(step._digest((STATE, np.ones(2))))
    jax.config.update("jax_numpy_rank_promotion", "raise")
    names.add(step._digest((STATE, np.ones(1))))
    jax.config.update("jax_numpy_rank_promotion", "allow")
    monkeypatch.setattr(kept_step, "_sources", lambda: "other")
    names.add(step._digest((STATE, np.ones(1))))
    assert len(names) == 5 and not folder.exists()


def test_without_the_folder_or_the_command_nothing_is_kept(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_step, "_keeping", False)
    step, traced = counted()
    assert made(step)[1]["loss"] == 4 and traced == ["one"]
    assert not list(folder.glob("*-traced"))
