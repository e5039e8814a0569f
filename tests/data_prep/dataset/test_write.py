import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from data_prep.dataset.records import example, to_float16
from data_prep.dataset.videos import Span, Video
from data_prep.dataset.write import write_dataset
from refinevad_jax.data.bags import BagsInfo, Modality, dataset_dir, read_info, read_split
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

ROOT = pathlib.Path(__file__).resolve().parents[3]
INFO = BagsInfo(
    name="tiny",
    taxonomy=XD_VIOLENCE,
    modalities=(Modality("visual", 4),),
    provenance={"input": "one", "crops": (1, 5)},
)

# Writes a data set of 40 videos; the 20th takes for ever. argv: data_dir, "slow" or "fast".
WRITER = """
import signal, sys, time
import numpy as np
from data_prep.dataset.write import write_dataset
from data_prep.dataset.videos import Video
from refinevad_jax.data.bags import BagsInfo, Modality
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE

# A shell that starts the tests in the background has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

def load(index):
    if sys.argv[2] == "slow" and index == 20:
        time.sleep(600)
    return np.full((1, index + 1, 4), index)

info = BagsInfo("tiny", XD_VIOLENCE, (Modality("visual", 4),), provenance={"mode": sys.argv[2]})
videos = [
    Video(f"v{i}", "train", "G" if i % 2 else "A", lambda i=i: load(i), f"v{i}.npy")
    for i in range(40)
]
try:
    write_dataset(sys.argv[1], info, videos, overwrite=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def video(video_id: str = "v", **changes) -> Video:
    whole = Video(video_id, "train", "B1-0-0", lambda: np.ones((1, 3, 4)), f"{video_id}.npy")
    return dataclasses.replace(whole, **changes)


def writer(data_dir: pathlib.Path, mode: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(data_dir), mode],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def everything_below(folder: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_features_are_stored_as_float16():
    features, degraded = to_float16(np.ones((2, 3, 4), np.float64), INFO, source="a.npy")
    assert degraded == ""
    assert features.dtype == np.float16
    assert features.shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((3, 4)), r"a\.npy: features of shape \(3, 4\)"),
        (np.ones((1, 3, 5)), r"the data set has \(crops, T, 4\)"),
        (np.ones((1, 0, 4)), "no segments"),
        (np.ones((0, 3, 4)), "no segments"),
        (np.full((1, 3, 4), 7e4), "70000 does not fit float16"),
        (np.array([[[1, 2, 3, 4], [1, np.nan, 3, 4]]]), "nan at crop 0, segment 1, channel 1"),
        (np.array([[[1, 2, 3, -np.inf]]]), "-inf at crop 0, segment 0, channel 3"),
    ],
)
def test_unusable_features_are_refused(features, message):
    with pytest.raises(UserError, match=message):
        to_float16(features, INFO, source="a.npy")


def test_a_video_beyond_the_size_of_a_record_is_refused_before_it_is_copied():
    # UCF-Crime's longest training video, ten crops of I3D.
    features = np.broadcast_to(np.float32(1), (10, 61031, 2048))
    with pytest.raises(UserError, match=r"2\.3 GiB.*--num_crops"):
        wide = dataclasses.replace(INFO, modalities=(Modality("visual", 2048),))
        to_float16(features, wide, source="Normal_Videos_i3d.npy")


def test_spans_are_clipped_and_take_the_category_of_a_single_label():
    spans = (Span(-5, 10), Span(40, 60), Span(48, 50), Span(12, 12))
    record, _ = example(video(spans=spans, num_frames=48), INFO, position=0)
    assert record["spans"].tolist() == [[0, 10, 0], [40, 48, 0]]
    assert record["has_truth"]


def test_a_span_of_a_video_with_two_labels_has_a_category_only_where_stated():
    spans = (Span(0, 4), Span(4, 8, "G"), Span(8, 9, "car accident"))
    record, _ = example(video(label="B1-G", spans=spans), INFO, position=0)
    assert record["spans"].tolist() == [[0, 4, -1], [4, 8, 5], [8, 9, 4]]


def test_unknown_frames_are_taken_from_the_segments():
    assert example(video(), INFO, position=0)[0]["num_frames"] == 48
    assert example(video(num_frames=50), INFO, position=0)[0]["num_frames"] == 50
    assert not example(video(), INFO, position=0)[0]["has_truth"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "B3"}, r"v\.npy: video v: unknown label 'B3'"),
        ({"spans": (Span(0, 4, "Looting"),)}, "a span of video v: unknown label 'Looting'"),
        ({"num_frames": 0}, "has 0 frames"),
    ],
)
def test_unusable_videos_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        example(video(**changes), INFO, position=0)


@pytest.mark.parametrize(
    ("info", "videos", "message"),
    [
        (INFO, [], "no videos"),
        (INFO, [video("a"), video("a", split="test")], "a appears twice .*train and test"),
        (INFO, [video("")], "without a name"),
        (INFO, [video(split="../x")], "split '../x'"),
        (dataclasses.replace(INFO, name="../x"), [video()], "--name='../x'"),
        (dataclasses.replace(INFO, name=""), [video()], "--name=''"),
    ],
)
def test_unusable_names_are_refused_and_nothing_is_written(info, videos, message, tmp_path):
    with pytest.raises(UserError, match=message):
        write_dataset(str(tmp_path / "data"), info, videos)
    assert everything_below(tmp_path) == []


def test_a_bad_video_leaves_nothing_behind(tmp_path):
    bad = video("b", load_features=lambda: np.full((1, 3, 4), np.nan))
    with pytest.raises(UserError, match=r"b\.npy: nan"):
        write_dataset(str(tmp_path / "data"), INFO, [video("a"), bad])
    assert everything_below(tmp_path) == []


def test_a_bad_video_leaves_the_earlier_data_set_as_it_was(tmp_path):
    write_dataset(str(tmp_path), INFO, [video("a")])
    before = everything_below(tmp_path)
    bad = video("b", load_features=lambda: np.zeros((1, 3, 5)))
    with pytest.raises(UserError, match="shape"):
        write_dataset(str(tmp_path), INFO, [bad], overwrite=True)
    assert everything_below(tmp_path) == before
    assert [bag.video_id for bag in read_split(str(tmp_path), "tiny", "train")] == ["a"]


def test_equal_input_is_not_packaged_twice_and_other_input_needs_overwrite(tmp_path, capsys):
    folder = write_dataset(str(tmp_path), INFO, [video("a")])
    written = folder.stat().st_ino

    assert write_dataset(str(tmp_path), INFO, [video("a")]) == folder
    assert "nothing to do" in capsys.readouterr().out
    assert folder.stat().st_ino == written

    other = dataclasses.replace(INFO, provenance={"input": "two"})
    with pytest.raises(UserError, match=r"made from other input; .*--overwrite"):
        write_dataset(str(tmp_path), other, [video("b")])
    assert folder.stat().st_ino == written

    write_dataset(str(tmp_path), other, [video("b")], overwrite=True)
    assert read_info(str(tmp_path), "tiny").provenance == {"input": "two"}
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file.* cannot be written"):
        write_dataset(str(tmp_path / "file"), INFO, [video()])


def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path):
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        + WRITER.replace("np.full((1, index + 1, 4), index)", "np.random.rand(1, 9000, 4)")
    ).replace("except KeyboardInterrupt", "except __import__('refinevad_jax').errors.UserError")
    script = script.replace("sys.exit(130)", "sys.exit(str(sys.exc_info()[1]))")
    command = [sys.executable, "-c", script, str(tmp_path / "data"), "fast"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "cannot be written" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert everything_below(tmp_path) == []


def wait_for_staging(data_dir: pathlib.Path) -> None:
    """Waits until a writer is in the middle of its videos."""
    deadline = time.monotonic() + 60
    while not list(data_dir.rglob(".incomplete-*/**/incomplete-*")):
        assert time.monotonic() < deadline, "the writer did not start"
        time.sleep(0.05)


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_writer_leaves_no_half_data_set(kind, earlier, tmp_path):
    if earlier:
        write_dataset(str(tmp_path), INFO, [video("a")])
    process = writer(tmp_path, "slow")
    wait_for_staging(tmp_path)
    process.send_signal(kind)
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if kind == signal.SIGKILL else 130)

    final = dataset_dir(str(tmp_path), "tiny")
    if earlier:
        assert [bag.video_id for bag in read_split(str(tmp_path), "tiny", "train")] == ["a"]
    else:
        assert not final.exists()
    # What only SIGKILL leaves, hidden beside the data set, goes with the next run.
    assert bool(list(tmp_path.rglob(".incomplete-*"))) == (kind == signal.SIGKILL)
    write_dataset(str(tmp_path), INFO, [video("b")], overwrite=True)
    assert [path.name for path in final.parent.iterdir()] == ["1.0.0"]


def test_equal_input_gives_equal_bytes_in_silence(tmp_path):
    for name, hash_seed in (("one", "1"), ("two", "2")):
        process = writer(tmp_path / name, "fast", PYTHONHASHSEED=hash_seed)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
    assert everything_below(tmp_path / "one") == everything_below(tmp_path / "two")
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file():
            twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
            assert path.read_bytes() == twin.read_bytes(), path.name


def test_file_sha256(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(path) == expected


@pytest.mark.parametrize(
    ("rates", "expected"),
    [((30.0, 0.0, 30.0), 30.0), ((29.97, 29.98), 29.98), ((25.0, 30.0), 0.0), ((0.0, 0.0), 0.0)],
)
def test_the_rate_of_all_videos_is_kept(tmp_path, rates, expected):
    info = BagsInfo("tiny", XD_VIOLENCE, (Modality("visual", 4),))
    videos = [video(f"v{i}", fps=rate) for i, rate in enumerate(rates)]
    folder = write_dataset(str(tmp_path), info, videos)
    assert read_info(str(tmp_path), "tiny").fps == expected
    assert ('"fps"' in (folder / "metadata.json").read_text()) == bool(expected)
