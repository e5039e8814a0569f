"""The table of metrics: an entry is enough for a number to appear wherever metrics are shown."""

import json
import math
import pathlib

import numpy as np
import pytest

from refinevad_jax import config
from refinevad_jax.evaluation import comparison
from refinevad_jax.evaluation.numbers import measure
from refinevad_jax.evaluation.run import Settings, write_evaluation
from refinevad_jax.metrics import names
from refinevad_jax.metrics.names import Metric
from refinevad_jax.report import compare_page, ladder_table, tables
from refinevad_jax.report.ladder_table import LadderRow
from refinevad_jax.runs.evaluations import read_metrics
from tests.report.test_page import PROTOCOL, scored_split

TITLE = "highest of all scores"


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of a metric that exists in this test alone."""
    every = (names.EVALUATION, names.SEEDS, names.RESULTS, names.VERDICTS, names.SELECTION)
    metric = Metric(
        "highest", TITLE, "a note", names.VIDEO, lambda arrays: arrays.video_scores.max(), every
    )
    monkeypatch.setattr(names, "METRICS", (*names.METRICS, metric))
    return metric.key


def test_one_entry_brings_a_metric_into_every_table(
    extended: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split, folder = scored_split(), tmp_path / "evaluation"
    content = write_evaluation(split, PROTOCOL, folder, Settings(num_curves=0))
    value = split.arrays.video_scores.max()
    assert json.loads((folder / "metrics.json").read_text())[extended] == value
    assert f"{TITLE:38s} {value:.4f}" in capsys.readouterr().out
    assert TITLE in (folder / "report.html").read_text(encoding="utf-8")

    assert f"{TITLE:24s} {value:.4f} ± 0.0000" in tables.seeds_table([content, content])
    assert TITLE in tables.result_table({"row": {folder: read_metrics(folder)}})
    rows = [LadderRow(name, "a part", None, [content, content], {}) for name in ("base", "full")]
    text = ladder_table.write(tmp_path, rows, base="base", full="full")
    assert f"{TITLE} minus full" in text
    assert f"{TITLE} 0.000, no interval" in text
    assert extended in (tmp_path / "ladder.csv").read_text().splitlines()[0]
    assert TITLE in (tmp_path / "ladder.html").read_text(encoding="utf-8")

    runs = [comparison.read_compared(name, [folder]) for name in ("one", "two")]
    compare_page.write_page(tmp_path / "compare.html", comparison.comparison(runs))
    assert TITLE in (tmp_path / "compare.html").read_text(encoding="utf-8")
    labels = split.arrays.labels
    found = names.selection_metrics(labels, split.arrays.video_scores, np.zeros((len(labels), 0)))
    assert found[extended] == value


def test_an_evaluation_of_before_shows_a_dash_for_a_new_metric(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "evaluation"
    content = write_evaluation(scored_split(), PROTOCOL, folder, Settings(0, 0.01, False, False))
    later = Metric("later", TITLE, "", names.VIDEO, None, (names.EVALUATION, names.RESULTS))
    monkeypatch.setattr(names, "METRICS", (*names.METRICS, later))
    assert f"{TITLE:38s} not defined" in tables.evaluation_table(content)
    assert "| – |" in tables.result_table({"row": {folder: content}})


def test_selection_takes_the_metrics_of_the_evaluation() -> None:
    arrays = scored_split().arrays
    measured = names.measured(arrays)
    labels, scores = arrays.labels, arrays.video_scores
    found = names.selection_metrics(labels, scores, arrays.category_probs)
    assert list(found) == ["video_auc", "video_ap", "category_accuracy"]
    assert found == {key: measured[key] for key in found}
    found = names.selection_metrics(labels, scores, np.zeros((len(labels), 0)))
    assert list(found) == ["video_auc", "video_ap"]
    # "step" is of the checkpoint and no metric: the last one.
    assert set(config.CHOICES["train.selection_metric"]) - {"step"} <= found.keys()


def test_a_metric_is_found_by_its_dotted_key() -> None:
    metric = Metric("a.b.c", "", "", names.LOCALIZATION, None)
    assert metric.of({"a": {"b": {"c": 0.5}}}) == 0.5
    assert metric.of({"a": {"b": None}}) is None
    assert metric.of({}) is None


def test_ano_auc_by_truth_leaves_out_videos_whose_spans_are_cut_away() -> None:
    arrays = names.SplitArrays(
        labels=np.array([[True], [True]]),
        video_scores=np.array([0.9, 0.8]),
        category_probs=np.zeros((2, 0)),
        truth=np.array([False, True, False, False]),
        scores=np.array([0.1, 0.5, 0.9, 0.9]),
        lengths=np.array([2, 2]),
        with_truth=np.array([True, True]),
        normal_scores=np.zeros(0),
    )
    found = names.measured(arrays)
    assert found["anomalous_frame_auc"] == pytest.approx(1 / 3)
    assert found["anomalous_frame_auc_by_truth"] == 1
    assert "category_accuracy" not in found and math.isnan(found["false_alarm_rate"])


def test_position_alone_is_a_reference_beside_the_run() -> None:
    arrays = scored_split().arrays
    found = names.position_only(arrays)
    assert list(found) == list(names.POSITION_ONLY)
    assert all(0 < value < 1 for value in found.values())
    assert found["frame_auc"] != names.measured(arrays)["frame_auc"]
    content = measure(scored_split()) | PROTOCOL
    assert content["position_only"] == found
    assert content["mixture_target"] is None  # these scores are not of a run with L_GMM
    rows = tables.metric_rows(content)[-len(found) :]
    assert [row["value"] for row in rows] == list(found.values())
    assert rows[0]["name"] == "frame AUC, position only"


def test_recall_is_that_of_the_operating_point_and_auc_inside_videos_has_an_interval() -> None:
    content = measure(scored_split())
    points = {
        p["target_false_alarm_rate"]: p["detection_rate"] for p in content["operating_points"]
    }
    assert content["recall_at_10_per_mille"] == points[0.01]
    recalls = [content[f"recall_at_{rate}_per_mille"] for rate in (1, 10, 50)]
    assert recalls == sorted(recalls)
    interval = content["intervals"]["single_video_auc"]
    assert interval["value"] == pytest.approx(content["single_video_auc"])
    assert interval["low"] <= interval["value"] <= interval["high"]


def test_keys_are_unique_and_tables_known() -> None:
    keys = [metric.key for metric in names.METRICS]
    assert len(set(keys)) == len(keys)
    known = {names.EVALUATION, names.SEEDS, names.RESULTS, names.VERDICTS, names.PROBES}
    known |= {names.SELECTION}
    assert {table for metric in names.METRICS for table in metric.tables} == known
