"""The script of docs/ runs on a run, and its number is what it claims."""

import pathlib
import runpy

import numpy as np
import pytest

from tests.conftest import call

SCRIPT = pathlib.Path(__file__).parents[2] / "docs" / "insight.py"


def test_the_silhouette_tells_groups_from_noise() -> None:
    group_silhouette = runpy.run_path(str(SCRIPT), run_name="insight")["group_silhouette"]
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(8)]
    groups = (names[:3], names[3:6])  # the last two are in none
    centres = np.repeat(np.eye(2, 16), 3, axis=0)
    near = np.concatenate([centres + 0.05 * rng.normal(size=(6, 16)), rng.normal(size=(2, 16))])
    found = group_silhouette(near, names, groups)
    assert found["silhouette"] > 0.7 and found["p"] < 0.2  # 2 of 20 splits are the true one
    noise = group_silhouette(rng.normal(size=(8, 16)), names, groups)
    assert noise["silhouette"] < 0.3


def test_the_script_runs_on_a_run(trained: pathlib.Path) -> None:
    done = call("docs.insight", f"--workdir={trained}", "--split=val")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "category weights: entropy" in done.stdout
    assert "of   2" in done.stdout  # videos of a category


def test_a_folder_that_is_no_run_is_one_line(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("sklearn")
    done = call("docs.insight", f"--workdir={tmp_path}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "is not a workdir" in done.stderr
