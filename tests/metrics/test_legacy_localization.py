import functools
import json

import numpy as np
import pytest

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from refinevad_jax.metrics import legacy_localization, localization
from refinevad_jax.metrics.truth import category_map

TAXONOMIES = {"ucf": UCF_CRIME, "xd": XD_VIOLENCE}


def published_report(probs, spans, *, anomalous, normal_has_truth):
    """The published mAP and its repairs for [T, 1 + C] per video, normal first."""
    lengths = [16 * len(p) * (not a) for p, a in zip(probs, anomalous, strict=True)]
    truth = localization.truth_from_spans(spans, lengths if normal_has_truth else None)
    chosen = np.flatnonzero(anomalous).tolist()
    detections = [
        legacy_localization.legacy_detections([probs[v] for v in videos], videos=videos)
        for videos in (range(len(probs)), chosen)
    ]
    return legacy_localization.conventions(*detections, truth, num_categories=probs[0].shape[1])


def two_columns(*anomalous):
    """[T, 2] probabilities from the anomalous column."""
    return np.stack([1 - np.array(anomalous), np.array(anomalous)], axis=1)


def of_column(found, column):
    return found.select(found.category == column)


def test_detections_by_hand():
    # Column 1: max .9, min .1, threshold .42; runs [1, 3) and [4, 5) of segments.
    probs = two_columns(0.1, 0.5, 0.9, 0.1, 0.6)
    found = of_column(legacy_localization.legacy_detections([probs]), 1)
    np.testing.assert_array_equal(found.start, [16, 64])
    np.testing.assert_array_equal(found.end, [48, 80])
    # 80 frames: the video score is the mean of the highest 5, all of one segment.
    np.testing.assert_allclose(found.score, [0.9 + 0.7 * 0.9, 0.6 + 0.7 * 0.9])


def test_video_score_takes_frames_of_several_segments():
    probs = two_columns(*([0.9, 0.5] + [0.1] * 18))
    found = of_column(legacy_localization.legacy_detections([probs]), 1)
    # 320 frames: the highest 20 are the 16 of the first segment and 4 of the second.
    assert found.score[0] == pytest.approx(0.9 + 0.7 * (16 * 0.9 + 4 * 0.5) / 20)


def test_constant_column_gives_none_and_the_threshold_is_strict():
    constant = legacy_localization.legacy_detections([two_columns(0.5, 0.5)])
    assert not len(constant.score)
    # Threshold .75 - .6 * .625 = .375, which one segment meets exactly.
    exact = of_column(legacy_localization.legacy_detections([two_columns(0.75, 0.375, 0.125)]), 1)
    np.testing.assert_array_equal(exact.end, [16])


def test_single_frames_are_dropped():
    scores = np.full(40, 0.1)
    scores[[3, 10, 11]] = 0.9
    found = of_column(
        legacy_localization.legacy_detections([two_columns(*scores)], frames_per_segment=1), 1
    )
    np.testing.assert_array_equal([found.start, found.end], [[10], [12]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_segments_and_their_repeated_frames_give_the_same(dtype):
    rng = np.random.default_rng(0)
    probs = [rng.dirichlet(np.ones(4), size).astype(dtype) for size in (1, 7, 40)]
    frames = [np.repeat(video, 16, axis=0) for video in probs]
    segments = legacy_localization.legacy_detections(probs)
    repeated = legacy_localization.legacy_detections(frames, frames_per_segment=1)
    for name in ("video", "category", "start", "end", "score"):
        np.testing.assert_array_equal(getattr(segments, name), getattr(repeated, name))
    assert len(segments.score) > 10


def test_detections_fall_in_score_within_a_column_and_keep_their_video_numbers():
    rng = np.random.default_rng(1)
    probs = [rng.dirichlet(np.ones(3), 30) for _ in range(5)]
    found = legacy_localization.legacy_detections(probs, videos=[3, 8, 9, 20, 21])
    assert set(found.video) <= {3, 8, 9, 20, 21}
    assert (np.diff(found.category) >= 0).all()
    for column in range(3):
        assert (np.diff(of_column(found, column).score) <= 0).all()


def test_everything_is_zero_when_one_column_has_no_detection():
    annotated = localization.Truth(*np.array([[0, 1, 16, 32]]).T)
    both = two_columns(0.1, 0.9, 0.1)
    found = legacy_localization.legacy_detections([both])
    values = localization.average_precisions(found, annotated, num_categories=2)
    value = legacy_localization.legacy_mean_average_precision(found, values)
    np.testing.assert_array_equal(value, [0.5] * 5)  # the normal column has no truth: 0
    third = np.concatenate([both, np.zeros((3, 1))], axis=1)
    found = legacy_localization.legacy_detections([third])
    values = localization.average_precisions(found, annotated, num_categories=3)
    value = legacy_localization.legacy_mean_average_precision(found, values)
    np.testing.assert_array_equal(value, [0] * 5)


def test_no_videos_give_no_detections():
    assert not len(legacy_localization.legacy_detections([]).score)


def test_bad_probabilities_are_refused():
    with pytest.raises(ValueError, match="video 0"):
        legacy_localization.legacy_detections([np.full((3, 2), np.nan)])
    with pytest.raises(ValueError, match="video 7: 0 segments"):
        legacy_localization.legacy_detections([np.zeros((0, 2))], videos=[7])
    with pytest.raises(ValueError, match="video 0: 15 segments"):
        legacy_localization.legacy_detections([np.zeros((15, 2))], frames_per_segment=1)


def test_a_flat_confident_video_is_lost():
    """Why a perfect detector cannot reach 100 % on XD-Violence."""
    spans = [np.array([[0, 48, 0]]), np.array([[16, 32, 0]])]
    probs = [two_columns(1.0, 1.0, 1.0), two_columns(0.0, 1.0, 0.0)]
    report = published_report(
        probs, spans, anomalous=np.array([True, True]), normal_has_truth=False
    )
    np.testing.assert_array_equal(report["anomaly"], [0.5] * 5)


@functools.cache
def golden_inputs(shared_data, name):
    """Spans and the three kinds of probabilities of the golden files' README."""
    taxonomy = TAXONOMIES[name]
    snippets = json.loads((shared_data / "golden/snippets.json").read_text())[name]
    entries = json.loads((shared_data / f"derived/vadclip_gt_{name}.json").read_text())
    spans, probs = [], {"analytic": [], "oracle": [], "mixed": []}
    for video, entry in enumerate(entries):
        rows = [
            (int(start), int(end), taxonomy.index(label))
            for (start, end), label in zip(entry["segments"], entry["labels"], strict=True)
            if not taxonomy.is_normal(label)
        ]
        spans.append(np.array(rows, np.int64).reshape(-1, 3))
        size = (snippets[entry["video"]], taxonomy.num_categories + 1)
        analytic, oracle = analytic_probs(video, *size), oracle_probs(rows, *size)
        probs["analytic"].append(analytic)
        probs["oracle"].append(oracle)
        probs["mixed"].append(0.5 * analytic + 0.5 * oracle)
    return spans, probs


def analytic_probs(video, num_segments, num_columns):
    t, c = np.arange(num_segments)[:, None], np.arange(num_columns)[None]
    logits = 2 * np.sin(0.037 * t * (c + 1) + 1.3 * video) + 1.5 * np.cos(0.11 * t + c)
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def oracle_probs(rows, num_segments, num_columns):
    frames = np.zeros((16 * num_segments, num_columns))
    frames[:, 0] = 1
    for start, end, category in rows:
        frames[start:end, 0] = 0
        frames[start:end, 1 + category] = 1
    segments = frames.reshape(num_segments, 16, num_columns).mean(axis=1)
    return segments / segments.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["analytic", "oracle", "mixed"])
@pytest.mark.parametrize("name", ["ucf", "xd"])
def test_golden_values_of_the_published_evaluator(shared_data, name, kind):
    """Percent within 1e-4, in both settings of the published excludeNormal."""
    golden = json.loads((shared_data / "golden/golden.json").read_text())
    spans, probs = golden_inputs(shared_data, name)
    anomalous = np.array([len(video) > 0 for video in spans])
    report = published_report(
        probs[kind], spans, anomalous=anomalous, normal_has_truth=name == "xd"
    )
    for key, exclude in (("legacy", False), ("legacy_exclude_normal", True)):
        expected = golden[f"{name}/{kind}/excludeNormal={exclude}"]
        np.testing.assert_allclose(100 * report[key], expected["mAP"], rtol=0, atol=1e-4)
        assert 100 * report[key].mean() == pytest.approx(expected["avg"], abs=1e-4)
    for iou, column in (("0.1", 0), ("0.5", 4)):
        by_class = golden["per_class_rounded_3"].get(f"{name}/{kind}/AP_per_class@{iou}", {})
        anomalous_only = list(by_class.values())[1:]
        ours = 100 * report["per_category"][: len(anomalous_only), column]
        np.testing.assert_allclose(ours, anomalous_only, atol=6e-4)


def test_perfect_detectors_and_what_repairs_them(shared_data):
    spans, probs = golden_inputs(shared_data, "ucf")
    anomalous = np.array([len(video) > 0 for video in spans])
    report = published_report(probs["oracle"], spans, anomalous=anomalous, normal_has_truth=False)
    assert 100 * report["legacy"].mean() == pytest.approx(92.857, abs=5e-4)
    for key in ("anomaly", "anomaly_on_anomalous_videos", "anomaly_interpolated", "per_category"):
        np.testing.assert_array_equal(report[key], np.ones_like(report[key]))

    spans, probs = golden_inputs(shared_data, "xd")
    anomalous = np.array([len(video) > 0 for video in spans])
    report = published_report(probs["oracle"], spans, anomalous=anomalous, normal_has_truth=True)
    assert 100 * report["legacy"].mean() == pytest.approx(82.09, abs=5e-3)
    expected = [99.18, 99.53, 84.42, 93.33, 98.79, 100]
    np.testing.assert_allclose(100 * report["per_category"][:, 0], expected, atol=5e-3)
    assert 100 * report["anomaly"][0] == pytest.approx(np.mean(expected), abs=5e-3)


def test_false_alarms_in_normal_videos_lower_the_number(shared_data):
    spans, probs = golden_inputs(shared_data, "ucf")
    anomalous = np.array([len(video) > 0 for video in spans])
    report = published_report(probs["analytic"], spans, anomalous=anomalous, normal_has_truth=False)
    np.testing.assert_allclose(report["legacy"] * 14 / 13, report["anomaly"])
    assert (report["anomaly_on_anomalous_videos"] > report["anomaly"]).all()
    assert (report["anomaly_interpolated"] >= report["anomaly"]).all()


def test_category_map_feeds_the_evaluator():
    scores, probs = np.array([0.1, 0.9, 0.2]), np.array([0.2, 0.6])
    columns = category_map(scores, probs)
    np.testing.assert_allclose(columns[1], [0.1, 0.9 * 0.25, 0.9 * 0.75])
    found = legacy_localization.legacy_detections([columns])
    assert set(found.category) == {0, 1, 2}
