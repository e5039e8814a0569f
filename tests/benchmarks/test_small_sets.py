import numpy as np

from benchmarks.small_set_bags import read_mitbih, spans
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


def test_another_file_is_one_line(tmp_path):
    np.savez(tmp_path / "other.npz", features=np.zeros(3))
    flags = (f"--input={tmp_path / 'other.npz'}", f"--data_dir={tmp_path / 'data'}")
    done = call("benchmarks.small_sets", *flags)
    assert done.returncode == 2 and not (tmp_path / "data").exists()
    assert done.stderr.count("\n") == 1 and "no array 'categories'" in done.stderr
