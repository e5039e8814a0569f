"""The evaluation folder: what is written is what is read, and damage is one line."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.runs.evaluations import (
    Evaluation,
    StoredVideo,
    find_evaluation,
    operating_points,
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
    "operating_point": {"threshold": 0.9, "target_false_alarm_rate": 0.01},
}


def evaluation(*, maps: bool = False) -> Evaluation:
    rng = np.random.default_rng(0)
    videos = [
        StoredVideo(
            video_id=f"v{number}",
            labels=np.array([number > 0, False]),
            scores=rng.random(length).astype(np.float32),
            video_score=float(rng.random()),
            category_probs=rng.random(2).astype(np.float32),
            category_weights=rng.random(2).astype(np.float32),
            shift_ratio=rng.random(length).astype(np.float32),
            spans=np.full((number, 3), number, np.int32),
            has_truth=number < 2,
            evaluated_frames=16 * length,
            category_map=rng.random((length, 3)).astype(np.float32) if maps else None,
        )
        for number, length in enumerate((3, 5, 1))
    ]
    return Evaluation(METRICS, ("a", "b"), videos)


def write(folder: pathlib.Path, content: Evaluation) -> list[str]:
    rows = [{"video_id": video.video_id, "label": "a,b"} for video in content.videos]
    return write_evaluation(folder, content, rows=rows, events={"videos": {}})


@pytest.mark.parametrize("maps", [False, True])
def test_what_is_read_is_what_was_written(tmp_path: pathlib.Path, maps: bool) -> None:
    written = evaluation(maps=maps)
    names = write(tmp_path / "eval", written)
    assert names == ["events.json", "metrics.json", "scores.npz", "videos.csv"]
    found = read_evaluation(tmp_path / "eval")
    assert (found.metrics, found.categories) == (METRICS, ("a", "b"))
    for one, other in zip(found.videos, written.videos, strict=True):
        for field in dataclasses.fields(StoredVideo):
            value = getattr(one, field.name)
            np.testing.assert_array_equal(value, getattr(other, field.name), err_msg=field.name)
    assert (tmp_path / "eval" / "videos.csv").read_text().splitlines()[1] == 'v0,"a,b"'


def test_what_is_drawn_appears_with_the_rest_or_not_at_all(tmp_path: pathlib.Path) -> None:
    def draw(folder: pathlib.Path) -> None:
        (folder / "figures").mkdir()
        if (tmp_path / "eval").exists():
            raise OSError("disk full")

    content, rows = evaluation(), [{"video_id": "v"}]
    names = write_evaluation(tmp_path / "eval", content, rows=rows, events={}, draw=draw)
    assert "figures/" in names
    before = (tmp_path / "eval" / "metrics.json").read_bytes()
    later = dataclasses.replace(content, metrics={})
    with pytest.raises(UserError, match=r"eval: cannot be written \(disk full\)"):
        write_evaluation(tmp_path / "eval", later, rows=rows, events={}, draw=draw)
    assert (tmp_path / "eval" / "metrics.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["eval"]


def test_a_workdir_stands_for_its_only_evaluation(tmp_path: pathlib.Path) -> None:
    one = tmp_path / "eval" / "one"
    write(one, evaluation())
    assert find_evaluation(one) == one
    assert find_evaluation(tmp_path) == one
    shutil.copytree(one, tmp_path / "eval" / "two")
    with pytest.raises(UserError, match=r"2 evaluations; name one of .*one, .*two"):
        find_evaluation(tmp_path)
    with pytest.raises(UserError, match=r"no metrics\.json"):
        find_evaluation(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"no metrics\.json"):
        read_metrics(tmp_path / "nothing")


def test_every_damage_is_one_message(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "eval"
    write(folder, evaluation())
    arrays = dict(np.load(folder / "scores.npz"))
    damages: list[dict[str, np.ndarray]] = [
        {"offsets": np.zeros(2)},
        {"labels": np.zeros((3, 1), bool)},
        {"scores": np.zeros(2, np.float32)},
        {"video_ids": np.array("v")},
    ]
    for damage in damages:
        np.savez(folder / "scores.npz", **(arrays | damage))
        with pytest.raises(UserError, match="eval: damaged; evaluate again"):
            read_evaluation(folder)
    for content in (b"PK nothing", b""):
        (folder / "scores.npz").write_bytes(content)
        with pytest.raises(UserError, match="eval: damaged; evaluate again"):
            read_evaluation(folder)
    for text in ("{", "[1]", "[" * 100_000, "\udcff"):
        (folder / "metrics.json").write_text(text, encoding="utf-8", errors="surrogateescape")
        with pytest.raises(UserError, match="eval: damaged; evaluate again"):
            read_metrics(folder)


def test_thresholds_are_those_of_readable_evaluations(tmp_path: pathlib.Path) -> None:
    for name in ("good", "without", "damaged"):
        write(tmp_path / "eval" / name, evaluation())
    point = {"threshold": None, "target_false_alarm_rate": 0.01}
    without = json.dumps(METRICS | {"operating_point": point})
    (tmp_path / "eval" / "without" / "metrics.json").write_text(without)
    (tmp_path / "eval" / "damaged" / "metrics.json").write_text("{")
    assert operating_points(tmp_path) == [(tmp_path / "eval" / "good", METRICS)]


def test_seeds_that_were_evaluated_are_read_in_order(tmp_path: pathlib.Path) -> None:
    for seed in (10, 9, 2):
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        (folder / "config.json").touch()
        if seed != 9:
            content = dataclasses.replace(evaluation(), metrics={"seed": seed})
            write(folder / "eval" / "best", content)
    assert stored_seeds(tmp_path, "best") == [{"seed": 2}, {"seed": 10}]
