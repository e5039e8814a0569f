"""Whose video is it: crops, endings and folders are read from all names together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.catalogue.listed_names import (
    bare_key,
    meet,
    merged_note,
    read_names,
    read_names_of,
    short_ids,
)
from data_prep.catalogue.video_names import strip_video_path
from refinevad_jax.errors import UserError


def ids(*paths: str, **options) -> list[str]:
    return [name.video_id for name in read_names(paths, **options)]


def crops(stem: str, count: int) -> list[str]:
    return [f"{stem}__{k}.npy" for k in range(count)]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        # RWF-2000: ids of YouTube that end in `_`, and a number of the clip.
        (["x_RyIA___0.npy", "x_RyIA___1.npy", "a_0.npy"], ["x_RyIA___0", "x_RyIA___1", "a_0"]),
        (["v__0.npy", "v__1.npy"], ["v__0", "v__1"]),
        (["cam__1.npy", "cam__2.npy"], ["cam__1", "cam__2"]),
        (["cam__1", "cam__2"], ["cam__1", "cam__2"]),
        (["20_0105_1.npy", "20_0105_2.npy"], ["20_0105_1", "20_0105_2"]),
        (["01_0014_3.npy"], ["01_0014_3"]),
        ([f"01_0014_{k}.npy" for k in range(10)], ["01_0014"] * 10),
        (crops("a", 5) + crops("b", 5), ["a"] * 5 + ["b"] * 5),
        (["a.npy", *crops("a", 5)[1:]], ["a"] * 5),  # crop 0 without a number, as Roc-Ng's
        (
            crops("a", 5) + crops("b", 4),
            [f"a__{k}" for k in range(5)] + [f"b__{k}" for k in range(4)],
        ),
        (crops("a", 4), [f"a__{k}" for k in range(4)]),
        (["a__0.npy", "b__0.npy"], ["a", "b"]),
        (["a__0.npy", "b.npy"], ["a__0", "b"]),
        ([*crops("a", 10), "b__0.mp4"], [f"a__{k}" for k in range(10)] + ["b__0"]),
        (crops("a/1", 5) + crops("b/1", 5), ["a/1"] * 5 + ["b/1"] * 5),
        # A release is known by its names, among others too if nobody else gives such names.
        (["Abuse028_x264__5.npy"], ["Abuse028_x264"]),
        (["Abuse028_x264__5.npy", "gate__1.npy"], ["Abuse028_x264", "gate__1"]),
        (["x/Fire_3_swin.npy", "x/Fire_4_swin.npy"], ["Fire_3", "Fire_4"]),
        # Endings of encoders
        (["gate_rgb.npy", "gate_flow.npy"], ["gate_rgb", "gate_flow"]),
        (["a_rgb.npy", "b_rgb.npy"], ["a", "b"]),
        (["a__vggish.npy", "b__vggish.npy"], ["a", "b"]),
        (["a_RGB.npy", "b_rgb.npy"], ["a_RGB", "b_rgb"]),
        (["a.mp4_i3d.npy", "b.mp4_i3d.npy"], ["a", "b"]),
        (["a.npy.npy", "b.txt.npy"], ["a", "b"]),
        (["a_i3d.npy", "b.npy"], ["a_i3d", "b"]),
        (["x_i3d.avi", "y_i3d.avi"], ["x_i3d", "y_i3d"]),
        # Folders
        (["normal/1.mp4", "fight/1.mp4"], ["normal/1", "fight/1"]),
        (["/d/v/normal/1.mp4", "/d/v/fight/1.mp4"], ["normal/1", "fight/1"]),
        (["D:\\v\\normal\\1.avi", "D:\\v\\fight\\1.avi"], ["normal/1", "fight/1"]),
        (["./a/1.npy", "a/1.npy", "b/1.npy"], ["a/1", "a/1", "b/1"]),
        (["1.mp4", "sub/1.mp4", "sub/2.mp4"], ["1", "sub/1", "2"]),
        (["frames/v1/", "frames\\v2\\"], ["v1", "v2"]),
        (["x/Abuse028_x264.npy", "y/Abuse028_x264__1.npy"], ["Abuse028_x264"] * 2),
        (["x/Abuse028.npy", "y/Abuse028.npy"], ["x/Abuse028", "y/Abuse028"]),
        # Suffixes
        (["a.mp4.mp4", "b.avi.mp4", "c.mp4.npy", "d.mpg.txt"], ["a", "b", "c", "d"]),
        (["A.MTS", "b.3gp", "c.DAV", "d.h264.mp4"], ["A", "b", "c", "d"]),
        (["clip.2024-01-05", "v1.5", "x.264.mp4"], ["clip.2024-01-05", "v1.5", "x.264"]),
        (["#1.mp4", "#cam 3.avi", ".mp4"], ["#1", "#cam 3", ".mp4"]),
        (["u\u0308ber.mp4", " spaced .mp4 "], ["über", "spaced"]),
    ],
)
def test_ids(paths, expected):
    assert ids(*paths) == expected


def test_what_extraction_made_is_a_video_each():
    paths = crops("cam", 5)
    assert ids(*paths, recorded=paths) == [f"cam__{k}" for k in range(5)]
    assert ids(*paths, crops=False) == [f"cam__{k}" for k in range(5)]


def test_ids_differ_across_the_lists_of_a_data_set():
    train, test = read_names_of([["train/fight/1.mp4"], ["test/fight/1.mp4", "test/fight/2.mp4"]])
    assert [name.video_id for name in [*train, *test]] == ["train/fight/1", "test/fight/1", "2"]
    # A release has each name once: who is in two of its lists is in both.
    train, test = read_names_of([["train/Fire_3_i3d.npy"], ["test/Fire_3_i3d.npy"]])
    assert train[0].video_id == test[0].video_id == "Fire_3"


def test_crops_that_are_missing_do_not_make_them_videos():
    paths = [path for i in range(20) for path in crops(f"v{i}", 5)][:-1]
    names = read_names(paths)
    assert {name.video_id for name in names} == {f"v{i}" for i in range(20)}
    note = "99 files, v0__0.npy the first, are read as crops 0 to 4 of 20 videos"
    assert merged_note(paths, names) == note
    assert merged_note(["Abuse028__1.npy"], read_names(["Abuse028__1.npy"])) == ""


@pytest.mark.parametrize(
    ("names", "videos", "expected"),
    [
        (["fight/1", "normal/1"], ["d/fight/1", "d/normal/1"], ["fight/1", "normal/1"]),
        (["test/fight/1"], ["fight/1", "test/fight/1"], ["test/fight/1"]),
        (["/x/test/fight/1"], ["fight/1", "test/fight/1"], ["test/fight/1"]),
        (["fight/1"], ["x/gate/1"], ["1"]),
        (["Abuse028"], ["a/Abuse028_x264"], ["Abuse028_x264"]),
        (["A%20b", "GATE"], ["a b", "gate"], ["a b", "gate"]),
        (["FIGHT/1"], ["fight/1", "normal/1"], ["fight/1"]),
        (["a_rgb"], ["a"], ["a"]),
        (["a"], ["a_rgb"], ["a_rgb"]),
        (["v"], ["v__0"], ["v__0"]),
        (["gate_rgb"], ["gate_flow"], [None]),
        (["cam__1"], ["cam__2"], [None]),
        (["other"], ["a"], [None]),
    ],
)
def test_names_meet_videos(names, videos, expected):
    paths = {one: path for path, one in short_ids(videos).items()}
    found, _ = meet({name: name for name in names}, paths, "truth.txt")
    assert [found.get(name) for name in names] == expected


@pytest.mark.parametrize(
    ("names", "videos", "message"),
    [
        (["1"], ["normal/1", "fight/1"], "t: 1 may be video normal/1 or fight/1; write its folder"),
        (["a/1", "b/1"], ["1"], "t: a/1 and b/1 may both be video 1; write its folder in the list"),
    ],
)
def test_names_that_fit_two_are_refused(names, videos, message):
    paths = {one: path for path, one in short_ids(videos).items()}
    with pytest.raises(UserError, match=message):
        meet({name: name for name in names}, paths, "t")


PARTS = st.sampled_from(
    ["a", "1", "cam", "Abuse028", "__0", "__1", "_rgb", "/", "\\", ".mp4", ".", "#", " "]
)
PATHS = st.lists(st.lists(PARTS, min_size=1, max_size=6).map("".join), min_size=1, max_size=8)


@given(paths=PATHS, others=PATHS)
def test_any_names_are_read_or_refused(paths, others):
    names = read_names(paths)
    assert len(names) == len(paths)
    for path, name in zip(paths, names, strict=True):
        assert f"/{name.path}".endswith(f"/{name.video_id}")
        assert strip_video_path(strip_video_path(path)).count("/") == name.path.count("/")
        assert bare_key(name.video_id) is not None
    videos = {name.video_id: name.path for name in names}
    again = {strip_video_path(path): strip_video_path(path) for path in others}
    try:
        found, _ = meet(again, videos, "t")
    except UserError:
        return
    assert set(found) <= set(again) and set(found.values()) <= set(videos)
