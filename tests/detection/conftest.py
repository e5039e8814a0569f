"""A detector on the tiny run, clips of coloured frames, and an encoder that needs no weights."""

import dataclasses
import pathlib

import numpy as np
import pytest

from refinevad_jax.detection.detector import Detector
from refinevad_jax.encoders.encoder import VisualEncoder
from tests.browser import browser

__all__ = ["browser"]

WIDTH = 24  # of the tiny data set, tests/conftest.py


@pytest.fixture(scope="session")
def detector(trained: pathlib.Path) -> Detector:
    """As if trained on one crop: the tiny set has two, which are not cut from videos."""
    found = Detector(trained, "best")
    assert found.run.num_crops == 2
    found.run = dataclasses.replace(found.run, num_crops=1)
    return found


@pytest.fixture(scope="session")
def encoder() -> VisualEncoder:
    """Random projections of the mean colour of 4 x 4 blocks; "random" is the tiny set's encoder."""
    weights = np.random.default_rng(0).normal(size=(3 * 16, WIDTH)) / 10

    def encode(segments: np.ndarray) -> np.ndarray:
        blocks = segments.reshape(len(segments), 16, 4, 56, 4, 56, 3).mean(axis=(1, 3, 5))
        return ((blocks.reshape(len(segments), -1) / 64 - 2) @ weights).astype(np.float32)

    return VisualEncoder("random", WIDTH, "", encode)


def coloured(count: int, seed: int = 0) -> list[np.ndarray]:
    """Frames whose colour changes every 16."""
    colours = np.random.default_rng(seed).integers(0, 256, (count // 16 + 1, 3))
    return [np.full((48, 64, 3), colours[i // 16], np.uint8) for i in range(count)]


@pytest.fixture
def clip(tmp_path: pathlib.Path) -> pathlib.Path:
    pytest.importorskip("av", reason="pip install av")
    from refinevad_jax.encoders.video_writer import write_video

    path = tmp_path / "clip.mp4"
    write_video(path, coloured(16 * 9 + 5), fps=25)
    return path
