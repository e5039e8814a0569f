"""A stop in the middle of an epoch, damaged checkpoints and configurations."""

import os
import pathlib
import shutil
import signal
import time

import jax
import pytest
from ml_collections import ConfigDict

from refinevad_jax.errors import StoppedError, UserError
from refinevad_jax.runs.checkpoints import Checkpoints, DamagedError, TrainState, restore
from refinevad_jax.runs.run import read_run
from refinevad_jax.runtime.stopping import StopRequest
from refinevad_jax.training import loop
from refinevad_jax.training.dispatch import Dispatch
from tests.conftest import LONG
from tests.training.conftest import steps
from tests.training.test_loop import same_run


@pytest.mark.skipif(not LONG, reason="two more programs to compile: make test-faults")
def test_a_stop_between_two_dispatches_saves_and_goes_on(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs of three steps in dispatches of two and one; stopped after step 5."""
    monkeypatch.setattr(loop, "MAX_STEPS_PER_DISPATCH", 2)
    loop.train(tiny_config, tmp_path / "whole")
    run, requests = Dispatch.run, []
    listening = StopRequest.listening

    def kept(self: StopRequest):
        requests.append(self)
        return listening(self)

    def stopping(self: Dispatch, state: object, first: int, count: int) -> object:
        if first == 3:
            requests[-1].signal = "SIGTERM"
        return run(self, state, first, count)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "listening", kept)
        patch.setattr(Dispatch, "run", stopping)
        with pytest.raises(StoppedError, match="SIGTERM at step 5 of 9, saved"):
            loop.train(tiny_config, tmp_path / "stopped")
    assert steps(tmp_path / "stopped")[-1] == 5
    loop.train(tiny_config, tmp_path / "stopped")
    same_run(tmp_path / "whole", tmp_path / "stopped")
    assert steps(tmp_path / "stopped") == steps(tmp_path / "whole")


def test_a_stop_before_the_first_step_claims_no_save(
    tiny_config: ConfigDict, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: StopRequest) -> None:
        self.signal = "SIGINT"

    monkeypatch.setattr(StopRequest, "__init__", stopped)
    with pytest.raises(StoppedError, match=r"^SIGINT before the first step; run the same command"):
        loop.train(tiny_config, tmp_path)
    assert steps(tmp_path) == []


@pytest.mark.parametrize("pause", [0.0, 0.6])
def test_a_signal_that_comes_twice_at_once_is_one(
    pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a process group and from the process that passes it on; a later one ends at once."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    request = StopRequest()
    with request.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 10
        while not request.signal and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(pause)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
    assert request.signal == "SIGTERM"
    assert ended == [128 + signal.SIGTERM] * (pause > 0)


def damage_arrays(workdir: pathlib.Path, step: int, damage: str) -> None:
    """Flips a bit in every file of a checkpoint's parameters, or cuts it off."""
    files = [
        path
        for path in (workdir / "checkpoints" / str(step) / "params").rglob("d/*")
        if path.is_file()
    ]
    assert files
    for path in files:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 16
        path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])


# Orbax leaves futures of its event loop behind if a file is cut off.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", ["flipped", "cut off"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(
    damage: str,
    trained: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    newest = steps(run)[-1]
    damage_arrays(run, newest, damage)
    with pytest.raises(DamagedError, match=f"{newest}: damaged .*may be intact"):
        restore(read_run(run), run, "last")
    loop.train(tiny_config, run)
    said = capsys.readouterr().err
    assert f"checkpoints/{newest}: damaged" in said and "going on from step" in said
    same_run(trained, run)


def test_what_was_saved_later_makes_room_for_what_is_saved_again(tmp_path: pathlib.Path) -> None:
    def state(step: int) -> TrainState:
        return TrainState(
            jax.numpy.asarray(step), {"w": jax.numpy.full(3, step)}, {"m": jax.numpy.zeros(3)}
        )

    checkpoints = Checkpoints(tmp_path, metric="video_auc", writable=True)
    for step, auc in ((1, 0.9), (2, 0.5), (3, 0.6)):
        checkpoints.save(state(step), {"video_auc": auc})
    with pytest.raises(RuntimeError, match="step 2 was not saved"):  # and not passed over
        checkpoints.save(state(2), {"video_auc": 0.5})
    checkpoints.drop_after(1)
    assert list(checkpoints.steps()) == [1]
    checkpoints.save(state(2), {"video_auc": 0.5})
    checkpoints.close()
    assert steps(tmp_path) == [1, 2]


def test_what_a_kill_left_after_a_save_is_removed_at_the_next_start(tmp_path: pathlib.Path) -> None:
    def opened(*, writable: bool) -> Checkpoints:
        return Checkpoints(tmp_path / "run", metric="video_auc", writable=writable)

    def state(step: int) -> TrainState:
        array = jax.numpy.full(3, step)
        return TrainState(jax.numpy.asarray(step), {"w": array}, {"m": array})

    checkpoints = opened(writable=True)
    for step, auc in ((1, 0.5), (2, 0.9), (3, 0.6)):
        checkpoints.save(state(step), {"video_auc": auc})
        if step == 1:
            shutil.copytree(tmp_path / "run/checkpoints/1", tmp_path / "kept")
    checkpoints.close()
    assert steps(tmp_path / "run") == [2, 3]
    (tmp_path / "kept").rename(tmp_path / "run/checkpoints/1")  # as if its removal was cut off
    opened(writable=False).close()
    assert steps(tmp_path / "run") == [1, 2, 3]
    opened(writable=True).close()
    assert steps(tmp_path / "run") == [2, 3]


def test_an_edited_configuration_is_refused(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    text = (trained / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"margin": 1.0', '"margin": 2.0'))
    with pytest.raises(UserError, match=r"config\.json: damaged or edited"):
        read_run(tmp_path)
