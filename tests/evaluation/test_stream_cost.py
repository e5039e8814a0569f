"""An evaluation of streams: thresholds that detection takes, numbers beside the offline ones."""

import json
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest

from refinevad_jax.detection.detector import Detector
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.model_card import publish
from refinevad_jax.evaluation.run import Settings, evaluate
from refinevad_jax.evaluation.stream_cost import evaluate_stream, evaluate_stream_seeds
from refinevad_jax.runs.stream_points import read_points

QUIET = Settings(num_curves=0, report=False, verbose=False)


@pytest.fixture(scope="module")
def workdir(trained: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    copy = tmp_path_factory.mktemp("streams") / "run"
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("eval"))
    return copy


@pytest.fixture(scope="module")
def content(workdir: pathlib.Path) -> dict[str, Any]:
    settings = Settings(0, 0.2, report=False, verbose=False)
    return evaluate_stream(workdir, split="test", step="best", settings=settings)


def test_it_says_what_differs_from_offline_scores(
    workdir: pathlib.Path, content: dict[str, Any]
) -> None:
    folder = workdir / "eval" / "tiny-test-best-stream"
    assert json.loads((folder / "metrics.json").read_text()) == content
    offline = evaluate(workdir, split="test", step="best", settings=QUIET)
    for key in ("frame_auc", "frame_ap", "anomalous_frame_auc", "video_auc"):
        assert content["stream"]["stream"][key] == content[key]
        assert content["stream"]["offline"][key] == offline[key]
    assert content["truth_hash"] == offline["truth_hash"]
    assert content["stream"]["thresholds_from"] == "val"
    points = content["stream"]["operating_points"]
    assert [point["target_false_alarm_rate"] for point in points] == [0.001, 0.01, 0.05, 0.2]
    with np.load(folder / "scores.npz") as arrays:
        ids, offsets, scores = arrays["video_ids"], arrays["offsets"], arrays["scores"]
        highest = np.maximum.reduceat(scores, offsets[:-1])
        anomalous = arrays["labels"].any(axis=1)
    assert len(ids) == 12
    for point in points:
        found = (highest[anomalous] >= point["threshold"]).mean()
        assert point["anomalous_videos_found"] == pytest.approx(found)
        assert point["num_events"] == anomalous.sum() and 0 <= point["events_missed"] <= 1
    assert points[-1]["events_missed"] < 1 and points[-1]["median_delay_seconds"] >= 16 / 25
    assert points[-1]["detection_rate"] >= points[0]["detection_rate"]


def test_detection_takes_the_thresholds_for_streams_alone(
    workdir: pathlib.Path, content: dict[str, Any]
) -> None:
    detector = Detector(workdir, "best")
    points = content["stream"]["operating_points"]
    found = detector.stream_threshold(None, None)
    assert found.value == points[1]["threshold"]
    assert found.source == "1 % false alarms on val, replayed as streams"
    assert detector.stream_threshold(None, 0.2).value == points[-1]["threshold"]
    other = detector.stream_threshold(None, None, 7)
    assert other.value == found.value and other.source.endswith("with --window=64, not 7")
    assert detector.stream_threshold(0.3, None).source == "given"
    with pytest.raises(
        UserError, match=r"--false_alarm_rate=0.3; run .* --stream --false_alarm_ra"
    ):
        detector.stream_threshold(None, 0.3)
    whole = detector.threshold(None, None)  # no evaluation of streams gives one for whole videos
    assert whole.value != found.value and "stream" not in whole.source


def test_the_thresholds_keep_their_rate_on_the_selection_split(workdir: pathlib.Path) -> None:
    found = evaluate_stream(workdir, split="val", step="best", settings=QUIET)
    stored = read_points(workdir, found["step"])
    assert stored is not None and stored["split"] == "val" and stored["window"] == 64
    for point, stored_point in zip(
        found["stream"]["operating_points"], stored["operating_points"], strict=True
    ):
        assert point["false_alarm_rate"] <= point["target_false_alarm_rate"]
        assert stored_point.items() <= point.items()


def test_without_them_detection_says_that_the_offline_one_is_used(trained: pathlib.Path) -> None:
    found = Detector(trained, "best").stream_threshold(None, None)
    assert "; not made for streams, run python -m refinevad_jax.evaluate" in found.source
    assert "--stream" in found.source


def test_a_published_run_has_them(workdir: pathlib.Path, content: dict[str, Any]) -> None:
    publish(workdir, workdir.parent / "small", step="best", about="# Tiny")
    assert (workdir.parent / "small" / "stream.json").is_file()
    expected = Detector(workdir, "best").stream_threshold(None, None)
    assert Detector(workdir.parent / "small", "best").stream_threshold(None, None) == expected


def test_damaged_and_foreign_files(workdir: pathlib.Path, content: dict[str, Any]) -> None:
    path = workdir / "stream.json"
    text = path.read_text()
    assert read_points(workdir, content["step"] + 1) is None
    for damaged in (
        "{",
        "[]",
        "{}",
        text.replace('"threshold"', '"x"'),
        text.replace("0.001", "7"),
    ):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"stream.json: damaged; evaluate --stream writes it"):
            read_points(workdir, content["step"])
    path.write_text(text)


def test_a_folder_without_a_run(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="is not a workdir"):
        evaluate_stream_seeds(tmp_path, split="val", step="best")


def test_the_report_shows_what_streaming_costs(workdir: pathlib.Path) -> None:
    settings = Settings(num_curves=0, verbose=False)
    found = evaluate_stream(workdir, split="test", step="best", settings=settings)
    page = (workdir / "eval" / "tiny-test-best-stream" / "report.html").read_text()
    block = page.split("<h3>Streaming against whole videos</h3>")[1].split("</table>")[0]
    for name in ("stream", "offline"):
        assert f"{found['stream'][name]['frame_auc']:.4f}" in block
    assert "AP, first 5 s of events" in block and "events are never found" in block
    alarm = found["alarm_threshold"]  # of the selection split, as detection takes it
    assert alarm["threshold"] == found["stream"]["operating_points"][1]["threshold"]
    assert alarm["source"] == "1 % false alarms on val, replayed as streams"
    assert found["calibration"]["note"].endswith("whole videos of val, not on streams")
