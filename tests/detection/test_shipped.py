"""Detection without --workdir: the detector that ships is found, named, and flags fights."""

import json
import pathlib
import subprocess

import pytest

from refinevad_jax import analysis
from refinevad_jax.detection.detector import SHIPPED, Detector
from refinevad_jax.encoders import i3d
from tests.conftest import call
from tests.detection.conftest import coloured


def detect(folder: pathlib.Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """As a user does, in a folder that is not the project's."""
    return call("refinevad_jax.detect", *flags, cwd=folder)


def test_it_is_small_and_describes_itself() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 3e6
    assert "| false alarms, % | threshold |" in (SHIPPED / "README.md").read_text()
    detector = Detector(SHIPPED, "best")
    assert detector.run.info.name == "survfight" and detector.run.info.encoder == i3d.NAME
    assert detector.categories == ("Fighting",)
    assert detector.threshold(None, None).source == "1 % false alarms on val"
    assert detector.notes() == [] and detector.rule.calibration is not None
    assert analysis.load_model(SHIPPED).core is not None


def test_a_video_without_a_run(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("av", reason="pip install av")
    from refinevad_jax.encoders.video_writer import write_video

    write_video(tmp_path / "clip.mp4", coloured(40), fps=25)
    done = detect(tmp_path, "--input=clip.mp4")
    assert done.returncode == 0, done.stderr
    first, second, third, *_ = done.stdout.splitlines()
    assert first.startswith("no --workdir: using the detector that ships, trained on surveillance")
    assert first.endswith(f"model card: {SHIPPED / 'README.md'}")
    assert second.startswith("threshold 0.") and ": 1 % false alarms on val, where" in second
    assert second.endswith(" % of the anomalous videos reach it")
    assert third == "no --output: writing to the folder found"
    content = json.loads((tmp_path / "found" / "events.json").read_text())
    assert content["threshold_source"] == "1 % false alarms on val"
    assert content["videos"][0]["num_segments"] == 2
    page = (tmp_path / "found" / "clip.html").read_text()
    assert "(1 % false alarms on val)" in page and "into bags is made up" in page

    streamed = detect(tmp_path, "--input=clip.mp4", "--stream", "--window=2")
    assert streamed.returncode == 0, streamed.stderr
    assert [json.loads(line)["segment"] for line in streamed.stdout.splitlines()] == [0, 1]
    assert "no --workdir: using the detector that ships" in streamed.stderr


def test_real_clips(shared_data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Of a source that is in the test split: fi001 is a fight, nofi001 is not."""
    clips = shared_data / "clips" / "from-licensed-repos"
    done = detect(tmp_path, f"--input={clips / 'fi001.mp4'}", f"--input={clips / 'nofi001.mp4'}")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "found" / "events.json").read_text())
    found = {video["name"]: video["events"] for video in content["videos"]}
    assert [event["category"] for event in found["fi001"]] == ["Fighting"]
    assert found["nofi001"] == []
