"""The videos of a user: labels, names, and every problem in one go."""

import pathlib
import shutil

import numpy as np
import pytest

from data_prep.own_data.videos import find, key_of, normal_words
from refinevad_jax.errors import UserError

pytest.importorskip("av", reason="pip install av")
from refinevad_jax.encoders.video_writer import write_video


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, [np.full((48, 64, 3), i, np.uint8) for i in range(20)], fps=25)
    return path


def put(clip: pathlib.Path, root: pathlib.Path, *names: str) -> None:
    """Copies of a clip whose contents differ: a container may have bytes after its end."""
    for index, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(clip.read_bytes() + name.encode() + bytes([index]))


GOOD = ("normal/1.mp4", "normal/2.mp4", "fight/1.mp4", "fight/day/gate_clip2.mp4", "fight/a__3.mp4")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("normal fight", "normal"),
        ("Normal_Videos fight", "Normal_Videos"),
        ("no_fight fight", "no_fight"),
        ("NonViolence Violence", "NonViolence"),
        ("nofight fights", "nofight"),
        ("non-anomalous fight", "non-anomalous"),
        ("normal no_helmet", "normal"),
        ("no_helmet no_vest work", ""),
        ("normal no_fight fight", "normal no_fight"),
        ("normal_day normal_night fall", "normal_day normal_night"),
        ("nose note fall", ""),
        ("abnormal north normalcy", ""),
    ],
)
def test_normal_words(labels: str, expected: str) -> None:
    assert normal_words(labels.split()) == expected.split()


def test_folders(clip: pathlib.Path, tmp_path: pathlib.Path) -> None:
    put(clip, tmp_path, *GOOD)
    (tmp_path / "fight" / "notes.txt").touch()
    (tmp_path / "fight" / ".hidden.mp4").touch()
    (tmp_path / "empty").mkdir()
    found = find(tmp_path, None, "")
    assert found.problems == [] and found.normal == ["normal"]
    assert [(video.key, video.label, video.source) for video in found.videos] == [
        ("fight-1", "fight", "fight-1.mp4"),
        ("fight-a__3", "fight", "fight-a__3.mp4"),
        ("fight-day-gate_clip2", "fight", "day/gate"),
        ("normal-1", "Normal", "normal-1.mp4"),
        ("normal-2", "Normal", "normal-2.mp4"),
    ]
    assert {video.num_frames for video in found.videos} == {20}
    notes = " ".join(found.notes)
    assert "notes.txt" in notes and "empty: no video" in notes and ".hidden.mp4 (hidden)" in notes


def test_csv(clip: pathlib.Path, tmp_path: pathlib.Path) -> None:
    put(clip, tmp_path / "clips", "a.mp4", "b.mp4", "sub/c.mp4", "d.mp4", "e.mp4")
    table = tmp_path / "labels.csv"
    table.write_text(
        "\ufeffVideo;Label;Source\r\na.mp4;day;x\r\nb.mp4;day;\r\n\r\n"
        "clips/sub/c.mp4;fall;x\r\nd.mp4;fall;\r\n",
        encoding="utf-8",
    )
    found = find(tmp_path / "clips", table, "Day")
    assert found.problems == []
    assert [(video.key, video.label, video.source) for video in found.videos] == [
        ("a", "Normal", "x"),
        ("b", "Normal", "b.mp4"),
        ("clips-sub-c", "fall", "x"),
        ("d", "fall", "d.mp4"),
    ]
    assert len(found.notes) == 1 and "e.mp4" in found.notes[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda root: (root / "loose.mp4").touch(), "loose.mp4: has no label"),
        (lambda root: (root / "fight" / "junk.mp4").write_text("no"), "no readable video"),
        (lambda root: (root / "fight" / "none.mp4").touch(), "is empty"),
        (lambda root: shutil.copy(root / "fight/1.mp4", root / "fight/9.mp4"), "the same video;"),
        (
            lambda root: shutil.copy(root / "fight/1.mp4", root / "normal/9.mp4"),
            "the same video, with different labels",
        ),
        (lambda root: (root / "normal").rename(root / "calm"), "no label is normal by its name"),
        (lambda root: shutil.rmtree(root / "normal"), "no label is normal by its name"),
        (
            lambda root: [
                (root / old).rename(root / new)
                for old, new in (("normal", "val"), ("fight", "Train"))
            ],
            "'Train', 'val' are splits, not labels",
        ),
        (lambda root: shutil.rmtree(root / "fight"), "all videos are normal"),
        (lambda root: (root / "normal" / "2.mp4").unlink(), "1 normal video; training needs 2"),
        (lambda root: (root / "fight" / "day").rename(root / "Fight"), "differ in case only"),
        (lambda root: (root / "fight/1.mp4").rename(root / "fight/a\n.mp4"), "control characters"),
        (lambda root: (root / "fight").rename(root / "fight "), "begins or ends with a space"),
        (
            lambda root: (root / "normal/2.mp4").rename(root / "normal/1.avi"),
            "would have one name",
        ),
    ],
)
def test_problems(clip: pathlib.Path, tmp_path: pathlib.Path, change, expected: str) -> None:
    put(clip, tmp_path, *GOOD)
    change(tmp_path)
    problems = find(tmp_path, None, "").problems
    assert expected in " / ".join(problems), problems


def test_all_problems_in_one_go(clip: pathlib.Path, tmp_path: pathlib.Path) -> None:
    put(clip, tmp_path, "calm/1.mp4", "fight/1.mp4", "loose.mp4")
    (tmp_path / "fight" / "junk.mp4").write_text("no")
    write_video(tmp_path / "calm" / "short.mp4", [np.zeros((48, 64, 3), np.uint8)] * 9, fps=25)
    problems = find(tmp_path, None, "").problems
    assert len(problems) == 4
    assert any("9 frames, fewer than the 16" in problem for problem in problems)


def test_numbered_names_are_pointed_out(clip: pathlib.Path, tmp_path: pathlib.Path) -> None:
    names = [f"fight/{name}_{i}.mp4" for name in ("x", "y") for i in range(2)]
    put(clip, tmp_path, *names, "normal/n_1.mp4", "normal/n_2.mp4")
    notes = find(tmp_path, None, "").notes
    assert len(notes) == 1 and "fight/x_0.mp4 and fight/x_1.mp4" in notes[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("path,label\na.mp4,x\n", "the first line is 'path,label'"),
        ("a.mp4,normal\n", "expected the header"),
    ],
)
def test_tables_that_are_none(tmp_path: pathlib.Path, text: str, expected: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(UserError, match=expected):
        find(None, table, "")


def test_rows_that_are_wrong(clip: pathlib.Path, tmp_path: pathlib.Path) -> None:
    put(clip, tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "c.txt").touch()
    table = tmp_path / "labels.csv"
    rows = ["a.mp4,normal", "b.mp4,", "./a.mp4,fight", "gone.mp4,fight", "c.txt,fight", "a.mp4"]
    table.write_text("\n".join(["video,label", *rows]))
    problems = find(None, table, "").problems
    for line, words in enumerate(
        ("has no label", "also in line 2", "no video 'gone.mp4'", "not a video", "1 columns"), 3
    ):
        assert any(f":{line}: " in problem and words in problem for problem in problems), words


def test_folders_that_are_none(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        find(tmp_path / "gone", None, "")
    assert "no labelled video" in find(tmp_path, None, "").problems[0]


def test_keys() -> None:
    names = ["a/fight-1.mp4", r"a\fight-1.NPY", "fight-1"]
    assert {key_of(name) for name in names} == {"fight-1"}
    assert key_of("v1.2") == "v1.2"
