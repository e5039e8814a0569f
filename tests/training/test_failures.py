"""A value that is not finite: named by its term, kept, and done again from the file."""

import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from refinevad_jax.errors import NumericalError, UserError
from refinevad_jax.runs.checkpoints import Checkpoints
from refinevad_jax.training import failures, loop, losses
from refinevad_jax.training import step as step_lib
from refinevad_jax.training.dispatch import Dispatch
from tests.conftest import LONG, call
from tests.training.test_loop import last_params

STEP = 4  # from 0: the second epoch, of three steps each


@jax.custom_vjp
def bad_slope(value: Any, slope: Any) -> Any:
    return value


bad_slope.defvjp(lambda value, slope: (value, slope), lambda slope, g: (g * slope, None))


def poison(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    """Makes a term of the loss NaN at a step, or with "gradient_norm" its gradient alone."""
    train_step, terms_of = step_lib.train_step, losses.loss_terms

    def poisoned(state: Any, *batch: Any, **options: Any) -> Any:
        def terms(*arguments: Any) -> Any:
            found = terms_of(*arguments)
            at_step = state.step == STEP
            if term != "gradient_norm":
                return found | {term: jnp.where(at_step, jnp.nan, found[term])}
            return found | {"mil": bad_slope(found["mil"], jnp.where(at_step, jnp.nan, 1.0))}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(losses, "loss_terms", terms)
            return train_step(state, *batch, **options)

    monkeypatch.setattr(step_lib, "train_step", poisoned)


@pytest.mark.parametrize("term", ["category", *(["gradient_norm", "mil", "smoothing"] * LONG)])
def test_each_term_is_named_and_the_step_kept(
    term: str, tiny_config: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, term)
    with pytest.raises(NumericalError, match=rf"step 5: {term} is nan with seed 0.*step 3 in "):
        loop.train(tiny_config, tmp_path)
    monkeypatch.undo()
    assert all(np.isfinite(leaf).all() for leaf in last_params(tmp_path))
    failure = failures.read(tmp_path / "failure-step5.npz")
    assert (failure.term, failure.step, failure.run.config.seed) == (term, STEP, 0)
    # Without the injected fault the step is clean, and it is the step that training did.
    numbers, found = failures.replay(failure)
    assert found == []
    loop.train(tiny_config, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    (row,) = [row for row in rows if row["step"] == STEP + 1]
    for name, value in numbers.items():
        assert value == pytest.approx(row[name], rel=1e-5)


def test_features_and_the_command_that_replays(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, run = Dispatch.batch, Dispatch.run

    def bad_batch(self: Dispatch, step: int) -> Any:
        features, labels = batch(self, step)
        if step == STEP:
            features = features.at[0, 2, 0, 0].set(np.inf)
        return features, labels

    monkeypatch.setattr(Dispatch, "batch", bad_batch)
    tiny_config.data.device_limit_gb = 0.0  # batches from the host
    with pytest.raises(NumericalError, match=r"step 5: features is inf.*refinevad_jax\.replay"):
        loop.train(tiny_config, tmp_path)
    monkeypatch.setattr(Dispatch, "run", run)
    result = call("refinevad_jax.replay", f"--failure={tmp_path / 'failure-step5.npz'}")
    assert result.returncode == 1, result.stderr
    assert "in training   features was inf" in result.stdout
    assert "not finite:   features of video 2 of the batch" in result.stdout
    assert "not finite:   mil" in result.stdout
    assert "not finite:   gradient of" in result.stdout


TERMS = (*(term.name for term in losses.TERMS), "loss", "gradient_norm")


@pytest.mark.parametrize("term", TERMS)
def test_the_first_failure_of_a_dispatch(term: str) -> None:
    """The earliest step, and in it the term before the sum that it spoils."""
    metrics = {name: np.ones((2, 5), np.float32) for name in TERMS}
    assert failures.first_failure(metrics, 10) is None
    for name in ("loss", "gradient_norm"):
        metrics[name][:, 3:] = np.nan
    metrics[term][1, 2:] = -np.inf
    metrics["gradient_norm"][1, 2] = np.nan
    index, step, found, value = failures.first_failure(metrics, 10) or (0, 0, "", 0.0)
    assert (index, step, found) == (1, 12, term)
    assert not np.isfinite(value)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_other_files_are_refused(content: bytes | None, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "failure.npz"
    if content is None:
        np.savez(path, facts=np.array("{}"))
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"failure\.npz"):
        failures.read(path)


def test_a_full_disk_does_not_hide_the_failure(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: pathlib.Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    poison(monkeypatch, "category")
    monkeypatch.setattr(failures, "write_bytes", full)
    with pytest.raises(NumericalError, match=r"step 5: category is nan.*could not be kept"):
        loop.train(tiny_config, tmp_path)
    checkpoints = Checkpoints(tmp_path, metric="video_auc")
    assert list(checkpoints.steps()) == [3]
    checkpoints.close()
