"""From inputs to the folder of results, and what happens to bad ones."""

import copy
import csv
import dataclasses
import json
import pathlib
import resource
import threading
import time

import numpy as np
import pytest

from refinevad_jax.detection import run_detection
from refinevad_jax.detection.detector import Detector
from refinevad_jax.detection.features import encode_video, encode_videos, read_features
from refinevad_jax.detection.inputs import find_inputs
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.encoders.segments import ahead
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256
from tests.conftest import call
from tests.detection.conftest import WIDTH, coloured

SETTINGS = run_detection.DetectionSettings()


@pytest.fixture(autouse=True)
def quick_encoder(monkeypatch: pytest.MonkeyPatch, encoder: VisualEncoder) -> None:
    monkeypatch.setattr(run_detection, "load_visual_encoder", lambda name, weights: encoder)
    monkeypatch.setitem(run_detection.ENCODERS, "random", "i3d")


def detect(
    detector: Detector,
    inputs: list[pathlib.Path],
    output: pathlib.Path,
    value: float,
    settings: run_detection.DetectionSettings = SETTINGS,
):
    threshold = detector.threshold(value, None)
    texts = [str(path) for path in inputs]
    return run_detection.detect(detector, threshold, texts, output, settings)


def test_results_of_a_video(
    detector: Detector, encoder: VisualEncoder, clip: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    features = encode_video(clip, encoder, num_crops=1, batch_size=4)
    expected = detector.score(features.features)
    threshold = float(np.sort(expected.scores)[-3])
    output = tmp_path / "out"
    content = detect(detector, [clip], output, threshold)
    assert content == json.loads((output / "events.json").read_text())
    (video,) = content["videos"]
    assert video["num_frames"] == 149 and video["num_segments"] == 9 and video["fps"] == 25
    assert video["events"]
    for event in video["events"]:
        assert event["start_seconds"] == pytest.approx(event["start_frame"] / 25)
        assert event["end_seconds"] == pytest.approx(event["end_frame"] / 25)
        assert event["category"] in detector.categories
        shares = event["category_shares"]
        assert set(shares) == set(detector.categories)
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
        assert next(iter(shares)) == event["category"]
    with (output / "clip.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(row["score"]) for row in rows], expected.scores, atol=1e-5)
    first = video["events"][0]
    inside = [row for row in rows if row["event"] == "1"]
    assert int(inside[0]["start_frame"]) == first["start_frame"]
    assert int(inside[-1]["end_frame"]) == first["end_frame"]
    page = (output / "clip.html").read_text()
    assert 'src="../clip.mp4"' in page and "data:image/jpeg;base64," in page
    assert sorted(path.name for path in output.iterdir()) == [
        "clip.csv",
        "clip.html",
        "events.json",
        "features",
        "index.html",
    ]
    assert video["duration_seconds"] == 5.96 and video["video"] == str(clip)
    assert video["highest_score"] == pytest.approx(expected.scores.max())
    assert f"frames {first['start_frame']} to {first['end_frame']}, score" in page


def test_feature_files_and_folders(
    detector: Detector, clip: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    clip.rename(folder / "sub" / "a.mp4")
    array = np.random.default_rng(0).normal(size=(12, 1, WIDTH)).astype(np.float32)
    np.save(tmp_path / "b.npy", array)
    content = detect(detector, [folder, tmp_path / "b.npy"], tmp_path / "out", 0.5)
    assert [video["name"] for video in content["videos"]] == ["sub/a", "b"]
    assert 'src="../../videos/sub/a.mp4"' in (tmp_path / "out" / "sub" / "a.html").read_text()
    page = (tmp_path / "out" / "b.html").read_text()
    assert "<video" not in page and "No video to play: no record beside the features" in page
    expected = detector.score(array.transpose(1, 0, 2)).scores
    rows = (tmp_path / "out" / "b.csv").read_text().splitlines()[1:]
    np.testing.assert_allclose([float(row.split(",")[5]) for row in rows], expected, atol=1e-5)


def test_the_rate_of_features_is_said(
    detector: Detector, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a flag, of the data set that the run was trained on, or 25; a record overrules all."""
    path = tmp_path / "a.npy"
    np.save(path, np.ones((5, WIDTH), np.float32))
    of_set = copy.copy(detector)
    info = dataclasses.replace(detector.run.info, fps=30.0)
    of_set.run = dataclasses.replace(detector.run, info=info)
    none = copy.copy(detector)
    none.run = dataclasses.replace(detector.run, info=dataclasses.replace(info, fps=0.0))
    flag = dataclasses.replace(SETTINGS, fps=10.0)
    for chosen, settings, rate, words in (
        (none, SETTINGS, 25, "assumed, as nothing states it; give --fps=RATE if it is another"),
        (of_set, SETTINGS, 30, f"as in data set {info.name}, on which the run was trained"),
        (of_set, flag, 10, "--fps"),
    ):
        (video,) = detect(chosen, [path], tmp_path / "out", 0.0, settings)["videos"]
        assert video["events"][0]["end_seconds"] == round(80 / rate, 3)
        assert (video["fps"], video["fps_source"]) == (rate, words)
        note = f"econds are frames at {rate} per second ({words})"
        said = capsys.readouterr().out
        assert f"  s{note}\n" in said and "not state their encoder: 1; taken for" in said
        assert f"S{note}." in (tmp_path / "out" / "a.html").read_text()
    extracted = {"encoder": "random", "num_frames": 80, "num_segments": 5, "fps": 20.0}
    extracted["features_sha256"] = file_sha256(path)
    path.with_suffix(".json").write_text(json.dumps(extracted))
    (video,) = detect(of_set, [path], tmp_path / "out", 0.0, flag)["videos"]
    assert (video["fps"], video["fps_source"]) == (20, "the video")
    assert "--fps=10 differs from the recorded rate, 20 frames" in video["warnings"][0]
    said = capsys.readouterr().out
    assert "econds are frames at" not in said and "their encoder" not in said
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UserError, match="--fps has no effect on videos"):
        detect(detector, [tmp_path / "a.mp4"], tmp_path / "out", 0.0, flag)


def test_what_browsers_do_not_play_is_copied(detector: Detector, tmp_path: pathlib.Path) -> None:
    av = pytest.importorskip("av", reason="pip install av")
    from refinevad_jax.detection.page import playable

    old = tmp_path / "old.avi"
    with av.open(str(old), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for pixels in coloured(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    assert not playable(old)
    detect(detector, [old], tmp_path / "out", 0.5)
    assert playable(tmp_path / "out" / "old.playable.mp4")
    assert 'src="old.playable.mp4"' in (tmp_path / "out" / "old.html").read_text()


def test_an_input_is_never_written_over(
    detector: Detector, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((5, WIDTH), np.float32))
    video = tmp_path / "a.playable.mp4"
    video.write_bytes(b"a video")
    with pytest.raises(UserError, match=r"a\.playable\.mp4 would be written over"):
        detect(detector, [video, tmp_path / "a.npy"], tmp_path, 0.5)
    assert video.read_bytes() == b"a video" and not (tmp_path / "a.csv").exists()


def test_the_record_beside_features_is_never_written_over(
    detector: Detector, tmp_path: pathlib.Path
) -> None:
    np.save(tmp_path / "events.npy", np.zeros((5, WIDTH), np.float32))
    (tmp_path / "events.json").write_text("{}")
    with pytest.raises(UserError, match=r"events\.json would be written over"):
        detect(detector, [tmp_path / "events.npy"], tmp_path, 0.5)
    assert (tmp_path / "events.json").read_text() == "{}"


def test_segments_of_other_lengths(detector: Detector, tmp_path: pathlib.Path) -> None:
    info = dataclasses.replace(detector.run.info, frames_per_segment=8)
    short = copy.copy(detector)
    short.run = dataclasses.replace(detector.run, info=info)
    np.save(tmp_path / "a.npy", np.zeros((5, WIDTH), np.float32))
    detect(short, [tmp_path / "a.npy"], tmp_path / "out", 0.0)
    last = (tmp_path / "out" / "a.csv").read_text().splitlines()[-1].split(",")
    assert last[1:5] == ["32", "40", "1.280", "1.600"]  # 25 frames a second
    with pytest.raises(UserError, match="trained on segments of 8 frames, videos are cut into 16"):
        run_detection.load_encoder(short, run_detection.DetectionSettings(), 1)


def test_an_annotated_copy_shows_where_events_are(
    detector: Detector, clip: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    from refinevad_jax.encoders.video import Video

    settings = run_detection.DetectionSettings(annotate=True)
    found = detect(detector, [clip], tmp_path / "out", 0.0, settings)["videos"][0]
    assert len(found["events"]) == 1  # from end to end, but for the frames of no segment
    with Video(tmp_path / "out" / "clip.annotated.mp4") as video:
        frames = [frame.pixels for frame in video]
    with Video(clip) as video:
        before = [frame.pixels for frame in video]
    assert len(frames) == len(before) == 149
    assert frames[0].shape == (48 + 24, 64, 3)
    np.testing.assert_allclose(frames[60][28:38, 10:54], before[60][28:38, 10:54], atol=12)
    orange = [np.abs(frame[46, 20:50] - np.array([224, 130, 20])).mean() < 40 for frame in frames]
    assert all(orange[:144]) and not any(orange[146:])


def test_bad_inputs_do_not_end_the_others(
    detector: Detector,
    clip: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    junk, wide = tmp_path / "junk.mp4", tmp_path / "wide.npy"
    unnamed = tmp_path / "a\udcff.npy"  # bytes that are not UTF-8
    np.save(unnamed, np.zeros((5, WIDTH), np.float32))
    junk.write_text("no video")
    np.save(wide, np.zeros((5, 99), np.float32))
    with pytest.raises(UserError, match="3 of 4 inputs failed, listed above"):
        detect(detector, [junk, clip, unnamed, wide], tmp_path / "out", 0.5)
    first, second, third = capsys.readouterr().err.splitlines()[-3:]
    assert first.startswith(f"failed: {junk}: ") and "visual (99)" in third
    assert second.endswith("a\\udcff.npy: its name is not in UTF-8; rename it")
    assert (tmp_path / "out" / "clip.html").is_file()
    content = json.loads((tmp_path / "out" / "events.json").read_text())
    assert [video["name"] for video in content["videos"]] == ["clip"]


def test_unwritable_output(detector: Detector, clip: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match=r"Not a directory.*out"):
        detect(detector, [clip], tmp_path / "out", 0.5)
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.parametrize(
    ("limit", "annotated"), [(3_000, False), (60_000, True)], ids=["page", "annotated video"]
)
def test_a_full_disk_leaves_earlier_results(
    detector: Detector, tmp_path: pathlib.Path, limit: int, annotated: bool
) -> None:
    """Files longer than the limit fail in the system itself, as on a full disk."""
    from refinevad_jax.encoders.video_writer import write_video

    clip = tmp_path / "clip.mp4"
    write_video(clip, np.random.default_rng(0).integers(0, 256, (17, 160, 160, 3), np.uint8), fps=9)
    features = np.random.default_rng(0).normal(size=(12, WIDTH)).astype(np.float32)
    np.save(tmp_path / "clip.npy", features)
    detect(detector, [tmp_path / "clip.npy"], tmp_path / "out", 0.5)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match=r"File too large.*clip"):
            settings = run_detection.DetectionSettings(annotate=annotated)
            detect(detector, [clip], tmp_path / "out", 0.0, settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    assert after["events.json"] == before["events.json"]
    assert set(after) == set(before)  # nothing half-written


def test_an_encoder_that_is_not_here(
    detector: Detector, monkeypatch: pytest.MonkeyPatch, clip: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    monkeypatch.delitem(run_detection.ENCODERS, "random")
    with pytest.raises(UserError, match="labelled 'random', so videos cannot be encoded"):
        detect(detector, [clip], tmp_path / "out", 0.5)
    assert not (tmp_path / "out").exists()


def test_inputs(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="no such file or folder"):
        find_inputs([str(tmp_path / "none.mp4")], out)
    with pytest.raises(UserError, match=r"no video and no file of features in it"):
        find_inputs([str(tmp_path)], out)
    for name in ("a.mp4", "a.avi"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="would both become a"):
        find_inputs([str(tmp_path)], out)


def test_inputs_of_one_name_are_told_apart_by_their_folders(tmp_path: pathlib.Path) -> None:
    paths = [tmp_path / name for name in ("fight/1.npy", "normal/1.npy", "normal/2.mp4.npy")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = dict(zip(("fight/1", "normal/1", "2"), paths, strict=True))
    assert find_inputs([*map(str, paths)], tmp_path / "out") == names
    folders = [str(tmp_path / "fight"), str(tmp_path / "normal")]
    assert find_inputs(folders, tmp_path / "out") == names
    with pytest.raises(UserError, match=r"fight/1\.npy is given twice; leave one out"):
        find_inputs([str(paths[0])] * 2, tmp_path / "out")


def test_folders_of_features_and_videos(
    detector: Detector, clip: pathlib.Path, tmp_path: pathlib.Path, capsys
) -> None:
    """Features of a video in the folder are left out and named, and so is what is neither."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    detect(detector, [clip], tmp_path / "first", 0.5)
    video = clip.rename(folder / clip.name)
    for kind in ("npy", "json"):
        kept = tmp_path / "first" / "features" / f"clip.{kind}"
        (folder / "sub" / f"other.{kind}").write_bytes(kept.read_bytes())
    np.save(folder / "clip.npy", np.zeros((5, WIDTH), np.float32))
    np.save(folder / "sub" / "clip.npy", np.zeros((5, WIDTH), np.float32))  # of another video
    (folder / "notes.txt").touch()
    (folder / "found").mkdir()
    (folder / "found" / "old.playable.mp4").touch()
    capsys.readouterr()
    found = find_inputs([str(folder)], folder / "found")
    assert found == {"clip": video, "sub/clip": folder / "sub" / "clip.npy"}
    assert capsys.readouterr().out == (
        f"--input={folder}: 3 left out: clip.npy (features of clip.mp4), notes.txt (not a video), "
        "sub/other.npy (features of clip.mp4)\n"
    )
    kept = tmp_path / "first" / "features"
    assert find_inputs([str(kept)], tmp_path / "first") == {"clip": kept / "clip.npy"}


def test_features_are_kept(
    detector: Detector,
    encoder: VisualEncoder,
    clip: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = []

    def counted(segments: np.ndarray) -> np.ndarray:
        calls.append(len(segments))
        return encoder.encode(segments)

    counting = dataclasses.replace(encoder, encode=counted)
    monkeypatch.setattr(run_detection, "load_visual_encoder", lambda name, weights: counting)
    output = tmp_path / "out"
    first = detect(detector, [clip], output, 0.0)
    assert calls == [4, 4, 1] and "earlier call" not in capsys.readouterr().out
    page = (output / "clip.html").read_text()
    assert detect(detector, [clip], output, 0.0) == first
    assert calls == [4, 4, 1]
    assert "1 event, features kept from an earlier call\n" in capsys.readouterr().out
    assert (output / "clip.html").read_text() == page  # its pictures too

    # Other weights, another video of the same name, a damaged file: encoded again.
    counting = dataclasses.replace(counting, weights_sha256="1")
    detect(detector, [clip], output, 0.0)
    assert len(calls) == 6
    from refinevad_jax.encoders.video_writer import write_video

    write_video(clip, coloured(40, 3), fps=25)
    again = detect(detector, [clip], output, 0.0)
    assert len(calls) == 7 and again["videos"][0]["num_frames"] == 40
    (output / "features" / "clip.npy").write_bytes(b"cut short")
    assert detect(detector, [clip], output, 0.0) == again
    assert len(calls) == 8
    # What detection did not write stays.
    np.save(output / "features" / "clip.npy", np.zeros((3, WIDTH), np.float32))
    (output / "features" / "clip.json").unlink()
    with pytest.raises(UserError, match=r"clip\.npy: would be written over, but detection did not"):
        detect(detector, [clip], output, 0.0)
    assert np.load(output / "features" / "clip.npy").shape == (3, WIDTH) and len(calls) == 8


def test_features_show_the_video_of_their_record(
    detector: Detector, clip: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    detect(detector, [clip], tmp_path / "first", 0.0)
    features = tmp_path / "first" / "features" / "clip.npy"
    found = read_features(features)
    assert found.video and found.video.resolve() == clip
    settings = run_detection.DetectionSettings(annotate=True)
    detect(detector, [features], tmp_path / "again", 0.0, settings)
    page = (tmp_path / "again" / "clip.html").read_text()
    assert 'src="../clip.mp4"' in page and "data:image/jpeg;base64," in page
    assert (tmp_path / "again" / "clip.annotated.mp4").exists()

    beside = clip.rename(features.with_name("clip.mp4"))
    assert read_features(features).video == beside
    beside.write_bytes(b"another video")
    assert read_features(features).video is None
    detect(detector, [features], tmp_path / "again", 0.0)
    page = (tmp_path / "again" / "clip.html").read_text()
    assert "<video" not in page and "clip.mp4 is not the video that was encoded" in page
    beside.unlink()
    assert read_features(features).without_video.startswith("its video is not at ")


def test_one_category_has_no_shares(detector: Detector, tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((5, WIDTH), np.float32))
    detect(detector, [tmp_path / "a.npy"], tmp_path / "out", 0.0)
    assert " % " in (tmp_path / "out" / "a.html").read_text().split("<h2>Events", 1)[1]
    one = copy.copy(detector)
    info = detector.run.info
    taxonomy = dataclasses.replace(info.taxonomy, categories=("a",), display_names=("Fight",))
    one.run = dataclasses.replace(detector.run, info=dataclasses.replace(info, taxonomy=taxonomy))
    one.events = lambda *rest: [
        dataclasses.replace(event, category=0) for event in detector.events(*rest)
    ]
    detect(one, [tmp_path / "a.npy"], tmp_path / "out", 0.0)
    page = (tmp_path / "out" / "a.html").read_text().split("<h2>Events", 1)[1]
    assert "<meter" not in page.split("<footer")[0] and "<b>Fight</b>" in page


def test_the_index_lists_this_call(
    detector: Detector, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(3):
        array = np.random.default_rng(index).normal(size=(12, WIDTH)).astype(np.float32)
        np.save(tmp_path / f"a #{index}%.npy", array)
    np.save(tmp_path / "wide.npy", np.zeros((5, 99), np.float32))
    inputs = sorted(tmp_path.glob("*.npy"))
    output = tmp_path / "out"
    scores = [detector.score(read_features(path).features).scores.max() for path in inputs[:3]]
    with pytest.raises(UserError, match="wide"):
        detect(detector, inputs, output, float(np.sort(scores)[1]))
    assert capsys.readouterr().out.endswith(f"open in a browser: {output / 'index.html'}\n")
    page = (output / "index.html").read_text()
    order = [page.index(f"<b>a #{index}%</b>") for index in np.argsort(scores)[::-1]]
    assert order == sorted(order) and page.count('class="found"') == 2
    assert 'href="a%20%230%25.html"' in page
    assert "2 of 3 inputs with events" in page and "1 input failed" in page and "(99)" in page
    detect(detector, inputs[:1], output, 0.5)
    assert capsys.readouterr().out.endswith(f"open in a browser: {output / inputs[0].stem}.html\n")
    assert (output / "index.html").read_text().count("<li") == 1
    (tmp_path / "index.npy").write_bytes(inputs[0].read_bytes())
    with pytest.raises(UserError, match=r"its page would be index\.html"):
        detect(detector, [tmp_path / "index.npy"], output, 0.5)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 4), bool), r"bool of shape \(3, 4\); expected"),
        (np.zeros(()), r"shape \(\); expected"),
        (np.zeros((0, 4)), "no segments"),
        (np.full((2, 4), np.nan), "not finite"),
        (np.full((2, 4), 7e4), "70000 does not fit float16"),
        (np.arange(8.0).reshape(2, 4) * 1e-9, "all rows become zero in float16"),
        (np.zeros((2, 32, 4)), "neither of its first two axes can be the crops"),
    ],
)
def test_wrong_feature_files(tmp_path: pathlib.Path, array: np.ndarray, words: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=words):
        read_features(tmp_path / "a.npy")


def test_features_that_float16_makes_coarser_are_a_warning(tmp_path):
    rows = 1000 + np.random.default_rng(0).standard_normal((5, 8))
    np.save(tmp_path / "a.npy", rows)
    (warning,) = read_features(tmp_path / "a.npy").warnings
    assert warning.startswith("float16 changes values by ")
    np.save(tmp_path / "a.npy", rows - 1000)
    assert not read_features(tmp_path / "a.npy").warnings


X = np.arange(70 * 4, dtype=np.float32).reshape(70, 4)


@pytest.mark.parametrize(
    ("array", "shape", "said"),
    [
        (X[None], (1, 70, 4), "shape (1, 70, 4) is read as one video, whose first axis is a batch"),
        (X[:, None], (1, 70, 4), ""),
        (X[..., None], (1, 70, 4), "axes of length 1 were removed: (70, 4, 1) as (70, 4)"),
        (X.astype(np.int64), (1, 70, 4), "whole numbers are read as they are"),
        (X[0], (1, 1, 4), "one vector is read as one segment"),
        (np.broadcast_to(X, (10, 70, 4)), (10, 70, 4), "is read as (crops, T, D)"),
        (np.ones((70, 2, 4)), (2, 70, 4), ""),
        (np.ones((10, 10, 4)), (10, 10, 4), "read as (T, crops, D); it may be (crops, T, D)"),
    ],
)
def test_shapes_of_feature_files(
    tmp_path: pathlib.Path, array: np.ndarray, shape: tuple[int, ...], said: str
) -> None:
    np.save(tmp_path / "a.npy", array)
    found = read_features(tmp_path / "a.npy")
    assert found.features.shape == shape and len(found.seconds) == shape[1] + 1
    np.testing.assert_array_equal(found.features[0, 0], np.ravel(array)[:4])
    assert bool(found.warnings) == bool(said) and said in " ".join(found.warnings)


def test_the_run_tells_the_axes_of_a_feature_file(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "a.npy", X[None, :5])
    found = read_features(tmp_path / "a.npy", num_crops=1)
    assert found.features.shape == (1, 5, 4) and "is a batch" in found.warnings[0]
    assert read_features(tmp_path / "a.npy", num_crops=5).features.shape == (5, 1, 4)
    np.save(tmp_path / "a.npy", X.T)
    with pytest.raises(UserError, match=r"D of the run is 4: it looks like \(D, T\)"):
        read_features(tmp_path / "a.npy", width=4)


def test_videos_in_one_file_are_inputs(tmp_path: pathlib.Path) -> None:
    np.savez(tmp_path / "all.npz", v1=X, v2=X[:9])
    found = find_inputs([str(tmp_path / "all.npz")], tmp_path / "out")
    assert found == {f"all.npz/{name}": tmp_path / "all.npz" / name for name in ("v1", "v2")}
    assert find_inputs([str(tmp_path / "all.npz" / "v2")], tmp_path / "out")["v2"]
    assert find_inputs([str(tmp_path)], tmp_path / "out") == found
    assert read_features(found["all.npz/v2"]).features.shape == (1, 9, 4)


def test_a_damaged_feature_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(UserError, match=r"not an \.npy file or damaged"):
        read_features(tmp_path / "a.npy")


def test_videos_are_read_ahead(encoder: VisualEncoder, tmp_path: pathlib.Path) -> None:
    """In their order, one thread at a time in the encoder; whoever stops early ends the threads."""
    pytest.importorskip("av", reason="pip install av")
    from refinevad_jax.encoders.video_writer import write_video

    busy, calls = threading.Lock(), []

    def encode(segments: np.ndarray) -> np.ndarray:
        assert busy.acquire(blocking=False)
        calls.append(len(segments))
        time.sleep(0.01)
        busy.release()
        return encoder.encode(segments)

    alone = dataclasses.replace(encoder, encode=encode)
    clip, junk = tmp_path / "clip.mp4", tmp_path / "junk.mp4"
    write_video(clip, coloured(50), fps=25)
    junk.write_text("no video")
    how = {"num_crops": 1, "batch_size": 2}
    videos = [(path, tmp_path / f"{i}.npy") for i, path in enumerate([clip, junk, clip])]
    first, second, third = encode_videos(videos, alone, **how)
    assert isinstance(second, UserError) and "junk.mp4: no readable video" in str(second)
    expected = encode_video(clip, encoder, **how)
    for found in (first, third):
        assert not isinstance(found, UserError)
        np.testing.assert_array_equal(found.features, expected.features)
        assert found.thumbnails == expected.thumbnails
    assert sum(calls) == 6

    threads = threading.active_count()
    many = encode_videos([(clip, tmp_path / "kept" / f"{i}.npy") for i in range(20)], alone, **how)
    next(many)
    many.close()
    assert threading.active_count() == threads
    assert len(list((tmp_path / "kept").glob("*.npy"))) <= 7


def test_the_decoder_is_only_a_little_ahead() -> None:
    produced = []

    def numbers():
        for i in range(100):
            produced.append(i)
            yield i

    items = ahead([numbers()], 3)
    assert [next(items) for _ in range(5)] == list(range(5))
    items.close()
    assert len(produced) <= 5 + 3 + 2

    def failing():
        yield 1
        raise UserError("broken")

    with pytest.raises(UserError, match="broken"):
        list(ahead([failing()], 3))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--input (Video, file of features, or folder of them) is needed"),
        (["--workdir=w", "--input=a", "--threshold=0.5", "--false_alarm_rate=0.1"], "one of them"),
        (["--workdir=w", "--input=a"], "w is not a workdir"),
        (["--input=a"], "--input=a: no such file or folder"),
        (["--workdir=w", "--input=a", "--input=b", "--stream"], "--stream takes one --input"),
    ],
)
def test_misuse_is_one_line(flags: list[str], words: str) -> None:
    done = call("refinevad_jax.detect", *flags)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and words in done.stderr
    assert not pathlib.Path("found").exists()
