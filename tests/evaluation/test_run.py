"""Evaluation of a finished run: files, numbers recomputed from them, refusals."""

import csv
import json
import pathlib
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from data_prep.dataset.write import write_dataset
from refinevad_jax import analysis
from refinevad_jax.data.bags import BagsInfo, Modality, read_split
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.detection.detector import Detector
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.run import Settings, check_features, evaluate
from refinevad_jax.runs.run import versions
from tests.conftest import TAXONOMY, tiny_videos

QUICK = Settings(num_curves=0, report=False)


@pytest.fixture(scope="module")
def result(trained: pathlib.Path) -> pathlib.Path:
    evaluate(trained, split="test", step="best", settings=Settings(num_curves=3))
    return trained / "eval" / "tiny-test-best"


def test_the_numbers_can_be_recomputed_from_the_files(
    result: pathlib.Path, tiny_data: pathlib.Path
) -> None:
    content = json.loads((result / "metrics.json").read_text())
    arrays = np.load(result / "scores.npz")
    bags = read_split(str(tiny_data), "tiny", "test")
    assert arrays["video_ids"].tolist() == [bag.video_id for bag in bags]
    truth, scores, anomalous = [], [], []
    for i, bag in enumerate(bags):
        part = np.repeat(arrays["scores"][arrays["offsets"][i] : arrays["offsets"][i + 1]], 16)
        frames = np.zeros(16 * bag.num_segments, bool)
        for start, end, _ in bag.spans:
            frames[start:end] = True
        assert part.shape == frames.shape
        truth.append(frames)
        scores.append(part)
        anomalous.append(np.full(len(frames), bag.anomalous))
    truth, scores, anomalous = map(np.concatenate, (truth, scores, anomalous))
    close = {"rel": 1e-9}
    assert content["frame_auc"] == pytest.approx(reference.roc_auc_score(truth, scores), **close)
    expected = reference.average_precision_score(truth, scores)
    assert content["frame_ap"] == pytest.approx(expected, **close)
    expected = reference.roc_auc_score(truth[anomalous], scores[anomalous])
    assert content["anomalous_frame_auc"] == pytest.approx(expected, **close)
    labels = np.array([bag.anomalous for bag in bags])
    expected = reference.roc_auc_score(labels, arrays["video_scores"])
    assert content["video_auc"] == pytest.approx(expected, **close)
    right = [bag.labels[p.argmax()] for bag, p in zip(bags, arrays["category_probs"], strict=True)]
    assert content["category_accuracy"] == pytest.approx(np.mean(np.array(right)[labels]))
    assert content["num_frames"] == len(truth)
    assert content["num_positive_frames"] == truth.sum()
    assert content["num_videos"] == 12
    assert content["simulated"] is True


def test_the_report_says_what_was_evaluated(result: pathlib.Path) -> None:
    content = json.loads((result / "metrics.json").read_text())
    assert content["dataset"] == "tiny"
    assert content["split"] == "test"
    assert content["step"] in (3, 6, 9)
    assert content["end_convention"] == "exclusive"
    assert len(content["truth_hash"]) == 64
    assert "'val'" in content["selection"]
    assert content["versions"] == content["trained_versions"] == versions()
    assert set(content["versions"]) >= {"python", "refinevad_jax", "jax", "orbax-checkpoint"}
    rows = list(csv.DictReader((result / "videos.csv").read_text().splitlines()))
    assert [row["video_id"] for row in rows] == [f"test{i:03d}" for i in range(12)]
    assert (result / "curves.png").stat().st_size > 1000
    assert len(list((result / "curves").glob("*.png"))) == 3
    names = sorted(path.name for path in (result / "figures").iterdir())
    assert names == ["classes.png", "classes.svg", "curves.png", "curves.svg"]
    assert "test000" in (result / "report.html").read_text()


def test_every_number_of_the_field_stands_in_the_file(result: pathlib.Path) -> None:
    content = json.loads((result / "metrics.json").read_text())
    assert content["frame_pr_auc"] != content["frame_ap"]
    assert content["anomalous_frame_auc_by_truth"] == content["anomalous_frame_auc"]
    for key in ("frame_auc", "frame_ap", "anomalous_frame_auc", "video_auc", "category_accuracy"):
        interval = content["intervals"][key]
        assert interval["value"] == pytest.approx(content[key])
        assert interval["low"] <= content[key] <= interval["high"]
    rows = content["per_category"]["categories"]
    assert [row["category"] for row in rows] == ["A", "B", "C"]
    assert [row["num_videos"] for row in rows] == [2, 2, 2]
    values = [row["one_vs_rest_auc"] for row in rows]
    assert content["per_category"]["mean"]["one_vs_rest_auc"] == pytest.approx(np.mean(values))
    for rule in ("legacy", "proposals"):
        found = content["localization"][rule]
        assert len(found["per_category"]) == 3
        for convention in ("legacy", "anomaly", "anomaly_interpolated", "class_agnostic"):
            assert found[convention]["mean"] == pytest.approx(np.mean(found[convention]["at"]))
            assert found[convention]["high"] == pytest.approx(np.mean(found[convention]["at"][2:]))
        # On this taxonomy, as on UCF-Crime, the column for normal has no truth.
        assert found["legacy"]["mean"] in (0, pytest.approx(0.75 * found["anomaly"]["mean"]))


def test_operating_points_keep_their_rates_and_events_are_those_of_detection(
    trained: pathlib.Path, result: pathlib.Path
) -> None:
    content = json.loads((result / "metrics.json").read_text())
    points = content["operating_points"]
    assert [point["target_false_alarm_rate"] for point in points] == [0.001, 0.01, 0.05]
    point = points[2]
    arrays = np.load(result / "scores.npz")
    rows = list(csv.DictReader((result / "videos.csv").read_text().splitlines()))
    normal = [
        np.repeat(arrays["scores"][arrays["offsets"][i] : arrays["offsets"][i + 1]], 16)
        for i, row in enumerate(rows)
        if row["label"] == "Normal"
    ]
    rate = float(np.mean(np.concatenate(normal) >= point["threshold"]))
    assert rate == point["false_alarm_rate"] <= 0.05
    assert sum(map(len, normal)) == 16 * point["num_normal_segments"]
    events = json.loads((result / "events.json").read_text())
    alarm = content["alarm_threshold"]
    default = Detector(trained, "best").threshold(None, None)
    assert (alarm["threshold"], alarm["source"]) == (default.value, default.source)
    assert events["threshold"] == alarm["threshold"]
    highest = [s.max() for s in np.split(arrays["scores"], arrays["offsets"][1:-1])]
    anomalous = arrays["labels"].any(axis=1)
    found = np.mean(np.array(highest)[anomalous] >= point["threshold"])
    assert found == point["anomalous_videos_found"]
    assert list(events["videos"]) == [row["video_id"] for row in rows]
    for i, row in enumerate(rows):
        found = events["videos"][row["video_id"]]
        assert len(found) == int(row["num_events"])
        highest = arrays["scores"][arrays["offsets"][i] : arrays["offsets"][i + 1]].max()
        assert bool(found) == (highest >= alarm["threshold"])
        for event in found:
            assert 0 <= event["start_frame"] < event["end_frame"] <= int(row["evaluated_frames"])
            assert event["start_seconds"] == event["start_frame"] / 25
            assert event["category"] in ("a", "b", "c")
    kinds = {row["label"] == "Normal": set() for row in rows}
    for row in rows:
        kinds[row["label"] == "Normal"].add(row["outcome"])
    assert kinds[True] <= {"quiet", "false alarm"}
    assert kinds[False] <= {"detected", "missed"}


def test_resampled_scores_are_mapped_back_to_frames(trained: pathlib.Path) -> None:
    content = evaluate(trained, split="test", step="last", num_segments=8, settings=QUICK)
    arrays = np.load(trained / "eval" / "tiny-test-last-8segments" / "scores.npz")
    assert len(arrays["scores"]) == 8 * 12
    assert content["num_segments"] == 8
    full = evaluate(trained, split="test", step="last", settings=QUICK)
    assert content["num_frames"] == full["num_frames"]
    assert content["truth_hash"] == full["truth_hash"]


def test_videos_without_truth_count_in_video_level_numbers_only(trained: pathlib.Path) -> None:
    content = evaluate(trained, split="train", step="last", settings=Settings(num_curves=2))
    assert content["num_videos_with_truth"] == 0
    assert content["num_frames"] == 0
    assert content["frame_auc"] is None
    assert 0 <= content["video_auc"] <= 1


def test_scores_equal_the_models_own(trained: pathlib.Path, tiny_data: pathlib.Path) -> None:
    evaluate(trained, split="test", step="last", settings=QUICK)
    arrays = np.load(trained / "eval" / "tiny-test-last" / "scores.npz")
    model = analysis.load_model(trained, "last")
    bag = read_split(str(tiny_data), "tiny", "test")[4]
    valid = np.ones(bag.features.shape[:2], bool)
    scores = np.asarray(model(np.float32(bag.features), valid).scores).mean(axis=0)
    stored = arrays["scores"][arrays["offsets"][4] : arrays["offsets"][5]]
    np.testing.assert_allclose(stored, scores, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"step": "7"}, "step '7'.*keeps"),
        ({"step": "newest"}, "step 'newest'"),
        ({"split": "dev"}, r"no split 'dev'; it has"),
        ({"dataset": "other"}, "no data set 'other' in"),
    ],
)
def test_bad_input_is_refused_and_earlier_results_stay(
    trained: pathlib.Path, result: pathlib.Path, arguments: dict[str, str], reason: str
) -> None:
    before = (result / "metrics.json").read_bytes()
    with pytest.raises(UserError, match=reason):
        evaluate(trained, **({"split": "test", "step": "best"} | arguments))
    assert (result / "metrics.json").read_bytes() == before
    assert not list((trained / "eval").glob(".*"))


def test_a_folder_that_is_no_workdir_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="is not a workdir"):
        evaluate(tmp_path, split="test", step="best")


def test_another_data_set_of_the_same_kind_is_evaluated(
    trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    modalities = (Modality("visual", 16), Modality("text", 8))
    info = BagsInfo("held_out", TAXONOMY, modalities, encoder="random")
    write_dataset(str(tmp_path), info, tiny_videos("test", 6, seed=9, num_crops=1))
    content = evaluate(
        trained,
        split="test",
        step="best",
        dataset="held_out",
        data_dir=str(tmp_path),
        settings=QUICK,
    )
    assert content["dataset"] == "held_out"
    assert content["num_crops"] == 1
    assert (trained / "eval" / "held_out-test-best" / "metrics.json").is_file()


def test_features_that_do_not_fit_are_refused_with_the_reason() -> None:
    def info(encoder: str = "clip", width: int = 4, categories: str = "ab") -> BagsInfo:
        taxonomy = Taxonomy("t", tuple(categories), tuple(categories))
        return BagsInfo("x", taxonomy, (Modality("visual", width),), encoder=encoder)

    check_features(info(), info(), allow_mismatch=False)
    with pytest.raises(UserError, match=r"visual \(5\).*visual \(4\)"):
        check_features(info(), info(width=5), allow_mismatch=True)
    with pytest.raises(UserError, match=r"categories of 't'.*--allow_mismatch"):
        check_features(info(), info(categories="abc"), allow_mismatch=False)
    with pytest.raises(UserError, match=r"'i3d'.*'clip'.*--allow_mismatch"):
        check_features(info(), info(encoder="i3d"), allow_mismatch=False)
    check_features(info(), info(encoder="i3d"), allow_mismatch=True)
    l2, none = ({"visual": word} for word in ("l2", "none"))
    trained, found = replace(info(), normalization=l2), replace(info(), normalization=none)
    with pytest.raises(UserError, match=r"visual rows normalised as 'none'.*--allow_mismatch"):
        check_features(trained, found, allow_mismatch=False)
    check_features(trained, found, allow_mismatch=True)
    check_features(info(), found, allow_mismatch=False)  # never measured: not refused


def test_zero_shot_matches_categories_by_name(
    trained: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taxonomy = Taxonomy("other", ("c", "a", "x", "b"), ("C", "A", "X", "B"), separator="+")
    modalities = (Modality("visual", 16), Modality("text", 8))
    info = BagsInfo("other", taxonomy, modalities, encoder="random")
    write_dataset(str(tmp_path), info, tiny_videos("test", 6, seed=9))
    options = {"split": "test", "step": "best", "dataset": "other", "data_dir": str(tmp_path)}
    with pytest.raises(UserError, match="zero-shot with --allow_mismatch"):
        evaluate(trained, settings=QUICK, **options)
    evaluate(trained, allow_mismatch=True, settings=Settings(num_curves=0), **options)
    assert "C -> C, A -> A, B -> B; without a counterpart: X" in capsys.readouterr().out
    probs = np.load(trained / "eval" / "other-test-best" / "scores.npz")["category_probs"]
    assert probs.shape == (6, 4)
    assert not probs[:, 2].any() and probs[:, [0, 1, 3]].all()
