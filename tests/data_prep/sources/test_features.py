import json
import pathlib

import numpy as np
import pytest

from data_prep.sources.feature_folder import FeatureFolder
from data_prep.sources.features import (
    choose_layout,
    load_crops,
    parse_modalities,
)
from data_prep.sources.lists import VideoList, read_list
from refinevad_jax.data.bags import Modality
from refinevad_jax.errors import UserError


def save(path: pathlib.Path, array: np.ndarray) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def find(root: pathlib.Path, *rows: str) -> tuple[pathlib.Path, ...]:
    """The files that a list of these rows means, all of one video."""
    path = root / "rows.list"
    path.write_text("\n".join(rows), encoding="utf-8")
    released: VideoList = read_list(path)
    (entries,) = released.videos.values()
    return FeatureFolder(root).find(entries, "list")


@pytest.mark.parametrize(
    "listed",
    [
        "UCF/Abuse/a.npy",
        "./UCF/Abuse/a.npy",
        "UCF\\Abuse\\a.npy",
        "/home/someone/Desktop/UCF/Abuse/a.npy",
        "G:\\data\\UCF\\Abuse\\a.npy",
        "elsewhere/UCF/Abuse/a.npy",
        "UCF/Abuse/a",
        "/home/someone/UCF/Abuse/a.mp4",
    ],
)
def test_a_path_is_found_below_the_root_by_its_longest_ending(listed, tmp_path):
    expected = save(tmp_path / "UCF" / "Abuse" / "a.npy", np.ones(1))
    save(tmp_path / "Abuse" / "a.npy", np.ones(1))
    save(tmp_path / "a.npy", np.ones(1))
    assert find(tmp_path, listed) == (expected,)


def test_the_exact_path_wins_over_a_longer_one(tmp_path):
    expected = save(tmp_path / "a.npy", np.ones(1))
    save(tmp_path / "UCF" / "a.npy", np.ones(1))
    assert find(tmp_path, "a.npy") == find(tmp_path, "/x/a.npy") == (expected,)


def test_a_row_of_a_crop_means_no_array_called_as_its_video(tmp_path):
    expected = save(tmp_path / "test" / "features" / "a__0.npy", np.ones((2, 4)))
    np.savez(tmp_path / "test" / "gt_segment.npz", a=np.ones((1, 2)), b=np.ones((1, 2)))
    assert find(tmp_path, "features/a__0.npy") == (expected,)


def test_a_file_in_another_folder_is_found_by_the_name_of_its_video(tmp_path):
    first = save(tmp_path / "Train" / "Abuse028_x264_i3d.npy", np.ones(1))
    for listed in ("Abuse028_x264", "Abuse028", "/x/Abuse/Abuse028_x264.npy", "Abuse028_x264__5"):
        assert find(tmp_path, listed) == (first,)
    assert find(tmp_path, "Abuse029_x264.npy") == ()
    second = save(tmp_path / "Test" / "Abuse028_x264_i3d.npy", np.ones(1))
    with pytest.raises(UserError, match=rf"list:1: Abuse028_x264\.npy may be {second} or {first}"):
        find(tmp_path, "Abuse028_x264.npy")
    assert find(tmp_path, "/x/Train/Abuse028_x264.npy") == (first,)


def test_the_row_of_a_video_means_its_features(tmp_path):
    near = save(tmp_path / "gate" / "a.npy", np.ones(1))
    far = save(tmp_path / "shop" / "b.c.npy", np.ones(1))
    for listed in ("gate/a.mp4", "gate\\a.MKV", "/data/clips/gate/a.avi", "x/a.mov"):
        assert find(tmp_path, listed) == (near,)
    assert find(tmp_path, "gate/b.c.webm") == (far,)
    assert find(tmp_path, "b.mp4") == ()
    other = save(tmp_path / "shop" / "a.npy", np.ones(1))
    assert find(tmp_path, "shop/a.mp4") == (other,)
    with pytest.raises(UserError, match=rf"list:1: x/a\.mp4 may be {near} or {other}; write"):
        find(tmp_path, "x/a.mp4")


def test_a_number_in_the_name_of_a_video_is_no_crop(tmp_path):
    ends = ("", "__1", "__2", "__3", "__4")
    files = [save(tmp_path / f"a{end}.npy", np.ones(1)) for end in ends]
    assert find(tmp_path, "a.mp4") == tuple(files)  # a release with five files per video
    assert find(tmp_path, "a__2.mp4") == (files[2],)
    facts = {"encoder": "e", "num_frames": 16, "fps": 25.0, "num_segments": 1}
    (tmp_path / "a.json").write_text(json.dumps({**facts, "features_sha256": ""}))
    assert find(tmp_path, "a.mp4") == (files[0],)  # extracted: a file per video


def test_a_row_without_a_crop_means_its_file_or_all_crops(tmp_path):
    for name in ("Abuse001__0", "Abuse001__1", "Abuse001__2"):
        save(tmp_path / f"{name}.npy", np.ones(1))
    crops = tuple(tmp_path / f"Abuse001__{k}.npy" for k in range(3))
    assert find(tmp_path, "Abuse001") == find(tmp_path, "x/Abuse001.npy") == crops
    assert find(tmp_path, "Abuse001__2", "Abuse001__0") == (crops[0], crops[2])
    bare = save(tmp_path / "Abuse001.npy", np.ones(1))
    assert find(tmp_path, "x/Abuse001.npy") == (bare,)
    assert find(tmp_path, "x/Abuse001.npy", "x/Abuse001__1.npy") == (bare, crops[1])


def paths(*shapes: tuple[int, ...]) -> dict[pathlib.Path, tuple[int, ...]]:
    return {pathlib.Path(f"{index}.npy"): shape for index, shape in enumerate(shapes)}


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(3, 4), (7, 4)], "none"),
        ([(10, 37, 4), (10, 5, 4)], "crops_first"),
        ([(37, 10, 4), (5, 10, 4)], "time_first"),
        ([(5, 10, 4), (5, 12, 4)], "crops_first"),
        ([(1, 10, 4), (1, 12, 4)], "crops_first"),
        ([(9, 1, 4)], "time_first"),
        ([(37, 10, 4), (12, 4)], "time_first"),
    ],
)
def test_the_axis_of_the_crops_is_told_by_its_size(shapes, expected):
    assert choose_layout("auto", paths(*shapes)) == expected


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(5, 10, 4)], "both .* can be the crops .*--layout=crops_first or --layout=time_first"),
        ([(10, 10, 4), (10, 10, 4)], "both"),
        ([(7, 37, 4)], "neither"),
        ([(10, 37, 4), (37, 10, 4)], "neither"),
        ([(10, 37, 4), (5, 37, 4)], "neither"),
    ],
)
def test_an_axis_that_cannot_be_told_is_asked_for(shapes, message):
    with pytest.raises(UserError, match=message):
        choose_layout("auto", paths(*shapes))
    assert choose_layout("time_first", paths(*shapes)) == "time_first"


def test_both_layouts_give_crops_by_time(tmp_path):
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    path = save(tmp_path / "a.npy", array)
    crops_first = load_crops([path], "crops_first")
    np.testing.assert_array_equal(crops_first, array)
    time_first = load_crops([path], "time_first", 2)
    np.testing.assert_array_equal(time_first, array.swapaxes(0, 1)[:2])


def test_modalities_are_runs_of_channels():
    assert parse_modalities([], paths((3, 6))) == (Modality("visual", 6),)
    assert parse_modalities(["visual=4", "text=2"], paths((3, 6), (5, 3, 6))) == (
        Modality("visual", 4),
        Modality("text", 2),
    )


@pytest.mark.parametrize(
    ("texts", "shapes", "message"),
    [
        ([], [(3, 6), (3, 5)], r"1\.npy: shape \(3, 5\), D = 5, but 0\.npy has D = 6"),
        (["visual=4"], [(3, 6)], "D = 6, but --modality adds up to 4"),
        (["visual"], [(3, 6)], "expected name=width"),
        (["visual=0"], [(3, 6)], "expected name=width"),
        (["a=3", "a=3"], [(3, 6)], "a appears twice"),
    ],
)
def test_widths_that_do_not_add_up_are_refused(texts, shapes, message):
    with pytest.raises(UserError, match=message):
        parse_modalities(texts, paths(*shapes))
