import numpy as np

from benchmarks.small_set_bags import (
    PED2_FOLDS,
    read_mitbih,
    read_ped2,
    read_survfight,
    spans,
)
from data_prep.builtin import survfight
from data_prep.dataset.videos import Span
from data_prep.dataset.write import write_dataset
from refinevad_jax.files.arrays import load_packed
from tests.conftest import call


def ecg(records):
    """One bag of four segments a record: the second and third are S, the third is V too."""
    truth = np.zeros((len(records), 4, 2), bool)
    truth[0, 1:3, 0] = truth[0, 2, 1] = True
    return {
        "features_int8": np.full((len(records), 4, 3), 2, np.int8),
        "scale": np.float32(0.5),
        "segment_labels": truth,
        "bag_labels": truth.any(axis=1),
        "record": np.array(records),
        "bag_index": np.zeros(len(records), np.int64),
        "categories": np.array(["S", "V"]),
    }


def test_runs_of_segments_become_spans_in_frames():
    labels = np.array([[1, 0], [1, 0], [0, 0], [1, 1]], bool)
    assert list(spans(labels, ("a", "b"))) == [
        Span(0, 32, "a"),
        Span(48, 64, "a"),
        Span(48, 64, "b"),
    ]


def test_records_of_the_ecg_are_held_out_whole(tmp_path):
    arrays = ecg(["100", "101", "102", "103", "104", "102"])
    arrays["bag_index"][-1] = 1
    path = tmp_path / "ecg.npz"
    np.savez(path, **arrays)
    info, videos = read_mitbih(path, load_packed(path))
    assert {video.video_id: video.split for video in videos} == {
        "100_00": "val",
        "101_00": "train",
        "102_00": "test",
        "102_01": "test",
        "103_00": "train",
        "104_00": "val",
    }
    first, second = videos[:2]
    assert first.label == "S+V" and info.taxonomy.multi_hot(first.label).tolist() == [True, True]
    assert first.spans == (Span(16, 48, "S"), Span(32, 48, "V"))
    assert second.label == "Normal" and second.spans is None
    np.testing.assert_array_equal(first.load_features(), np.ones((1, 4, 3), np.float32))


def test_the_real_set(shared_data, tmp_path):
    path = shared_data / "mitbih_ecg_bags" / "mitbih_ds1.npz"
    info, videos = read_mitbih(path, load_packed(path))
    splits = [video.split for video in videos]
    assert [splits.count(split) for split in ("train", "val", "test")] == [308, 168, 140]
    assert write_dataset(str(tmp_path), info, videos).is_dir()


def ped2_file(path):
    """Four anomalous and four normal videos of two rows and 40 frames."""
    names = [f"test{i:02d}" for i in range(1, 5)] + [f"train{i:02d}" for i in range(1, 5)]
    truth = np.zeros((8, 40), bool)
    truth[:4, 10:20] = True
    np.savez(
        path,
        video_name=np.array(names),
        features=np.repeat(np.arange(8, dtype=np.float16), 2)[:, None],
        snippet_offsets=np.arange(0, 17, 2),
        frame_labels=truth.ravel(),
        frame_offsets=np.arange(0, 321, 40),
    )
    return names


def test_for_cross_validation_every_video_of_ped2_is_trained_on(tmp_path):
    path = tmp_path / "ped2.npz"
    names = ped2_file(path)
    info, videos = read_ped2(path, load_packed(path), None)
    assert info.name == "ped2_all" and [video.video_id for video in videos] == names
    assert {video.split for video in videos} == {"train"}
    known = (Span(10, 20, "Abnormal"),)
    assert [video.spans for video in videos] == [known] * 4 + [()] * 4


def test_every_video_of_ped2_is_tested_on_in_one_of_two_folds(tmp_path):
    path = tmp_path / "ped2.npz"
    names = ped2_file(path)
    folds = [read_ped2(path, load_packed(path), fold) for fold in range(PED2_FOLDS)]
    assert [info.name for info, _ in folds[:2]] == ["ped2_0", "ped2_1"]
    tested = [{v.video_id for v in videos if v.split == "test"} for _, videos in folds]
    for one, other in zip(tested[::2], tested[1::2], strict=True):
        assert one | other == set(names) and not one & other
        assert sum(name.startswith("test") for name in one) == 2
    assert len({frozenset(one) for one in tested}) > 2
    for video in folds[0][1]:
        anomalous = video.video_id.startswith("test")
        assert video.label == ("Abnormal" if anomalous else "Normal") and video.num_frames == 40
        if video.split == "test":
            assert video.spans == ((Span(10, 20, "Abnormal"),) if anomalous else ())
        else:
            assert video.spans is None
        assert (video.load_features() == names.index(video.video_id)).all()


def test_another_file_is_one_line(tmp_path):
    np.savez(tmp_path / "other.npz", features=np.zeros(3))
    flags = (f"--input={tmp_path / 'other.npz'}", f"--data_dir={tmp_path / 'data'}")
    done = call("benchmarks.small_sets", *flags)
    assert done.returncode == 2 and not (tmp_path / "data").exists()
    assert done.stderr.count("\n") == 1 and "no array 'categories'" in done.stderr


def test_fights_are_bags_in_groups_that_share_no_source():
    arrays = load_packed(survfight.SHIPPED)
    info, videos = read_survfight(survfight.SHIPPED, arrays, 1)
    assert info.name == "survfight_groups_1" and len(videos) == 5 * 80
    groups = {}
    for video in videos:
        rows = groups.setdefault(video.recording, set())
        rows |= {row.tobytes() for row in video.load_features()[0]}
    assert [len(rows) > 40 for rows in groups.values()] == [True] * 5
    assert sum(map(len, groups.values())) == len(set.union(*groups.values()))
    train = survfight.parts_of(arrays)["train"]
    starts, ends = arrays["clip_offsets"][:-1][train], arrays["clip_offsets"][1:][train]
    own = [arrays["features"][s:e] for s, e in zip(starts, ends, strict=True)]
    assert set.union(*groups.values()) <= {row.tobytes() for row in np.concatenate(own)}
    assert all((video.label == "Fighting") == bool(video.spans) for video in videos)
