"""Runs side by side: what is paired, what is not, and why."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

from refinevad_jax.data.bags import read_info, read_split
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.comparison import comparison, read_compared
from refinevad_jax.evaluation.run import Settings, evaluate, evaluate_scores
from refinevad_jax.metrics import names
from refinevad_jax.report import compare_page

QUICK = Settings(num_curves=0, report=False)


@pytest.fixture(scope="module")
def folders(
    trained: pathlib.Path, tiny_data: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, pathlib.Path]:
    """A run, the same as foreign scores, the same without noise, and another split."""
    folder = tmp_path_factory.mktemp("runs")
    evaluate(trained, split="test", step="last", settings=QUICK)
    evaluate(trained, split="val", step="last", settings=QUICK)
    run = trained / "eval" / "tiny-test-last"
    stored = dict(np.load(run / "scores.npz"))
    parts = np.split(stored["scores"], stored["offsets"][1:-1])
    worse = [1 - part for part in parts]
    for name, scores in (("same", parts), ("worse", worse)):
        ids = stored["video_ids"].tolist()
        np.savez(folder / f"{name}.npz", **dict(zip(ids, scores, strict=True)))
        evaluate_scores(
            folder / f"{name}.npz",
            read_info(str(tiny_data), "tiny"),
            read_split(str(tiny_data), "tiny", "test"),
            split="test",
            folder=folder / name,
            settings=QUICK,
        )
    return {
        "run": run,
        "val": trained / "eval" / "tiny-val-last",
        "same": folder / "same",
        "worse": folder / "worse",
    }


def test_stored_frames_give_the_numbers_of_the_evaluation(folders) -> None:
    run = read_compared("run", [folders["run"]])
    (split,), (metrics,) = run.splits, run.metrics
    assert len(split.arrays.truth) == metrics["num_frames"]
    assert split.arrays.truth.sum() == metrics["num_positive_frames"]
    found = comparison([run, run])["differences"][0]["rows"]
    located = metrics["localization"]["proposals"]["anomaly"]["mean"]
    assert found[names.PROPOSALS_MAP]["values"] == [pytest.approx(located)]
    assert found["frame_auc"]["value"] == 0
    assert found["frame_auc"]["p_value"] == 1


def test_differences_are_those_of_the_numbers_and_keep_their_sign(folders) -> None:
    runs = [read_compared(name, [folders[name]]) for name in ("run", "same", "worse")]
    content = comparison(runs)
    same, worse = (found["rows"] for found in content["differences"])
    place = ("anomalous_frame_auc", "single_video_auc")
    for key in ("frame_auc", "frame_ap", "video_auc", "video_ap", *place):
        assert same[key]["value"] == pytest.approx(0, abs=1e-6)
        expected = runs[2].metrics[0][key] - runs[0].metrics[0][key]
        assert worse[key]["value"] == pytest.approx(expected)
        assert worse[key]["low"] <= worse[key]["value"] <= worse[key]["high"]
    assert worse["frame_auc"]["value"] < 0
    # Scores of others name no category here: no mAP@IoU to compare.
    assert names.PROPOSALS_MAP not in worse
    assert worse["frame_auc"]["p_value"] < same["frame_auc"]["p_value"] == 1
    json.dumps(content, allow_nan=False)


def test_a_group_is_compared_by_the_means_of_its_seeds(folders) -> None:
    group = read_compared("group", [folders["same"], folders["worse"]])
    content = comparison([read_compared("run", [folders["run"]]), group])
    (found,) = content["differences"]
    assert found["seeds"] == [2, 1]
    row = found["rows"]["frame_auc"]
    values = [metrics["frame_auc"] for metrics in group.metrics]
    assert row["values"] == pytest.approx(values)
    assert row["value"] == pytest.approx(np.mean(values) - values[0])
    # With seeds this far apart nothing is shown.
    assert row["low"] < 0 < row["high"] and row["p_value"] > 0.05
    json.dumps(content, allow_nan=False)


def test_a_fact_of_one_run_alone_is_shown_in_both_orders(folders, tmp_path: pathlib.Path) -> None:
    runs = [read_compared(name, [folders["run"]]) for name in ("one", "other")]
    runs[0].metrics[0]["inputs"] = "features less something"
    for order in (runs, runs[::-1]):
        compare_page.write_page(tmp_path / "c.html", comparison(order))
        assert "features less something" in (tmp_path / "c.html").read_text()


def test_seeds_of_a_group_must_be_measured_on_the_same(folders) -> None:
    with pytest.raises(UserError, match=r"seeds of .group. differ: split is .val. in"):
        read_compared("group", [folders["run"], folders["val"]])


def test_other_videos_are_not_paired(folders) -> None:
    runs = [read_compared(name, [folders[name]]) for name in ("run", "val")]
    (found,) = comparison(runs)["differences"]
    assert found["rows"] == {}
    assert found["reason"] == "other videos, or in another order"


def test_another_truth_leaves_video_level_numbers(folders) -> None:
    run = read_compared("run", [folders["run"]])
    other = read_compared("other", [folders["same"]])
    other.metrics[0]["truth_hash"] = "0" * 64
    (found,) = comparison([run, other])["differences"]
    assert set(found["rows"]) == {"video_auc", "video_ap"}
    assert "other frame truth" in found["reason"]


def test_damaged_folders_and_other_categories_are_refused(folders, tmp_path: pathlib.Path) -> None:
    shutil.copytree(folders["run"], tmp_path / "run")
    (tmp_path / "run" / "scores.npz").write_bytes(b"PK nothing")
    with pytest.raises(UserError, match="run: damaged; evaluate again"):
        read_compared("run", [tmp_path / "run"])
    run, other = (read_compared(name, [folders["run"]]) for name in ("run", "other"))
    other = dataclasses.replace(other, categories=["Z", *other.categories[1:]])
    with pytest.raises(UserError, match="other knows the categories Z, B, C"):
        comparison([run, other])
