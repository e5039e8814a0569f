"""What tests of runs share: a run of two seeds, and how runs are compared."""

import pathlib

import jax
import numpy as np
import pytest

from refinevad_jax import analysis
from refinevad_jax.runs.checkpoints import Checkpoints
from refinevad_jax.runs.metric_rows import read_rows
from refinevad_jax.training import loop
from tests.conftest import NUM_CHANNELS, make_tiny_config


def scores(workdir: pathlib.Path) -> np.ndarray:
    """Scores of random bags by the last checkpoint."""
    features = np.random.default_rng(0).normal(size=(4, 12, NUM_CHANNELS)).astype(np.float32)
    model = analysis.load_model(workdir, "last")
    return np.asarray(jax.jit(lambda x: model(x, np.ones(x.shape[:2], bool)).scores)(features))


def losses(workdir: pathlib.Path) -> list[float]:
    return [row["loss"] for row in read_rows(workdir / "metrics.jsonl") if "loss" in row]


def steps(workdir: pathlib.Path) -> list[int]:
    """The checkpoints that are kept."""
    checkpoints = Checkpoints(workdir, metric="video_auc")
    found = list(checkpoints.steps())
    checkpoints.close()
    return found


@pytest.fixture(scope="session")
def pair(tiny_data: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Seeds 0 and 1 of the configuration that the fixture `trained` ran with seed 0."""
    config = make_tiny_config(tiny_data)
    config.num_seeds = 2
    workdir = tmp_path_factory.mktemp("pair")
    loop.train(config, workdir)
    return workdir
