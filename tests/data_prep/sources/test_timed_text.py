import json
import pathlib

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.dataset.videos import Span
from data_prep.dataset.write import write_dataset
from data_prep.sources.timed_text import (
    TIME_RESOLUTION,
    read_npz,
    read_timed_text,
    segment_features,
)
from refinevad_jax.data.bags import Modality, read_info, read_split
from refinevad_jax.errors import UserError

# Three sentences of two directions and their sum, and one of a third that nothing else has.
EMBEDDING = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]], np.float16)


def arrays(**changes) -> dict[str, np.ndarray]:
    """Two videos: `a` of 40 frames with three sentences, `b` of 10 frames with one."""
    values = {
        "sentence_embedding": EMBEDDING,
        "sentence_video": np.array([0, 0, 0, 1], np.int32),
        "sentence_start": np.array([0.0, 0.5, 0.9, 0.1], np.float32),
        "sentence_end": np.array([0.8, 0.6, 1.2, 0.2], np.float32),
        "video_name": np.array(["a", "b"]),
        "video_frames": np.array([40, 10], np.int32),
        "video_category": np.array(["Abuse", "Normal"]),
        **changes,
    }
    return {key: value for key, value in values.items() if value is not None}


def write(folder: pathlib.Path, file: str = "test.npz", **changes) -> pathlib.Path:
    folder.mkdir(exist_ok=True)
    np.savez(folder / file, **arrays(**changes))
    return folder


def read(folder: pathlib.Path):
    return read_timed_text(folder, name="text", taxonomy=UCF_CRIME)


def test_a_segment_is_the_overlap_weighted_mean_of_its_sentences():
    # Segments of 0.5 s: [0, .5) [.5, 1) [1, 1.5) [1.5, 2).
    features = segment_features(
        EMBEDDING[:3],
        np.array([0.0, 0.5, 0.9]),
        np.array([0.8, 0.6, 1.2]),
        num_segments=4,
        segment_seconds=0.5,
    )
    # The second one: .3 s of the first sentence, .1 s of the second, .1 s of the third.
    expected = [[1, 0, 0], [0.8, 0.4, 0], [1, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(features, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "covered"),
    [
        (1.2, 1.2, [1]),  # no length
        (1.2, 0.4, [1]),  # ends before it starts
        (1.0, 1.0, [1]),  # no length, on an edge: the segment that begins there
        (0.2, 2.5, [0, 1, 2]),
        (-5.0, 0.5, [0]),
        (2.5, 99.0, [2]),
        (3.0, 4.0, []),  # after the last segment
        (3.0, 3.0, []),
        (-2.0, -1.0, []),
        (-2.0, -3.0, []),
        (np.float32(0.1), 1.0 + 2e-8, [0]),  # float32 rounding past an edge
    ],
)
def test_what_a_sentence_covers(start, end, covered):
    features = segment_features(
        np.ones((1, 1)), np.array([start]), np.array([end]), num_segments=3, segment_seconds=1.0
    )
    assert np.flatnonzero(features[:, 0]).tolist() == covered
    assert set(features[:, 0]) <= {0.0, 1.0}


times = st.integers(-100, 2500).map(lambda tick: tick / 10)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    st.lists(st.tuples(times, times), min_size=1, max_size=6), st.sampled_from([1, 7, 600, 1100])
)
def test_the_blocks_agree_with_the_definition(sentences, num_segments):
    seconds = 16 / 30
    start, end = np.array(sentences).T
    embedding = np.random.default_rng(0).normal(size=(len(start), 2))
    features = segment_features(
        embedding, start, end, num_segments=num_segments, segment_seconds=seconds
    )
    edges = np.arange(num_segments + 1) * seconds
    for t in range(num_segments):
        weights = []
        for s, e in sentences:
            if e - s <= TIME_RESOLUTION:
                weights.append(seconds if edges[t] <= s < edges[t + 1] else 0.0)
            else:
                overlap = min(e, edges[t + 1]) - max(s, edges[t])
                weights.append(overlap if overlap > TIME_RESOLUTION else 0.0)
        expected = np.average(embedding, axis=0, weights=weights) if any(weights) else [0, 0]
        np.testing.assert_allclose(features[t], expected, atol=1e-5)


def test_a_long_video_takes_seconds_not_minutes():
    # UCF-Crime's longest: 61,031 segments, 1,179 sentences.
    start = np.linspace(0, 32_000, 1179)
    features = segment_features(
        np.ones((1179, 8)), start, start + 60, num_segments=61_031, segment_seconds=16 / 30
    )
    np.testing.assert_allclose(features[:60_000], 1, atol=1e-5)


def test_a_folder_with_one_file_takes_its_split_from_the_file_name(tmp_path):
    folder = write(tmp_path / "in")
    (folder / "test_intervals_seconds.json").write_text('{"a": [[0.31, 0.9]], "b": []}')
    info, videos = read(folder)
    assert info.modalities == (Modality("text", 3),)
    assert info.encoder == "all-MiniLM-L6-v2"
    assert [(v.video_id, v.split, v.label) for v in videos] == [
        ("a", "test", "Abuse"),
        ("b", "test", "Normal"),
    ]
    # .31 s x 30 = 9.3, .9 s x 30 = 27.
    assert [v.spans for v in videos] == [(Span(9, 27),), ()]
    assert [(v.num_frames, v.fps) for v in videos] == [(40, 30.0), (10, 30.0)]
    # 40 frames are two segments and a half; 10 frames are one all the same.
    assert [v.load_features().shape for v in videos] == [(1, 2, 3), (1, 1, 3)]


def test_the_stated_split_wins_over_the_file_name(tmp_path):
    splits = np.array(["train", "holdout"])
    _, videos = read(write(tmp_path / "in", video_split=splits))
    assert [video.split for video in videos] == ["train", "holdout"]
    assert [video.spans for video in videos] == [None, None]


def test_intervals_in_frames_are_taken_as_they_are(tmp_path):
    folder = write(tmp_path / "in")
    (folder / "test_intervals_frames.json").write_text('{"a": [[3, 8], [20, 99]]}')
    _, (first, second) = read(folder)
    assert first.spans == (Span(3, 8), Span(20, 99))
    assert second.spans is None


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(None, 30.0), (np.array(25.0), 25.0), (np.array([25.0, 10.0]), 25.0), (np.array(24), 24.0)],
)
def test_seconds_count_in_the_frame_rate_of_the_file(fps, expected, tmp_path):
    folder = write(tmp_path / "in", video_fps=fps)
    (folder / "test_intervals_seconds.json").write_text('{"a": [[1, 2], [2.0, 2.001]]}')
    _, (video, _) = read(folder)
    # An interval shorter than a frame is still a frame.
    start = round(2 * expected)
    assert video.spans == (Span(round(expected), start), Span(start, start + 1))
    assert video.fps == expected


def test_a_folder_becomes_a_data_set(tmp_path):
    folder = write(tmp_path / "in", video_split=np.array(["train", "val"]))
    write(folder, "more.npz", video_name=np.array(["c", "d"]))
    (folder / "val_intervals_frames.json").write_text('{"b": []}')
    info, videos = read(folder)
    write_dataset(str(tmp_path / "data"), info, videos)
    (bag,) = read_split(str(tmp_path / "data"), "text", "train")
    # Segments of 16 / 30 s; .5 to .6 s of the second sentence is cut in three.
    first = 16 / 30
    weights = [first, first - 0.5]
    expected = np.average(EMBEDDING[:2], axis=0, weights=weights)
    np.testing.assert_allclose(bag.features[0, 0], expected, atol=1e-3)
    assert [b.video_id for b in read_split(str(tmp_path / "data"), "text", "more")] == ["c", "d"]
    provenance = read_info(str(tmp_path / "data"), "text").provenance
    files = ["more.npz", "test.npz", "val_intervals_frames.json"]
    assert list(provenance["files"]) == files
    assert str(tmp_path) not in json.dumps(provenance)


@pytest.mark.parametrize("key", sorted(arrays()))
def test_a_missing_key_is_named(key, tmp_path):
    with pytest.raises(UserError, match=rf"test\.npz: no key '{key}'"):
        read(write(tmp_path / "in", **{key: None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"video_name": np.array(["a", None])},
            "'video_name': not an .npz file of plain arrays, or damaged .*no objects",
        ),
        ({"video_category": np.array([1, 2])}, "'video_category' is of type int64, expected text"),
        ({"video_frames": np.array([40.0, 10])}, "'video_frames' is of type float64"),
        ({"video_frames": np.array([40])}, r"'video_frames' has shape \(1,\), expected 2 entries"),
        ({"video_frames": np.array([40, 0])}, "'video_frames' of b is 0"),
        ({"sentence_start": np.zeros(3)}, r"'sentence_start' has shape \(3,\), expected 4"),
        ({"sentence_end": np.array([1, 2, np.nan, 1])}, r"'sentence_end' holds nan at \(2,\)"),
        ({"sentence_embedding": EMBEDDING[0]}, r"'sentence_embedding' has shape \(3,\)"),
        (
            {"sentence_embedding": np.where(EMBEDDING == 1, np.inf, EMBEDDING)},
            r"'sentence_embedding' holds inf at \(0, 0\)",
        ),
        (
            {"sentence_video": np.array([0, 0, 2, 1])},
            "'sentence_video' has an index outside 0 .. 1",
        ),
        ({"video_split": np.array(["train"])}, "'video_split' has shape"),
        ({"video_fps": np.array(0.0)}, "'video_fps' must be positive"),
        ({"video_fps": np.array("fast")}, "'video_fps' is of type"),
    ],
)
def test_a_damaged_array_is_named(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read(write(tmp_path / "in", **changes))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut", b"\x93NUMPY\x01"])
def test_a_file_that_is_no_npz_is_named(content, tmp_path):
    (tmp_path / "test.npz").write_bytes(content)
    with pytest.raises(
        UserError, match=r"test\.npz: (it is .*, )?not an \.npz (file )?of (plain )?arrays"
    ):
        read(tmp_path)


def test_a_file_cut_short_is_named(tmp_path):
    path = write(tmp_path / "in") / "test.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"test\.npz: "):
        read_npz(path)


def test_a_folder_without_files_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no \.npz file there"):
        read(tmp_path / "none")


def test_files_of_different_width_are_refused(tmp_path):
    folder = write(tmp_path / "in")
    write(folder, "wide.npz", sentence_embedding=np.ones((4, 5), np.float16))
    with pytest.raises(UserError, match="differs in width"):
        read(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("test_intervals_seconds.json", '{"c": []}', "video 'c' is in no .npz there"),
        ("test_intervals_seconds.json", "[]", "known JSON grammar"),
        ("test_intervals_seconds.json", "{", "not JSON"),
        ("test_intervals_seconds.json", '{"a": [[2, 1]]}', "start < end"),
        ("test_intervals_seconds.json", '{"a": [[1, 1]]}', "start < end"),
        ("test_intervals_seconds.json", '{"a": [2, 1]}', "start < end"),
        ("test_intervals_seconds.json", '{"b": [], "a": null}', r"a: null; write \[\]"),
        ("test_intervals_seconds.json", '{"a": [[-1, 2]]}', "starts at 0 or later"),
        ("test_intervals_seconds.json", '{"a": [[1, "x"]]}', "is not an event"),
        ("test_intervals_seconds.json", '{"a": [[1, NaN]]}', "start < end"),
        ("test_intervals_seconds.json", '{"a": [[1, Infinity]]}', "start < end"),
        ("test_intervals_seconds.json", '{"a": null}', "known JSON grammar"),
        ("test_intervals_seconds.json", '{"a": [[1, 1' + "0" * 400 + "]]}", "start < end"),
        ("test_intervals_minutes.json", "{}", "seconds or frames, not 'minutes'"),
    ],
)
def test_bad_intervals_are_refused(name, text, message, tmp_path):
    folder = write(tmp_path / "in")
    (folder / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read(folder)


def test_intervals_that_miss_their_video(tmp_path, capsys):
    folder = write(tmp_path / "t")
    (folder / "test_intervals_frames.json").write_text('{"a": [[3, 8], [20, 99]], "b": []}')
    assert [len(video.spans) for video in read(folder)[1]] == [2, 0]
    err = capsys.readouterr().err
    assert "spans end after the video and are cut" in err
    assert ": a: frames 20 to 99, the video has 40 frames" in err
    (folder / "test_intervals_frames.json").write_text('{"a": [[300, 900]]}')
    with pytest.raises(UserError, match=r"1 of 1 anomalous videos lie outside .* as milliseconds"):
        read(folder)


def test_a_video_in_two_interval_files_is_refused(tmp_path):
    folder = write(tmp_path / "in")
    (folder / "test_intervals_seconds.json").write_text('{"a": []}')
    (folder / "test_intervals_frames.json").write_text('{"a": []}')
    with pytest.raises(UserError, match=r"video 'a' is in .*too"):
        read(folder)


def test_real_timed_text_becomes_a_data_set(shared_data, tmp_path):
    info, videos = read(shared_data / "ucf_crime_text")
    splits = [video.split for video in videos]
    assert (splits.count("train"), splits.count("val")) == (1412, 156)
    assert info.modalities == (Modality("text", 384),)
    assert sum(video.spans is not None for video in videos) == 138
    assert sum(bool(video.spans) for video in videos) == 61
    assert not any(video.spans is not None for video in videos if video.split == "train")

    val = [video for video in videos if video.split == "val"]
    write_dataset(str(tmp_path), info, val)
    bags = {bag.video_id: bag for bag in read_split(str(tmp_path), "text", "val")}
    # 32.2 - 88.3 s and 108.8 - 110.3 s at 30 fps.
    assert bags["Abuse011_x264"].spans.tolist() == [[966, 2649, 0], [3264, 3309, 0]]
    assert all(bag.num_segments == bag.num_frames // 16 for bag in bags.values())
    assert np.mean([bag.features.any(axis=2).mean() for bag in bags.values()]) > 0.7
