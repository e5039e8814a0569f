"""Batches and seeds over a mesh of devices, and over processes: the numbers of one device."""

import pathlib
import re
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
from ml_collections import ConfigDict

from refinevad_jax.errors import UserError
from refinevad_jax.runtime import processes
from refinevad_jax.training import loop
from refinevad_jax.training.placement import mesh_shape
from tests.conftest import LONG, ROOT
from tests.training.conftest import losses, scores

only_long = pytest.mark.skipif(
    not LONG, reason="two processes compile the same programs: make test-faults"
)
# Runs: data folder, workdir, devices, seeds, the flags that connect processes, and the epoch after
# which this one is killed.
PROGRAM = """
import jax, os, pathlib, signal, sys
data, workdir, devices, seeds, coordinator, count, index, last = (*sys.argv[1:], '')[:8]
jax.config.update('jax_num_cpu_devices', int(devices))
from refinevad_jax.runtime import processes
processes.connect(coordinator, int(count) if count else None, int(index) if index else None)
from tests.conftest import make_tiny_config
from refinevad_jax.training import dispatch, loop
config = make_tiny_config(pathlib.Path(data))
config.num_seeds = int(seeds)
made = []
place = dispatch.placement
dispatch.placement = lambda *sizes: made.append(place(*sizes)) or made[-1]
finish = loop.Training._finish_epoch
def finish_or_die(self, state, metrics, epoch):
    found = finish(self, state, metrics, epoch)
    if str(epoch) == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
loop.Training._finish_epoch = finish_or_die
loop.train(config, pathlib.Path(workdir))
print('mesh', dict(made[0].mesh.shape), 'local', len(jax.local_devices()), file=sys.stderr)
"""


def start(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def start_two(
    data: str, workdir: pathlib.Path, devices: int, dies: int = -1
) -> list["subprocess.Popen[str]"]:
    """Two processes of one run. dies: the one that is killed after the second epoch."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    last = ["2" if index == dies else "" for index in (0, 1)]
    return [start(data, workdir, devices, 1, coordinator, 2, i, last[i]) for i in (0, 1)]


def end(both: list["subprocess.Popen[str]"]) -> None:
    for process in both:
        process.kill()
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    output, errors = process.communicate(timeout=480)
    assert process.returncode == 0, errors[-3000:]
    return output, errors


@pytest.mark.parametrize(
    ("devices", "seeds", "batch", "expected"),
    [
        (1, 5, 64, (1, 1)),
        (4, 1, 64, (1, 4)),
        (4, 2, 64, (2, 2)),
        (8, 5, 64, (1, 8)),
        (4, 4, 64, (4, 1)),
        (3, 1, 64, (1, 2)),
    ],
)
def test_shape_of_the_mesh(devices: int, seeds: int, batch: int, expected: tuple[int, int]) -> None:
    assert mesh_shape(devices, seeds, batch) == expected


def test_seeds_and_batches_over_four_devices_go_on_from_one(
    pair: pathlib.Path, tiny_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    workdir = tmp_path / "run"
    shutil.copytree(pair, workdir)
    for seed in ("seed0", "seed1"):
        shutil.rmtree(workdir / seed / "checkpoints" / "9")
    output, errors = finish(start(tiny_data, workdir, 4, 2, "", "", ""))
    assert "continuing from step 6 of 9" in output
    assert "mesh {'seed': 2, 'data': 2}" in errors
    for seed in ("seed0", "seed1"):
        np.testing.assert_allclose(losses(workdir / seed), losses(pair / seed), rtol=1e-5)
        np.testing.assert_allclose(scores(workdir / seed), scores(pair / seed), atol=1e-5)


@only_long
def test_two_processes_train_as_one_and_write_once(
    trained: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two processes of two devices, a quarter of a batch each; then one device goes on."""
    both = start_two(tiny_config.data.data_dir, tmp_path, 2)
    try:
        (first, errors), (second, _) = [finish(process) for process in both]
    finally:
        end(both)
    assert "mesh {'seed': 1, 'data': 4} local 2" in errors
    assert "done: 9 steps" in first and "done" not in second
    np.testing.assert_allclose(losses(tmp_path), losses(trained), rtol=1e-5)
    np.testing.assert_allclose(scores(tmp_path), scores(trained), atol=1e-5)
    kept = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert kept == {path.name for path in (trained / "checkpoints").iterdir()}
    loop.train(tiny_config, tmp_path)
    assert "continuing from step 9 of 9" in capsys.readouterr().out


@pytest.mark.parametrize("dies", [0, pytest.param(1, marks=only_long)])
def test_a_process_that_dies_ends_the_other_and_one_goes_on(
    trained: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    dies: int,
) -> None:
    both = start_two(tiny_config.data.data_dir, tmp_path, 1, dies)
    try:
        both[dies].wait(timeout=300)
        _, errors = both[1 - dies].communicate(timeout=60)  # JAX alone: up to 400 seconds
    finally:
        end(both)
    assert both[1 - dies].returncode == 75
    said = [line for line in errors.splitlines() if "[Gloo]" not in line]
    assert len(said) == 1, errors
    assert said[0].startswith("error: another process of this run has ended")
    loop.train(tiny_config, tmp_path)
    assert re.search("continuing from step [36] of 9", capsys.readouterr().out)
    np.testing.assert_allclose(losses(tmp_path), losses(trained), rtol=1e-5)
    np.testing.assert_allclose(scores(tmp_path), scores(trained), atol=1e-5)


@only_long
def test_two_processes_go_on_from_one(
    trained: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "9")
    both = start_two(tiny_config.data.data_dir, tmp_path / "run", 1)
    try:
        (output, _), _ = [finish(process) for process in both]
    finally:
        end(both)
    assert "continuing from step 6 of 9" in output
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(trained), rtol=1e-5)
    np.testing.assert_allclose(scores(tmp_path / "run"), scores(trained), atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("", 2, 0), "need --coordinator"),
        (("localhost:1", 2, 2), "from 0 to N - 1"),
        (("localhost:1", None, None), "needs --num_processes"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    flags: tuple[str, int | None, int | None], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        processes.connect(*flags)
