import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinevad_jax.metrics import localization
from refinevad_jax.metrics.localization import Detections, Truth


def detections(*rows):
    """Rows (video, category, start, end, score)."""
    video, category, *rest = np.array(rows, float).reshape(-1, 5).T
    return Detections(video.astype(int), category.astype(int), *rest)


def truth(*rows):
    """Rows (video, category, start, end)."""
    video, category, *rest = np.array(rows, float).reshape(-1, 4).T
    return Truth(video.astype(int), category.astype(int), *rest)


def average_precision(found, annotated, iou=0.5, **options):
    values = localization.average_precisions(
        found, annotated, num_categories=1, iou_thresholds=[iou], **options
    )
    return values[0, 0]


def test_stepwise_and_interpolated_by_hand():
    annotated = truth((0, 0, 0, 10), (1, 0, 0, 10))
    found = detections((0, 0, 50, 60, 0.9), (0, 0, 0, 10, 0.8), (1, 0, 0, 9, 0.7))
    assert average_precision(found, annotated) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert average_precision(found, annotated, interpolated=True) == pytest.approx(2 / 3)


def test_a_stretch_is_used_up_by_the_higher_score():
    annotated = truth((0, 0, 0, 10), (0, 0, 100, 110))
    found = detections((0, 0, 0, 8, 0.2), (0, 0, 0, 10, 0.9))
    assert average_precision(found, annotated) == 0.5


def test_the_best_free_stretch_is_taken_not_the_first():
    # The first detection has to take the second stretch, or nothing is left for the other one.
    annotated = truth((0, 0, 0, 10), (0, 0, 4, 14))
    found = detections((0, 0, 4, 13, 0.9), (0, 0, 0, 9, 0.8))
    assert average_precision(found, annotated, iou=0.4) == 1.0


def test_a_taken_stretch_leaves_the_next_best():
    annotated = truth((0, 0, 0, 10), (0, 0, 2, 12))
    found = detections((0, 0, 0, 10, 0.9), (0, 0, 0, 10, 0.8))
    assert average_precision(found, annotated, iou=0.5) == 1.0
    assert average_precision(found, annotated, iou=0.9) == 0.5


def test_iou_at_the_threshold_is_enough():
    annotated, found = truth((0, 0, 0, 10)), detections((0, 0, 0, 5, 0.9))
    assert average_precision(found, annotated, iou=0.5) == 1.0
    assert average_precision(found, annotated, iou=0.51) == 0.0


def test_video_and_category_must_agree():
    annotated = truth((0, 0, 0, 10), (0, 1, 0, 10))
    found = detections((1, 0, 0, 10, 0.9), (0, 1, 0, 10, 0.5))
    values = localization.average_precisions(found, annotated, num_categories=3)
    np.testing.assert_array_equal(values[:2], [[0] * 5, [1] * 5])
    assert np.isnan(values[2]).all()


def test_no_detections_at_all():
    assert average_precision(detections(), truth((0, 0, 0, 10))) == 0.0


def test_among_equal_scores_the_earlier_entry_counts_first():
    annotated = truth((0, 0, 0, 10))
    right, wrong = (0, 0, 0, 10, 0.5), (0, 0, 20, 30, 0.5)
    assert average_precision(detections(right, wrong), annotated) == 1.0
    assert average_precision(detections(wrong, right), annotated) == 0.5


def test_temporal_iou():
    start, end = np.array([0, 0, 0, 5, 3.0]), np.array([10, 10, 10, 5, 1.0])
    other_start, other_end = np.array([5, 10, 2, 5, 0]), np.array([15, 20, 4, 5, 9.0])
    expected = [5 / 15, 0, 0.2, 0, 0]
    got = localization.temporal_iou(start, end, other_start, other_end)
    np.testing.assert_allclose(got, expected)


def plain_average_precision(found, annotated, iou):
    """One category in plain loops over sets of frames."""
    free = list(annotated)
    right = []
    for video, start, end, _ in sorted(found, key=lambda row: -row[3]):
        best, best_iou = None, 0.0
        for stretch in free:
            if stretch[0] == video:
                a, b = set(range(start, end)), set(range(stretch[1], stretch[2]))
                value = len(a & b) / len(a | b)
                if value >= iou and value > best_iou:
                    best, best_iou = stretch, value
        if best is not None:
            free.remove(best)
        right.append(best is not None)
    gained = [sum(right[: i + 1]) / (i + 1) for i in range(len(right)) if right[i]]
    return sum(gained) / len(annotated)


stretches = st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(1, 8)).map(
    lambda row: (row[0], row[1], row[1] + row[2])
)


@given(
    st.lists(st.tuples(stretches, st.integers(0, 5)), max_size=12),
    st.lists(stretches, min_size=1, max_size=6),
    st.sampled_from([0.1, 0.3, 0.5, 1.0]),
)
@settings(deadline=None)
def test_equals_plain_loops(found, annotated, iou):
    rows = [(*stretch, score / 5) for stretch, score in found]
    ours = average_precision(
        detections(*((video, 0, start, end, score) for video, start, end, score in rows)),
        truth(*((video, 0, start, end) for video, start, end in annotated)),
        iou,
    )
    assert ours == pytest.approx(plain_average_precision(rows, annotated, iou))


def test_truth_from_spans_shifts_categories_past_normal():
    spans = [np.array([[3, 9, 0], [20, 30, 2]]), np.zeros((0, 3), int)]
    found = localization.truth_from_spans(spans)
    columns = np.stack([found.video, found.category, found.start, found.end], axis=1)
    np.testing.assert_array_equal(columns, [[0, 1, 3, 9], [0, 3, 20, 30]])
    found = localization.truth_from_spans(spans, [0, 64])
    assert (found.video[-1], found.category[-1], found.start[-1], found.end[-1]) == (1, 0, 0, 64)


def test_mean_leaves_normal_and_categories_without_truth_out():
    values = np.array([[0.9, 0.9], [0.5, 0.1], [np.nan, np.nan], [0.3, 0.1]])
    mean = localization.anomaly_mean_average_precision(values)
    np.testing.assert_allclose(mean, [0.4, 0.1])
    assert np.isnan(localization.anomaly_mean_average_precision(values[[0, 2]])).all()


def test_bad_input_is_refused():
    annotated = truth((0, 0, 0, 10))
    with pytest.raises(ValueError, match=r"detection: a category outside 0 \.\. 0"):
        average_precision(detections((0, 1, 0, 10, 0.5)), annotated)
    with pytest.raises(ValueError, match="score is NaN"):
        average_precision(detections((0, 0, 0, 10, np.nan)), annotated)
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        average_precision(detections(), annotated, iou=0.0)
    with pytest.raises(ValueError, match="video 0: span 3-9 has no category"):
        localization.truth_from_spans([np.array([[3, 9, -1]])])


def test_activity_net_fixture(shared_data):
    """mmaction2's own files and the values its test suite expects of them."""
    folder = shared_data / "published/open-mmlab+mmaction2/tests/data/eval_localization"
    annotated = json.loads((folder / "gt.json").read_text())
    results = json.loads((folder / "result.json").read_text())["results"]
    videos = list(annotated)
    labels = sorted(
        {item["label"] for video in annotated.values() for item in video["annotations"]}
    )
    truth_rows = [
        (videos.index(video), labels.index(item["label"]), *item["segment"])
        for video, entry in annotated.items()
        for item in entry["annotations"]
    ]
    found_rows = [
        (videos.index(f"v_{video}"), labels.index(item["label"]), *item["segment"], item["score"])
        for video, items in results.items()
        for item in items
    ]
    values = localization.average_precisions(
        detections(*found_rows),
        truth(*truth_rows),
        num_categories=len(labels),
        iou_thresholds=np.linspace(0.5, 0.95, 10),
        interpolated=True,
    )
    expected = [
        0.71428571, 0.71428571, 0.71428571, 0.6875, 0.6875, 0.59722222,
        0.52083333, 0.52083333, 0.52083333, 0.5,
    ]  # fmt: skip
    np.testing.assert_allclose(values.mean(axis=0), expected, atol=1e-8)
    assert values.mean() == pytest.approx(0.6177579365079365)


def test_a_video_drawn_twice_counts_twice():
    annotated = truth((0, 1, 0, 10), (1, 1, 0, 10))
    found = detections((0, 1, 0, 10, 0.9), (1, 1, 20, 30, 0.8), (1, 0, 0, 10, 0.9))
    draws = np.array([[1, 1], [2, 0], [0, 2], [0, 0], [2, 1], [1, 2]])
    values = localization.anomaly_map_on_draws(found, annotated, draws, num_categories=2)
    np.testing.assert_allclose(values, [1 / 2, 1, 0, np.nan, 2 / 3, 1 / 3])
    only_normal = truth((0, 0, 0, 10))
    values = localization.anomaly_map_on_draws(found, only_normal, draws, num_categories=2)
    assert np.isnan(values).all()


@given(st.integers(0, 10_000))
@settings(deadline=None)
def test_every_video_once_gives_the_mean_over_categories_and_iou(seed):
    rng = np.random.default_rng(seed)

    def rows(number):
        start = rng.integers(0, 50, number)
        places = (rng.integers(0, 5, number), rng.integers(0, 4, number), start)
        return np.stack([*places, start + rng.integers(1, 30, number)], axis=1)

    annotated, found = truth(*rows(12)), rows(40)
    found = detections(*np.column_stack([found, rng.random(40)]))
    values = localization.average_precisions(found, annotated, num_categories=4)
    expected = localization.anomaly_mean_average_precision(values).mean()
    once = np.ones((1, 5), int)
    (value,) = localization.anomaly_map_on_draws(found, annotated, once, num_categories=4)
    assert value == pytest.approx(expected)
    # A draw without a video is the metric without it.
    kept = np.flatnonzero(annotated.video)
    rest = Truth(
        *(getattr(annotated, name)[kept] for name in ("video", "category", "start", "end"))
    )
    values = localization.average_precisions(
        found.select(np.flatnonzero(found.video)), rest, num_categories=4
    )
    without = np.array([[0, 1, 1, 1, 1]])
    (value,) = localization.anomaly_map_on_draws(found, annotated, without, num_categories=4)
    expected = localization.anomaly_mean_average_precision(values).mean()
    np.testing.assert_allclose(value, expected)
