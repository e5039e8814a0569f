"""Videos of a list with their truth and no features, and published scores of them."""

import json
import pathlib
import subprocess

import numpy as np
import pytest

from data_prep.sources.listed import ListedVideos, read_listed, video_keys
from refinevad_jax.errors import UserError
from tests.conftest import call

LIST = "path,label\nx/a.mp4,fight\nx/b.mp4,fire\nx/c.mp4,Normal\nx/d.mp4,Normal\n"
TRUTH = "a fight 16 48\nb fire 0 20 40 80\nc Normal -1 -1\n"


def listed(folder: pathlib.Path, text: str = LIST, truth: str = TRUTH, **options) -> ListedVideos:
    (folder / "own.csv").write_text(text)
    (folder / "truth.txt").write_text(truth)
    return read_listed(folder / "own.csv", folder / "truth.txt", **options)


def test_an_own_list(tmp_path: pathlib.Path) -> None:
    (tmp_path / "frames.txt").write_text("a@100\nb@75\nc@64\nd@40\n")
    found = listed(tmp_path, frame_counts=tmp_path / "frames.txt")
    assert found.info.name == "own" and found.info.taxonomy.categories == ("fight", "fire")
    assert [bag.video_id for bag in found.bags] == ["a", "b", "c", "d"]
    assert [bag.num_frames for bag in found.bags] == [100, 75, 64, 40]
    assert [bag.num_segments for bag in found.bags] == [0, 0, 0, 0]
    assert found.bags[1].spans.tolist() == [[0, 20, 1], [40, 75, 1]]  # cut to the video
    assert all(bag.has_truth for bag in found.bags)  # d is normal
    assert found.length_rules["floor(n/16)"].tolist() == [6, 4, 4, 2]
    assert found.notes == [
        "own.csv: 4 videos (CSV path,label), not a released list that is known "
        "here; categories of the list: fight, fire",
        "truth.txt: truth of 4 videos (name class (start end)+), none of the released versions",
        "frames of the videos: 4 by --frame_counts",
    ]
    assert found.provenance["annotations"]["file"] == "truth.txt"


@pytest.mark.parametrize("words", [("1", "0"), ("True", "False"), ("Abnormal", "Normal")])
@pytest.mark.parametrize("form", ["video,label\na,{0}\nc,{1}\n", "a.mp4 {0}\nc.mp4 {1}\n"])
def test_labels_that_name_no_category(
    tmp_path: pathlib.Path, words: tuple[str, str], form: str
) -> None:
    (tmp_path / "one.json").write_text('{"categories": ["fight"]}')
    truth = "a fight 16 48\nc Normal -1 -1\n"
    found = listed(tmp_path, form.format(*words), truth, taxonomy=str(tmp_path / "one.json"))
    assert [bag.labels.tolist() for bag in found.bags] == [[True], [False]]
    assert any("the labels were read" in note for note in found.notes)
    found = listed(tmp_path, form.format(*words), "a 16 48\n")
    assert [bag.anomalous for bag in found.bags] == [True, False]


def test_what_is_not_known_is_said(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = listed(tmp_path, truth="a fight 16 48\nz fire 0 20\n")
    assert "frames of the videos: 4 not known" in found.notes
    assert (
        "1 anomalous videos have no truth there and are left out of frame metrics (b)"
        in found.notes[1]
    )
    assert not found.length_rules
    note, warning = capsys.readouterr().err.splitlines()
    assert note.endswith("because all numbers are whole; --unit=seconds if they are seconds")
    assert warning == "warning: annotated, but in no list: z (1 in all)"


@pytest.mark.parametrize(
    ("text", "truth", "message"),
    [
        ("path,label\na.mp4,Normal\n", TRUTH, "all 1 videos are normal; list the anomalous ones"),
        (LIST, "z fire 0 20\n", r"--annotations: none of its 1 videos \(z\) is in a list"),
        ("a.mp4\nq.mp4\n", TRUTH, "video q has no label"),
    ],
)
def test_what_cannot_be_used(tmp_path: pathlib.Path, text: str, truth: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        listed(tmp_path, text, truth)


def test_spans_that_miss_their_video(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "frames.txt").write_text("a@100\nb@75\nc@64\nd@40\n")
    options = {"frame_counts": tmp_path / "frames.txt"}
    truth = "a fight 16 48\nb fire 100 120\nc Normal -1 -1\n"
    found = listed(tmp_path, truth=truth, **options)
    assert [bag.has_truth for bag in found.bags] == [True, False, True, True]
    assert "b: frames 100 to 120, the video has 75 frames" in capsys.readouterr().err
    with pytest.raises(UserError, match="as milliseconds all spans would fit"):
        listed(tmp_path, truth="a fight 1600 2000\nb fire 900 1000\n", **options)
    (tmp_path / "truth.json").write_text('{"a": [[1, 3]], "b": [[1, 2]]}')
    files = tmp_path / "own.csv", tmp_path / "truth.json"
    with pytest.raises(UserError, match="--unit=frames or --unit=seconds"):
        read_listed(*files, fps=25.0, **options)
    assert read_listed(*files, fps=25.0, unit="seconds").bags[0].spans.tolist() == [[25, 75, 0]]


def test_labels_of_the_annotations_serve_a_list_of_names(tmp_path: pathlib.Path) -> None:
    found = listed(tmp_path, "a.mp4\nb.mp4\nc.mp4\n")
    assert [bag.label for bag in found.bags] == ["fight", "fire", "Normal"]


def test_a_list_without_normal_videos_says_so(tmp_path: pathlib.Path) -> None:
    found = listed(tmp_path, "path,label\na.mp4,fight\nb.mp4,fire\n")
    assert found.notes[-1] == "no normal video in the list: numbers are on anomalous videos alone"


def test_classes_that_the_taxonomy_of_a_data_set_lacks(tmp_path: pathlib.Path) -> None:
    """ShanghaiTech has one category; some annotations name classes."""
    truth = "01_0014 Cycling 16 48\n01_001 Normal -1 -1\n"
    found = listed(tmp_path, truth, truth)
    assert found.info.name == "shanghaitech" and found.info.taxonomy.categories == ("Cycling",)
    with pytest.raises(UserError, match=r"unknown label 'Cycling': .*; give a --taxonomy that has"):
        listed(tmp_path, "01_0014\n01_001\n", truth)


def test_names_of_scores_find_their_video() -> None:
    key = video_keys({"Abuse028": "test/Abuse028", "a/1": "x/a/1", "b/1": "x/b/1"}, "scores.npz")
    for name in ("Abuse028", "test/Abuse028_x264.mp4", "G:\\x\\Abuse028_x264__3.npy"):
        assert key(name) == "Abuse028"
    for name in ("a/1", "/feat/x/a/1.mp4.npy", "a\\1.AVI", "a/1_i3d.npy"):
        assert key(name) == "a/1"
    assert key("c/2") == "c/2"
    with pytest.raises(
        UserError, match=r"scores\.npz: 1 may be video a/1 or b/1; write its folder"
    ):
        key("1.mp4")


def evaluate(folder: pathlib.Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return call("refinevad_jax.evaluate", "--num_curves=0", "--noreport", *flags, cwd=folder)


def test_the_command_needs_no_data_set(tmp_path: pathlib.Path) -> None:
    inputs, here = tmp_path / "in", tmp_path / "here"
    inputs.mkdir()
    here.mkdir()
    listed(inputs)
    lengths = {"a": 6, "b": 5, "c": 4, "d": 2}
    scores = {f"{name}.mp4": np.linspace(0, 1, n)[:, None] for name, n in lengths.items()}
    np.savez(inputs / "theirs.npz", **scores)
    flags = [f"--scores={inputs / 'theirs.npz'}", f"--list={inputs / 'own.csv'}"]
    done = evaluate(here, *flags, f"--annotations={inputs / 'truth.txt'}")
    assert not done.returncode, done.stderr
    assert "4 names were matched" in done.stdout and "one score per segment" in done.stdout
    content = json.loads((here / "theirs-own" / "metrics.json").read_text())
    assert (content["dataset"], content["split"], content["num_frames"]) == ("own", "own", 272)
    assert content["num_positive_frames"] == 32 + 20 + 40
    assert content["scores"]["annotations"]["file"] == "truth.txt"
    assert {path.name for path in inputs.iterdir()} == {"own.csv", "truth.txt", "theirs.npz"}
    again = evaluate(here, *flags, f"--annotations={inputs / 'truth.txt'}")
    assert again.returncode == 2 and "theirs-own exists; choose another folder" in again.stderr


def published(shared_data: pathlib.Path, *parts: str) -> pathlib.Path:
    path = shared_data.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def measured(path: pathlib.Path, videos: ListedVideos) -> tuple[int, int, float, float]:
    """Frames, anomalous ones, frame AUC and frame AP of published scores."""
    from refinevad_jax.evaluation.score_files import read_scores
    from refinevad_jax.metrics.names import measured as metrics

    arrays = read_scores(
        path,
        videos.info,
        videos.bags,
        length_rules=videos.length_rules,
        key=video_keys(videos.paths, str(path)),
    ).split.arrays
    found = metrics(arrays)
    return len(arrays.truth), int(arrays.truth.sum()), found["frame_auc"], found["frame_ap"]


@pytest.mark.parametrize("bare", [False, True])
def test_published_scores_of_xd_violence(
    shared_data: pathlib.Path, tmp_path: pathlib.Path, bare: bool
) -> None:
    """Those of deepvad-team/video-anomaly-detection, with the list and truth of the field."""
    path = published(shared_data, "golden_xd_scores", "scores.npz")
    lists = "published", "Roc-Ng+XDVioDet", "list", "rgb_test.list"
    truth = "published", "henrryzh1+UR-DMU", "list", "XD_Annotation.txt"
    frames = None
    if bare:  # one column, as the repository saves them
        with np.load(path) as content:
            np.save(tmp_path / "raw.npy", content["scores"])
        path = tmp_path / "raw.npy"
        frames = published(shared_data, "published", "zuble+uws4vad/data/gt/xdv_tframes.txt")
    videos = read_listed(
        published(shared_data, *lists), published(shared_data, *truth), frame_counts=frames
    )
    found = measured(path, videos)
    assert found[:2] == (2_330_384, 537_805)
    np.testing.assert_allclose(found[2:], (0.66561, 0.35373), atol=5e-6)


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (("yujiangpu20+PEL4VAD", "list", "ucf", "single_gt.repacked.npz"), (1_109_680, 0.1919)),
        (
            ("WaqasSultani+AnomalyDetectionCVPR2018", "Temporal_Anomaly_Annotation.txt"),
            (1_109_824, 0.1921),
        ),
    ],
)
def test_published_scores_of_ucf_crime(
    shared_data: pathlib.Path, truth: tuple[str, ...], expected: tuple[int, float]
) -> None:
    """32 equal parts per video: the frames are those of the truth, or floor(n/16)."""
    path = published(shared_data, "ucf_crime_model_scores", "salva-u_c3d_mil_scores_32seg.npz")
    lists = "published", "henrryzh1+UR-DMU", "list", "UCF_Test.list"
    videos = read_listed(
        published(shared_data, *lists), published(shared_data, "published", *truth)
    )
    found = measured(path, videos)
    assert found[0] == expected[0]
    np.testing.assert_allclose(found[2:], (0.6903, expected[1]), atol=5e-5)
