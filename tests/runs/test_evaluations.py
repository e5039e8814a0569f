"""The evaluation folder: what is written is what is read, and damage is one line."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.runs.evaluations import (
    find_evaluations,
    read_evaluation,
    read_metrics,
    stored_seeds,
    write_evaluation,
)

METRICS = {
    "frame_auc": 0.5,
    "step": 7,
    "split": "val",
    "dataset": "d",
    "num_segments": 0,
}


ARRAYS = {"video_ids": np.array(["v0", "v1"]), "scores": np.linspace(0, 1, 7, dtype=np.float32)}
ROWS = [{"video_id": "v0", "label": "a,b"}, {"video_id": "v1", "label": "Normal"}]


def write(folder: pathlib.Path, metrics: dict = METRICS) -> list[str]:
    return write_evaluation(folder, metrics, ARRAYS, rows=ROWS, events={"videos": {}})


def test_what_is_read_is_what_was_written(tmp_path: pathlib.Path) -> None:
    names = write(tmp_path / "eval")
    assert names == ["events.json", "metrics.json", "scores.npz", "videos.csv"]
    metrics, arrays = read_evaluation(tmp_path / "eval")
    assert metrics == read_metrics(tmp_path / "eval") == METRICS
    assert arrays.keys() == ARRAYS.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, ARRAYS[name])
    assert (tmp_path / "eval" / "videos.csv").read_text().splitlines()[1] == 'v0,"a,b"'
    assert json.loads((tmp_path / "eval" / "events.json").read_text()) == {"videos": {}}


def test_what_is_drawn_appears_with_the_rest_or_not_at_all(tmp_path: pathlib.Path) -> None:
    def draw(folder: pathlib.Path) -> None:
        (folder / "figures").mkdir()
        if (tmp_path / "eval").exists():
            raise OSError("disk full")

    given = {"rows": ROWS, "events": {}, "draw": draw}
    names = write_evaluation(tmp_path / "eval", METRICS, ARRAYS, **given)
    assert "figures/" in names
    before = (tmp_path / "eval" / "metrics.json").read_bytes()
    with pytest.raises(UserError, match=r"eval: cannot be written \(disk full\)"):
        write_evaluation(tmp_path / "eval", {}, ARRAYS, **given)
    assert (tmp_path / "eval" / "metrics.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["eval"]


def test_a_workdir_stands_for_its_only_evaluation(tmp_path: pathlib.Path) -> None:
    one = tmp_path / "eval" / "one"
    write(one)
    assert find_evaluations(str(one)) == find_evaluations(str(tmp_path)) == [one]
    shutil.copytree(one, tmp_path / "eval" / "two")
    with pytest.raises(UserError, match=r"2 evaluations; name one of '.*one', '.*two'"):
        find_evaluations(str(tmp_path))
    with pytest.raises(UserError, match=r"no metrics\.json"):
        find_evaluations(str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="no folder matches"):
        find_evaluations(str(tmp_path / "none*"))
    with pytest.raises(UserError, match=r"no metrics\.json"):
        read_metrics(tmp_path / "nothing")


def test_every_damage_is_one_message(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "eval"
    write(folder)
    for content in (b"PK nothing", b""):
        (folder / "scores.npz").write_bytes(content)
        with pytest.raises(UserError, match="eval: damaged; evaluate again"):
            read_evaluation(folder)
    for text in ("{", "[1]", "[" * 100_000, "\udcff"):
        (folder / "metrics.json").write_text(text, encoding="utf-8", errors="surrogateescape")
        with pytest.raises(UserError, match="eval: damaged; evaluate again"):
            read_metrics(folder)


def test_seeds_that_were_evaluated_are_read_in_order(tmp_path: pathlib.Path) -> None:
    for seed in (10, 9, 2):
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        (folder / "config.json").touch()
        if seed != 9:
            write(folder / "eval" / "best", {"seed": seed})
    assert stored_seeds(tmp_path, "best") == [{"seed": 2}, {"seed": 10}]


def test_nothing_else_names_the_files_of_the_folder() -> None:
    """A second writer or reader would be a second fact about what is in it."""
    root = pathlib.Path(__file__).parents[2]
    for folder in ("refinevad_jax", "data_prep", "benchmarks"):
        for path in (root / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if path != root / "refinevad_jax" / "runs" / "evaluations.py":
                names = ('"metrics.json"', '"scores.npz"', '"videos.csv"')
                assert not [name for name in names if name in text], path
