"""From videos to feature files: resuming, bad files, crops; a stand-in encoder keeps it quick."""

import json
import os
import pathlib

import numpy as np
import pytest

from data_prep.extraction import jobs as jobs_lib
from data_prep.extraction.jobs import Summary, plan_jobs, read_videos
from data_prep.extraction.visual import visual_work
from refinevad_jax.encoders.crops import crops
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256
from tests.conftest import call, write_uneven

pytest.importorskip("av", reason="pip install av")


def frames(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.full((48, 64, 3), rng.integers(256), np.uint8) for _ in range(count)]


class Means:
    """Mean and standard deviation of a segment's pixels; counts its calls."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, segments: np.ndarray) -> np.ndarray:
        self.shapes.append(segments.shape)
        axes = (1, 2, 3, 4)
        return np.stack([segments.mean(axes), segments.std(axes)], axis=1).astype(np.float32)


def expected(path: pathlib.Path, num_crops: int = 1) -> np.ndarray:
    with Video(path) as video:
        cut = np.stack([crops(frame.pixels, num_crops) for frame in video], axis=1)
    cut = cut[:, : cut.shape[1] // 16 * 16]
    segments = cut.reshape(num_crops, -1, 16, 224, 224, 3)
    rows = np.stack([Means()(one) for one in segments], axis=1)
    return rows[:, 0] if num_crops == 1 else rows


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "videos"
    write_video(folder / "a.mp4", frames(40), fps=25)
    write_video(folder / "sub" / "b.c.mkv", frames(33, seed=1), fps=25)
    write_video(folder / "sub" / "d.mp4", frames(100, seed=2), fps=25)
    return folder


def run(
    folder: pathlib.Path, output: pathlib.Path, *, means: Means | None = None, num_crops: int = 1
) -> Summary:
    encoder = VisualEncoder("means", 2, "0" * 64, means or Means())
    jobs = plan_jobs(read_videos(folder), output)
    return jobs_lib.run(jobs, visual_work(encoder, num_crops, 3), workers=2)


def test_files_records_and_batches(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    means = Means()
    summary = run(folder, tmp_path / "out", means=means)
    assert (summary.done, summary.skipped, summary.failed, summary.warned) == (3, 0, {}, {})
    for name, count in {"a": 2, "sub/b.c": 2, "sub/d": 6}.items():
        found = np.load(tmp_path / "out" / f"{name}.npy")
        video = next(folder.glob(f"{name}.m*"))
        assert found.shape == (count, 2) and found.dtype == np.float32
        np.testing.assert_allclose(found, expected(video), rtol=1e-5)
        record = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert record["video_sha256"] == file_sha256(video)
        assert record["num_segments"] == count and record["fps"] == 25
        assert "segment_seconds" not in record
    # 10 segments of three videos in calls of 3: batches are filled across videos.
    assert [shape[0] for shape in means.shapes] == [3, 3, 3, 1]
    names = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert names == ["a.json", "a.npy", "b.c.json", "b.c.npy", "d.json", "d.npy"]


def test_times_of_a_variable_frame_rate_are_recorded(tmp_path: pathlib.Path) -> None:
    write_uneven(tmp_path / "a.mkv", [*range(0, 1280, 40), *range(3000, 3640, 40)])
    run(tmp_path, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "a.json").read_text())
    assert record["segment_seconds"] == [0, 0.64, 3, 3.64] and record["num_frames"] == 48


def test_ten_crops_are_the_middle_axis(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run(folder / "a.mp4", tmp_path / "out", num_crops=10)
    found = np.load(tmp_path / "out" / "a.npy")
    assert found.shape == (2, 10, 2)
    np.testing.assert_allclose(found, expected(folder / "a.mp4", 10), rtol=1e-5)


def test_damage_is_said_again_by_the_next_call(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (folder / "sub" / "b.c.mkv").read_bytes()
    (folder / "sub" / "twice.mkv").write_bytes(whole * 2)
    for _ in range(2):
        jobs_lib.report(run(folder, tmp_path / "out"), "out")
        said = capsys.readouterr()
        assert "warning: sub/twice: 1 jump of the clock joined" in said.err
        assert "0 failed, 1 with warnings" in said.out


def test_resumes_by_hash(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    output = tmp_path / "out"
    run(folder, output)
    assert run(folder, output).skipped == 3
    write_video(folder / "a.mp4", frames(50, seed=5), fps=25)
    (output / "sub" / "d.npy").write_bytes(b"cut off")
    summary = run(folder, output)
    assert (summary.done, summary.skipped) == (2, 1)
    np.testing.assert_allclose(np.load(output / "a.npy"), expected(folder / "a.mp4"), rtol=1e-5)
    assert run(folder, output, num_crops=10).done == 3


def test_bad_videos_do_not_end_the_others(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (folder / "junk.mp4").write_text("no video")
    (folder / "empty.mp4").touch()
    write_video(folder / "short.mp4", frames(15), fps=25)
    summary = run(folder, tmp_path / "out")
    assert summary.done == 3
    assert sorted(summary.failed) == ["empty", "junk", "short"]
    assert "15 frames, fewer than the 16" in summary.failed["short"]
    assert len(list((tmp_path / "out").rglob("*.npy"))) == 3


def test_values_that_are_not_finite_are_a_failure(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    encoder = VisualEncoder("nan", 2, "", lambda x: np.full((len(x), 2), np.nan, np.float32))
    jobs = plan_jobs(read_videos(folder / "a.mp4"), tmp_path / "out")
    summary = jobs_lib.run(jobs, visual_work(encoder, 1, 1))
    assert "not finite" in summary.failed["a"] and summary.done == 0
    assert not list(tmp_path.rglob("*.npy"))


def test_a_failing_encoder_ends_the_run(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def broken(segments: np.ndarray) -> np.ndarray:
        raise UserError("out of memory")

    jobs = plan_jobs(read_videos(folder), tmp_path / "out")
    encoder = VisualEncoder("broken", 2, "", broken)
    with pytest.raises(UserError, match="out of memory"):
        jobs_lib.run(jobs, visual_work(encoder, 1, 1), workers=2)


def test_unwritable_output_leaves_what_was_there(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder / "a.mp4", tmp_path / "out")
    before = (tmp_path / "out" / "a.npy").read_bytes()
    write_video(folder / "a.mp4", frames(50, seed=5), fps=25)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left.*a\.npy"):
        run(folder / "a.mp4", tmp_path / "out")
    assert (tmp_path / "out" / "a.npy").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.json", "a.npy"]


def test_lists(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    listed = folder / "list.csv"
    listed.write_text("path,label\r\nsub/d.mp4,Normal\r\n\r\na.mp4,Fight\r\n")
    assert read_videos(listed) == [
        (folder / "sub" / "d.mp4", "sub/d.mp4"),
        (folder / "a.mp4", "a.mp4"),
    ]
    listed.write_text("video,label\nsub/d.mp4,Normal\na.mp4,Fight\n")
    assert [name for _, name in read_videos(listed)] == ["sub/d.mp4", "a.mp4"]
    listed.write_text(f"{folder}/sub/d.mp4\n{folder}/a.mp4\n")
    assert [name for _, name in read_videos(listed)] == ["sub/d.mp4", "a.mp4"]
    listed.write_text(f"{folder}/x/../sub/d.mp4\n{folder}/x/y.mp4\n")
    assert [name for _, name in read_videos(listed)] == ["sub/d.mp4", "x/y.mp4"]


@pytest.mark.parametrize(
    "content",
    [
        "path,label\nsub/d,Normal\na,Fight\n",
        "path,label\nsub/d.npy,Normal\na.npy,Fight\n",
        "path,label\n/home/other/sub/d.mp4,Normal\n/home/other/a.mp4,Fight\n",
        "sub\\d\r\na\r\n",
        '\ufeff"path";"label"\r\n"D:\\data\\sub\\d.mp4";"Normal"\r\n"D:\\data\\a.mp4";"Fight"\r\n',
    ],
)
def test_lists_of_other_machines(folder: pathlib.Path, content: str) -> None:
    listed = folder / "list.csv"
    listed.write_text(content, encoding="utf-8")
    assert read_videos(listed) == [
        (folder / "sub" / "d.mp4", "sub/d.mp4"),
        (folder / "a.mp4", "a.mp4"),
    ]


def test_a_listed_name_that_two_videos_have_is_refused(folder: pathlib.Path) -> None:
    (folder / "a.avi").touch()
    (folder / "list.csv").write_text("path,label\na,Fight\n")
    with pytest.raises(UserError, match=r"a may be .*a\.avi or .*a\.mp4; write its suffix"):
        read_videos(folder / "list.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "lists no video"),
        ("a.mp4\n./a.mp4\n", "listed twice"),
        ("../a.mp4\n", "leaves the list"),
    ],
)
def test_wrong_lists_are_one_line(tmp_path: pathlib.Path, content: str, words: str) -> None:
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(UserError, match=words):
        read_videos(tmp_path / "list.txt")


def test_what_is_found_is_said(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.3gp").write_bytes((folder / "a.mp4").read_bytes())
    (folder / "y").write_bytes((folder / "a.mp4").read_bytes())
    (folder / "notes.txt").touch()
    assert [name for _, name in read_videos(folder)] == [
        "a.mp4", "sub/b.c.mkv", "sub/d.mp4", "x.3gp", "y",
    ]  # fmt: skip
    said = capsys.readouterr().err
    assert said == f"note: --videos={folder}: 1 left out: notes.txt (not a video)\n"
    for name in ("x.3gp", "y"):
        assert read_videos(folder / name) == [(folder / name, name)]
        assert plan_jobs(read_videos(folder / name), folder)[0].name == name[0]
    (folder / "junk").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="junk: neither a folder, a video that can be read, nor a"):
        read_videos(folder / "junk")
    (folder / "list.txt").write_text("A.AVI\nsub/B.C.mkv\n")
    assert [name for _, name in read_videos(folder / "list.txt")] == ["a.mp4", "sub/b.c.mkv"]
    assert "A.AVI is not there; a.mp4 is" in capsys.readouterr().err


def test_wrong_sources(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="no video in it"):
        read_videos(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        read_videos(tmp_path / "missing.txt")
    videos = [(tmp_path / "a.mp4", "a.mp4"), (tmp_path / "a.avi", "a.avi")]
    with pytest.raises(UserError, match=r"both become a\.npy"):
        plan_jobs(videos, tmp_path)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--encoder=minilm"],
            "--texts=FOLDER belongs to --encoder=minilm or clip_text, which need it",
        ),
        (
            ["--encoder=i3d", "--weights=w"],
            "--weights has no effect with --encoder=i3d; leave it out",
        ),
        (
            ["--encoder=i3d", "--workers=3", "--beam_runner=DirectRunner"],
            "--workers has no effect with --beam_runner; leave it out",
        ),
    ],
)
def test_command_says_what_is_wrong(
    folder: pathlib.Path, tmp_path: pathlib.Path, flags: list[str], message: str
) -> None:
    done = call("data_prep.extract", f"--videos={folder}", f"--output={tmp_path / 'out'}", *flags)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"error: {message}"]
