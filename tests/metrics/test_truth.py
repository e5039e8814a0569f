import csv
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad_jax.metrics.truth import (
    category_map,
    evaluated_length,
    frame_truth,
    has_anomalous_frame,
    per_frame,
    resampled_to_frame_scores,
    segment_to_frame_scores,
    truth_hash,
    truth_runs,
)

spans_lists = st.lists(
    st.tuples(st.integers(-5, 40), st.integers(-5, 40), st.integers(-1, 2)), max_size=6
)


def test_frame_truth_ends_are_exclusive_and_clipped():
    spans = np.array([[1, 3, 0], [4, 99, 2]])
    np.testing.assert_array_equal(frame_truth(spans, 6), [0, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(frame_truth(np.array([[-1, -1, 0]]), 3), [0, 0, 0])
    assert frame_truth(np.zeros((0, 3), np.int32), 4).tolist() == [False] * 4


@given(spans_lists, st.integers(0, 30))
def test_frame_truth_is_the_union(spans, num_frames):
    truth = frame_truth(np.array(spans), num_frames)
    for frame in range(num_frames):
        assert truth[frame] == any(start <= frame < end for start, end, _ in spans)


@given(spans_lists, st.integers(0, 30))
def test_runs_give_the_truth_back(spans, num_frames):
    truth = frame_truth(np.array(spans), num_frames)
    runs = truth_runs(truth)
    np.testing.assert_array_equal(frame_truth(runs, num_frames), truth)
    assert (runs[1:, 0] > runs[:-1, 1]).all()


def test_segment_scores_are_repeated():
    scores = segment_to_frame_scores(np.array([0.1, 0.2]), 5, frames_per_segment=3)
    np.testing.assert_array_equal(scores, [0.1, 0.1, 0.1, 0.2, 0.2])
    assert segment_to_frame_scores(np.ones((4, 7)), 64).shape == (64, 7)
    with pytest.raises(ValueError, match="2 segments of 16 frames do not cover 33"):
        segment_to_frame_scores(np.zeros(2), 33)


def test_resampled_scores_take_the_floor():
    scores = resampled_to_frame_scores(np.array([1, 2, 3]), 7)
    np.testing.assert_array_equal(scores, [1, 1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(resampled_to_frame_scores(np.arange(4), 2), [0, 2])
    assert resampled_to_frame_scores(np.ones(4), 0).shape == (0,)
    with pytest.raises(ValueError, match="no scores"):
        resampled_to_frame_scores(np.zeros(0), 7)


def test_category_map_shares_the_score_out():
    columns = category_map(np.array([0.0, 0.5, 1.0]), np.array([0.3, 0.1]))
    np.testing.assert_allclose(columns, [[1, 0, 0], [0.5, 0.375, 0.125], [0, 0.75, 0.25]])
    flat = category_map(np.array([0.5]), np.zeros(4))
    segments = category_map(np.array([0.5, 1.0]), np.array([[0.3, 0.1], [0.0, 0.2]]))
    np.testing.assert_allclose(segments, [[0.5, 0.375, 0.125], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(flat, [[0.5, 0.125, 0.125, 0.125, 0.125]])


def test_masks_over_videos():
    lengths = np.array([2, 0, 3])
    np.testing.assert_array_equal(per_frame([True, True, False], lengths), [1, 1, 0, 0, 0])
    truth = np.array([0, 1, 0, 0, 0], bool)
    np.testing.assert_array_equal(has_anomalous_frame(truth, lengths), [1, 0, 0])


def test_hash_is_that_of_the_documented_text():
    videos = [
        ("b", 32, np.zeros((0, 3))),
        ("a", 48, np.array([[40, 60, 1], [3, 9, 0], [8, 10, 1]])),
    ]
    text = "a\t48\t3-10,40-48\nb\t32\t\n"
    assert truth_hash(videos) == hashlib.sha256(text.encode()).hexdigest()
    assert truth_hash(videos).startswith("505483bf6561")  # printed in docs/metrics.md


def test_hash_depends_on_frames_alone():
    one = [("a", 48, np.array([[3, 9, 0], [9, 10, 1]])), ("b", 32, np.zeros((0, 3)))]
    other = [("b", 32, np.zeros((0, 2))), ("a", 48, np.array([[3, 10]]))]
    assert truth_hash(one) == truth_hash(other)
    for changed in ([("a", 64, one[0][2]), one[1]], [("a", 48, [[3, 11]]), one[1]], one[:1]):
        assert truth_hash(changed) != truth_hash(one)


def test_hash_refuses_ambiguous_ids():
    with pytest.raises(ValueError, match="'a' appears twice"):
        truth_hash([("a", 1, np.zeros((0, 2)))] * 2)
    with pytest.raises(ValueError, match="tab"):
        truth_hash([("a\tb", 1, np.zeros((0, 2)))])


def test_bad_spans_are_refused():
    with pytest.raises(ValueError, match=r"spans of shape \(3,\)"):
        frame_truth(np.array([1, 2, 3]), 5)
    with pytest.raises(ValueError, match="-1 frames"):
        frame_truth(np.zeros((0, 3)), -1)


def released_truths(shared_data, name):
    """Frame truth by video at the lengths of Roc-Ng's I3D features, with the positives counted."""
    column = {
        "ucf": "abnormal_spans_frames",
        "xd": "abnormal_spans_frames_annotations_txt",
    }[name]
    truths = {}
    with (shared_data / f"derived/{name}_test_index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            length = evaluated_length(int(row["snippets_i3d_rocng"]))
            pairs = [pair.split("-") for pair in row[column].split(";") if pair]
            spans = np.array(pairs, int).reshape(-1, 2)
            truths[row["video"]] = frame_truth(spans, length)
            assert truths[row["video"]].sum() == int(row["positive_frames_i3d_gt"])
    return truths


@pytest.mark.parametrize(
    ("name", "total", "positives", "file", "suffix"),
    [
        ("ucf", 1_109_680, 84_128, "ucf/single_gt.repacked.npz", ""),
        ("xd", 2_330_384, 537_805, "xd/xd-gt.repacked.npz", "__0.npy"),
    ],
)
def test_equals_the_released_vectors_frame_by_frame(
    shared_data, name, total, positives, file, suffix
):
    truths = released_truths(shared_data, name)
    assert sum(map(len, truths.values())) == total
    assert sum(int(truth.sum()) for truth in truths.values()) == positives
    with np.load(shared_data / "published/yujiangpu20+PEL4VAD/list" / file) as released:
        assert len(released.files) == len(truths)
        for video, truth in truths.items():
            np.testing.assert_array_equal(released[video + suffix], truth)


@pytest.mark.parametrize(("name", "start"), [("ucf", "dede2a8542b8"), ("xd", "2d59e6dee3f3")])
def test_hash_of_the_official_truth(shared_data, name, start):
    """The values that docs/metrics.md names."""
    truths = released_truths(shared_data, name)
    videos = [(video, len(truth), truth_runs(truth)) for video, truth in truths.items()]
    assert truth_hash(videos).startswith(start)


def test_equals_the_released_mask_of_anomalous_videos(shared_data):
    truths = released_truths(shared_data, "xd")
    lengths = np.array([len(truth) for truth in truths.values()])
    labelled = np.array([not video.endswith("_label_A") for video in truths])
    path = shared_data / "published/cool-xuan+BN-WVAD/frame_label/xd_anomaly_mask.repacked.npz"
    with np.load(path) as released:
        (mask,) = released.values()
    np.testing.assert_array_equal(mask, per_frame(labelled, lengths))
    joined = np.concatenate(list(truths.values()))
    np.testing.assert_array_equal(has_anomalous_frame(joined, lengths), labelled)
