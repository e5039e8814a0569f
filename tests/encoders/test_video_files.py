"""Which files are videos, and what is said of the others."""

import os
import pathlib

import numpy as np
import pytest

from refinevad_jax.encoders.video_files import (
    SUFFIXES,
    find_videos,
    folded,
    holds_video,
    is_video_file,
    left_out_note,
    spelled,
    without_suffix,
)

pytest.importorskip("av", reason="pip install av")
from refinevad_jax.encoders.video_writer import write_video


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, [np.full((48, 64, 3), i, np.uint8) for i in range(4)], fps=25)
    return path.read_bytes()


def fill(folder: pathlib.Path, content: bytes, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((f"a{suffix}", "a") for suffix in SUFFIXES),
        ("a.MP4", "a"),
        ("x/a.avi.mp4", "x/a"),
        ("a.mp4.mp4.mkv", "a"),
        ("Movie.x.264.mp4", "Movie.x.264"),
        ("a.h264.mp4", "a"),
        ("clip.2024-01-05", "clip.2024-01-05"),
        ("v1.5", "v1.5"),
        (".mp4", ".mp4"),
        ("mp4", "mp4"),
    ],
)
def test_without_suffix(name: str, expected: str) -> None:
    assert without_suffix(name) == expected


def test_frames_of_a_video_are_one_entry(tmp_path: pathlib.Path) -> None:
    frames = {tmp_path / f"v/{i:03d}.jpg": "not a video" for i in range(16)}
    assert left_out_note(frames | {tmp_path / "a.txt": "not a video"}, tmp_path) == (
        "17 left out: a.txt (not a video), v/*.jpg (16 files, not a video); pictures are not read: "
        "make a video of each folder of frames, as in ffmpeg -framerate 25 -pattern_type glob -i "
        "'v/*.jpg' v.mp4"
    )


def test_a_folder_is_searched_and_what_is_left_out_is_said(
    content: bytes, tmp_path: pathlib.Path
) -> None:
    videos = ["a.mp4", "b.3gp", "c.dav", "d", "e.dat", "f.2024-01-05", "sub/G.AVI"]
    fill(tmp_path, content, *videos, "hidden/.a.mp4", ".trash/a.mp4")
    fill(tmp_path, b"text\n" * 50, "README", "notes.txt", "a.srt", "a.json", "x.bin")
    (tmp_path / "empty").touch()
    (tmp_path / "broken.mp4").symlink_to("nowhere")
    (tmp_path / "again").symlink_to("sub")
    outside = tmp_path.with_name(f"{tmp_path.name}-outside")
    fill(outside, content, "h.mkv")
    (tmp_path / "linked").symlink_to(outside)
    (outside / "back").symlink_to(tmp_path)
    found = find_videos(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in found.videos]
    assert names == sorted([*videos, "linked/h.mkv"])
    assert left_out_note(found.left_out, tmp_path) == (
        "6 left out: README (no video that can be read), broken.mp4 (a link to nothing), empty (no "
        "video that can be read), hidden/.a.mp4 (hidden), notes.txt (not a video), x.bin (no video "
        "that can be read)"
    )
    assert {path.name for path in found.others} >= {"a.srt", "a.json"}


def test_a_folder_that_cannot_be_read_is_said(
    content: bytes, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, content, "a.mp4", "closed/b.mp4")
    scan = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = find_videos(tmp_path)
    assert found.videos == [tmp_path / "a.mp4"]
    assert found.left_out == {tmp_path / "closed": "cannot be read: Permission denied"}


def test_pictures_and_text_are_not_videos(content: bytes, tmp_path: pathlib.Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "picture.png")
    (tmp_path / "picture.png").rename(tmp_path / "picture")
    fill(tmp_path, content, "video", "video.jpg")
    fill(tmp_path, b"\x1b[31mred\n" * 99, "text.ans")
    fill(tmp_path, bytes(range(256)) * 9, "data.bin")
    kinds = {path.name: is_video_file(path) for path in tmp_path.iterdir()}
    expected = {name: name == "video" for name in kinds}
    assert kinds == expected and holds_video(tmp_path / "video.jpg")


def test_names_of_other_file_systems() -> None:
    assert spelled("u\u0308") == "ü"
    assert folded("A%20B") == folded("a b")
