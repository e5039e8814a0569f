import numpy as np
import pytest

from benchmarks.small_set_bags import read_mitbih, read_survfight, spans
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


def test_snippets_are_put_together_in_the_files_order(tmp_path):
    path = tmp_path / "fights.npz"
    bags, labels = np.array([[2, 0]]), np.array([[False, True]])
    np.savez(
        path,
        features=np.arange(3, dtype=np.float16)[:, None],
        **{f"composed_{split}_bags": bags for split in ("train", "test")},
        **{f"composed_{split}_labels": labels for split in ("train", "test")},
    )
    _, (train, test) = read_survfight(path, load_packed(path))
    assert (train.split, train.spans, test.spans) == ("train", None, (Span(16, 32, "Fighting"),))
    assert train.load_features()[0, :, 0].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("name", "folder", "read", "sizes"),
    [
        ("mitbih", "mitbih_ecg_bags/mitbih_ds1.npz", read_mitbih, (308, 168, 140)),
        ("survfight", "survfight_i3d/survfight_i3d_rgb.npz", read_survfight, (300, 0, 150)),
    ],
)
def test_the_real_sets(shared_data, tmp_path, name, folder, read, sizes):
    path = shared_data / folder
    info, videos = read(path, load_packed(path))
    splits = [video.split for video in videos]
    assert tuple(splits.count(split) for split in ("train", "val", "test")) == sizes
    assert write_dataset(str(tmp_path), info, videos).is_dir()


def test_another_file_is_one_line(tmp_path):
    np.savez(tmp_path / "other.npz", features=np.zeros(3))
    flags = (f"--input={tmp_path / 'other.npz'}", f"--data_dir={tmp_path / 'data'}")
    done = call("benchmarks.small_sets", "--set=mitbih", *flags)
    assert done.returncode == 2 and not (tmp_path / "data").exists()
    assert done.stderr.count("\n") == 1 and "no array 'categories'" in done.stderr
