import functools
import json
import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from refinevad_jax.metrics import frames as frame_metrics
from refinevad_jax.metrics.truth import (
    frame_truth,
    has_anomalous_frame,
    per_frame,
    segment_to_frame_scores,
)

# Few distinct values, so that ties within and across classes are the rule.
frames = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.5000001, 0.9, 1.0, -3.0])),
    min_size=2,
    max_size=60,
).filter(lambda pairs: len({truth for truth, _ in pairs}) == 2)


def precision_recall_auc(truth, scores):
    return frame_metrics.rank(truth, scores).precision_recall_auc()


@given(frames)
@settings(deadline=None)
def test_areas_equal_scikit_learn(pairs):
    truth, scores = (np.array(column) for column in zip(*pairs, strict=True))
    precision, recall, _ = sklearn.metrics.precision_recall_curve(truth, scores)
    expected = (
        sklearn.metrics.roc_auc_score(truth, scores),
        sklearn.metrics.average_precision_score(truth, scores),
        sklearn.metrics.auc(recall, precision),
    )
    ours = (
        frame_metrics.roc_auc(truth, scores),
        frame_metrics.average_precision(truth, scores),
        precision_recall_auc(truth, scores),
    )
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


@given(frames)
@settings(deadline=None)
def test_curves_equal_scikit_learn(pairs):
    truth, scores = (np.array(column) for column in zip(*pairs, strict=True))
    ours = list(zip(*frame_metrics.rank(truth, scores).roc_curve(), strict=True))
    every = sklearn.metrics.roc_curve(truth, scores, drop_intermediate=False)
    theirs = list(zip(*every, strict=True))
    assert (ours[0], ours[-1]) == (theirs[0], theirs[-1])
    assert set(ours) <= set(theirs)
    dropped = np.array([point[:2] for point in theirs if point not in ours]).reshape(-1, 2)
    corners = np.array(ours)
    steps, rises = np.diff(corners[:, 0]), np.diff(corners[:, 1])
    for x, y in dropped:  # lies on one of our straight lines
        cross = steps * (y - corners[:-1, 1]) - rises * (x - corners[:-1, 0])
        assert np.abs(cross).min() < 1e-12
    precision, recall, thresholds = frame_metrics.rank(truth, scores).precision_recall_curve()
    theirs = sklearn.metrics.precision_recall_curve(truth, scores)
    np.testing.assert_allclose(precision[::-1], theirs[0])
    np.testing.assert_allclose(recall[::-1], theirs[1])
    np.testing.assert_allclose(thresholds[:0:-1], theirs[2])


def test_hand_values():
    truth = np.array([True, False, True, False])
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    assert frame_metrics.roc_auc(truth, scores) == 0.75
    assert frame_metrics.average_precision(truth, scores) == pytest.approx((1 + 2 / 3) / 2)
    # Points (recall, precision): (0, 1), (.5, 1), (.5, .5), (1, 2/3), (1, .5).
    expected = 0.5 + 0.5 * (0.5 + 2 / 3) / 2
    assert precision_recall_auc(truth, scores) == pytest.approx(expected)


def test_the_two_definitions_of_average_precision_differ():
    truth, scores = np.array([False, True]), np.array([0.9, 0.1])
    assert frame_metrics.average_precision(truth, scores) == 0.5
    assert precision_recall_auc(truth, scores) == 0.25


def test_constant_scores_are_chance():
    truth, scores = np.arange(10) < 3, np.full(10, 0.4)
    assert frame_metrics.roc_auc(truth, scores) == 0.5
    assert frame_metrics.average_precision(truth, scores) == pytest.approx(0.3)


@given(frames)
@settings(deadline=None)
def test_monotone_change_of_scores_changes_nothing(pairs):
    truth, scores = (np.array(column) for column in zip(*pairs, strict=True))
    assert frame_metrics.roc_auc(truth, scores) == frame_metrics.roc_auc(truth, 3 * scores - 1)


def test_areas_stay_exact_over_millions_of_frames():
    truth = np.arange(2_400_000) % 2 == 0
    assert frame_metrics.roc_auc(truth, truth.astype(np.float16)) == 1.0
    assert frame_metrics.roc_auc(truth, (~truth).astype(np.float16)) == 0.0


@pytest.mark.parametrize("truth", [[True, True], [False, False], []])
def test_roc_is_nan_without_both_classes(truth):
    ranking = frame_metrics.rank(np.array(truth, bool), np.zeros(len(truth)))
    assert np.isnan(ranking.roc_auc()) and np.isnan(ranking.roc_curve()).all()


@pytest.mark.parametrize("metric", [frame_metrics.average_precision, precision_recall_auc])
def test_precision_is_nan_without_anomalous_frames_only(metric):
    assert math.isnan(metric(np.zeros(3, bool), np.arange(3.0)))
    assert math.isnan(metric(np.zeros(0, bool), np.zeros(0)))
    assert metric(np.ones(3, bool), np.arange(3.0)) == 1.0


def test_nan_score_and_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match="frame 1 is NaN"):
        frame_metrics.roc_auc(np.array([True, False]), np.array([0.1, np.nan]))
    with pytest.raises(ValueError, match=r"\(2,\) and scores \(3,\)"):
        frame_metrics.average_precision(np.array([True, False]), np.zeros(3))
    with pytest.raises(ValueError, match=r"must be \[F\]"):
        frame_metrics.roc_auc(np.ones((2, 2), bool), np.zeros((2, 2)))


def test_infinite_scores_keep_their_place():
    truth = np.array([True, False, True, False])
    assert frame_metrics.roc_auc(truth, np.array([np.inf, -np.inf, 1.0, 0.0])) == 1.0


def test_false_alarm_rate_counts_the_threshold_itself():
    assert frame_metrics.false_alarm_rate(np.array([0.2, 0.5, 0.7, 0.1]), 0.5) == 0.5
    assert math.isnan(frame_metrics.false_alarm_rate(np.zeros(0), 0.5))


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.9]), min_size=1, max_size=40),
    st.floats(0, 1),
    st.sampled_from([np.float16, np.float32, np.float64]),
)
@settings(deadline=None)
def test_threshold_keeps_the_rate_and_none_of_the_lower_scores_does(values, rate, dtype):
    scores = np.array(values, dtype)
    threshold = frame_metrics.threshold_at_false_alarm_rate(scores, rate)
    assert frame_metrics.false_alarm_rate(scores, threshold) <= rate
    for lower in scores[scores < threshold]:
        assert frame_metrics.false_alarm_rate(scores, lower) > rate


def test_threshold_reaches_a_rate_that_is_not_a_binary_fraction():
    # 0.29 * 100 rounds down to 28.99...: the share has to be compared, not the count.
    assert frame_metrics.threshold_at_false_alarm_rate(np.arange(100.0), 0.29) == 71.0


def test_threshold_bounds():
    assert math.isnan(frame_metrics.threshold_at_false_alarm_rate(np.zeros(0), 0.1))
    assert frame_metrics.threshold_at_false_alarm_rate(np.array([0.3, 0.2]), 1.0) == 0.2
    with pytest.raises(ValueError, match=r"1\.5 is not in"):
        frame_metrics.threshold_at_false_alarm_rate(np.zeros(3), 1.5)


def test_one_vs_rest_counts_all_frames_and_skips_absent_categories():
    truth = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
    scores = np.array([[0.9, 0.1, 0.8, 0.0], [0.9, 0.5, 0.6, 0.0], [0.1, 0.2, 0.3, 0.4]])
    pairs = zip(truth, scores, strict=True)
    auc, ap = zip(*(frame_metrics.category_one_vs_rest(*pair) for pair in pairs), strict=True)
    np.testing.assert_allclose(auc, [1, 1 / 3, np.nan])
    np.testing.assert_allclose(ap, [1, 1 / 3, np.nan])


@given(frames, st.integers(0, 99))
@settings(deadline=None)
def test_areas_by_category_equal_those_of_their_frames(pairs, seed):
    truth, scores = (np.array(column) for column in zip(*pairs, strict=True))
    rng = np.random.default_rng(seed)
    chosen = rng.random((3, len(truth))) < 0.5
    in_normal = rng.random(len(truth)) < 0.3
    found = frame_metrics.category_against_normal(truth, scores, chosen, in_normal)
    kept = [in_category | in_normal for in_category in chosen]
    one_vs_rest = zip(*(frame_metrics.category_one_vs_rest(c, scores) for c in chosen), strict=True)
    for name, own, other in zip(("roc_auc", "average_precision"), found, one_vs_rest, strict=True):
        metric = getattr(frame_metrics, name)
        np.testing.assert_allclose(own, [metric(truth[k], scores[k]) for k in kept], rtol=1e-12)
        np.testing.assert_allclose(other, [metric(c, scores) for c in chosen], rtol=1e-12)


def test_category_against_normal_leaves_other_categories_out():
    truth = np.array([1, 0, 1, 0, 0, 0], bool)
    scores = np.array([0.9, 0.1, 0.2, 0.95, 0.3, 0.1])
    in_category = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0]], bool)
    in_normal = np.array([0, 0, 0, 0, 1, 1], bool)
    auc, ap = frame_metrics.category_against_normal(truth, scores, in_category, in_normal)
    np.testing.assert_allclose(auc, [1, 1 / 3])
    np.testing.assert_allclose(ap, [1, 1 / 3])


def test_anomalous_videos_auc_by_label_and_by_truth():
    # The second video is labelled anomalous, but its spans are cut away.
    lengths, truth = np.array([2, 2, 2]), np.array([0, 1, 0, 0, 0, 0], bool)
    scores = np.array([0.2, 0.5, 0.9, 0.1, 0.8, 0.8])
    labelled = per_frame([True, True, False], lengths)
    marked = per_frame(has_anomalous_frame(truth, lengths), lengths)
    assert frame_metrics.anomalous_videos_auc(truth, scores, labelled) == pytest.approx(2 / 3)
    assert frame_metrics.anomalous_videos_auc(truth, scores, marked) == 1.0


@pytest.mark.parametrize("name", ["ucf", "xd"])
def test_golden_values_of_the_published_evaluators(shared_data, name):
    """Frame metrics of the golden files, on 1.1 and 2.3 million frames."""
    golden = json.loads((shared_data / "golden/golden.json").read_text())[f"{name}/frame/analytic"]
    snippets = json.loads((shared_data / "golden/snippets.json").read_text())[name]
    truths, scores = [], []
    num_columns = {"ucf": 14, "xd": 7}[name]
    entries = json.loads((shared_data / f"derived/vadclip_gt_{name}.json").read_text())
    for video, entry in enumerate(entries):
        num_segments = snippets[entry["video"]]
        t, c = np.arange(num_segments)[:, None], np.arange(num_columns)[None]
        logits = 2 * np.sin(0.037 * t * (c + 1) + 1.3 * video) + 1.5 * np.cos(0.11 * t + c)
        exps = np.exp(logits - logits.max(axis=1, keepdims=True))
        score = 1 - exps[:, 0] / exps.sum(axis=1)
        spans = [
            [int(edge) for edge in segment]
            for segment, label in zip(entry["segments"], entry["labels"], strict=True)
            if label != "A"
        ]
        truths.append(frame_truth(np.array(spans).reshape(-1, 2), 16 * num_segments))
        scores.append(segment_to_frame_scores(score, 16 * num_segments))
    lengths = np.array([len(truth) for truth in truths])
    labelled = np.array(["A" not in entry["labels"] for entry in entries])
    truth, score = np.concatenate(truths), np.concatenate(scores)
    anomalous = per_frame(labelled, lengths)
    ours = {
        "frames": len(truth),
        "pos": truth.sum(),
        "roc_auc_score": frame_metrics.roc_auc(truth, score),
        "average_precision_score": frame_metrics.average_precision(truth, score),
        "auc(pr_curve)": precision_recall_auc(truth, score),
        "ano_auc": frame_metrics.anomalous_videos_auc(truth, score, anomalous),
        "ano_ap": frame_metrics.average_precision(truth[anomalous], score[anomalous]),
        "FAR@0.5_normal_videos": frame_metrics.false_alarm_rate(score[~anomalous], 0.5),
        "FAR@0.9_normal_videos": frame_metrics.false_alarm_rate(score[~anomalous], 0.9),
    }
    for key, value in ours.items():
        assert value == pytest.approx(golden[key], rel=1e-12), key
    np.testing.assert_array_equal(has_anomalous_frame(truth, lengths), labelled)


def test_real_scores_of_ucf_crime(ucf_model):
    """Values of the data's SOURCE.txt: AUC 0.6903, AP 0.1919 over 1,109,680 frames."""
    ranking = frame_metrics.rank(ucf_model.truth, ucf_model.scores)
    assert ranking.num_positives + ranking.num_negatives == 1_109_680
    assert ranking.num_positives == 84_128
    assert round(ranking.roc_auc(), 4) == 0.6903
    assert round(ranking.average_precision(), 4) == 0.1919


def test_numbers_that_docs_metrics_quotes_for_them(ucf_model):
    truth, scores, lengths = ucf_model.truth, ucf_model.scores, ucf_model.lengths
    assert round(precision_recall_auc(truth, scores), 4) == 0.1911
    anomalous = per_frame(ucf_model.labelled, lengths)
    assert round(frame_metrics.anomalous_videos_auc(truth, scores, anomalous), 4) == 0.6209
    normal_scores = scores[~anomalous]
    assert round(frame_metrics.false_alarm_rate(normal_scores, 0.5), 5) == 0.00077
    threshold = frame_metrics.threshold_at_false_alarm_rate(normal_scores, 0.01)
    assert round(threshold, 4) == 0.0068

    per_video = frame_metrics.single_video_aucs(truth, scores, lengths)
    assert round(np.nanmean(per_video), 4) == 0.6108
    assert np.isfinite(per_video).sum() == 140
    assert round(np.mean(per_video[np.isfinite(per_video)] < 0.5), 3) == 0.286
    middle = frame_metrics.middle_scores(lengths)
    assert round(frame_metrics.roc_auc(truth, middle), 4) == 0.6182
    assert round(frame_metrics.anomalous_videos_auc(truth, middle, anomalous), 4) == 0.6336
    found = [
        frame_metrics.recall_at_false_alarm_rate(scores[truth], normal_scores, rate)
        for rate in (0.001, 0.01, 0.05)
    ]
    assert [round(recall, 3) for recall in found] == [0.044, 0.191, 0.441]
    highest = np.array([part.max() for part in np.split(scores, np.cumsum(lengths)[:-1])])
    assert round(frame_metrics.roc_auc(ucf_model.labelled, highest), 4) == 0.7834

    longer = [spans + np.array([0, 1]) for spans in ucf_model.spans]
    inclusive = [frame_truth(*pair) for pair in zip(longer, lengths, strict=True)]
    assert round(frame_metrics.roc_auc(np.concatenate(inclusive), scores), 5) == 0.69027


def test_auc_inside_single_videos_by_hand():
    truth = np.array([0, 1, 1, 0, 1, 0, 0, 1], bool)
    scores = np.array([0.5, 0.9, 0.2, 0.1, 0.4, 0.7, 0.3, 0.3])
    # One pair of two in order; no frame; normal only; one pair and one tie of four.
    found = frame_metrics.single_video_aucs(truth, scores, np.array([3, 0, 1, 4]))
    np.testing.assert_array_equal(found, [0.5, np.nan, np.nan, 0.375])
    assert frame_metrics.single_video_aucs(truth[:0], scores[:0], np.zeros(0, int)).shape == (0,)


@given(st.lists(st.integers(0, 9), max_size=6))
def test_position_alone_rises_to_the_middle_and_ties_both_sides(lengths):
    scores = frame_metrics.middle_scores(np.array(lengths, int))
    assert len(scores) == sum(lengths) and ((scores > 0) & (scores <= 1)).all()
    for part in np.split(scores, np.cumsum(lengths)[:-1]) if lengths else []:
        np.testing.assert_array_equal(part, part[::-1])
        assert (np.diff(part[: (len(part) + 1) // 2]) > 0).all()


def test_recall_at_a_false_alarm_rate_by_hand():
    normal = np.arange(100) / 100
    positive = np.array([0.5, 0.955, 0.99, 1.0])
    recall = functools.partial(frame_metrics.recall_at_false_alarm_rate, positive, normal)
    # The threshold is the lowest score that the allowed frames reach: 0.95, 0.99, above 0.99.
    assert [recall(rate) for rate in (0.05, 0.01, 0.0)] == [0.75, 0.5, 0.25]
    assert recall(1.0) == 1
    assert math.isnan(frame_metrics.recall_at_false_alarm_rate(positive, normal[:0], 0.01))
    assert math.isnan(frame_metrics.recall_at_false_alarm_rate(positive[:0], normal, 0.01))
