"""Inputs less the median of their recording: of each by itself, or of files of the same camera."""

import copy
import dataclasses
import pathlib

import numpy as np
import pytest

from refinevad_jax.detection import frame_graph, run_detection
from refinevad_jax.detection.detector import Detector
from refinevad_jax.errors import UserError
from refinevad_jax.runs import exported
from tests.conftest import call
from tests.detection.conftest import WIDTH


@pytest.fixture
def comparing(detector: Detector) -> Detector:
    """The tiny detector as if its network took differences."""
    found = copy.copy(detector)
    found.run = dataclasses.replace(detector.run, config=copy.deepcopy(detector.run.config))
    found.run.config.data.normalization = "recording"
    return found


def half(seed: int, length: int) -> np.ndarray:
    """[1, T, D] around 3."""
    rows = np.random.default_rng(seed).normal(size=(1, length, WIDTH)) + 3
    return rows.astype(np.float16)


def test_an_input_is_compared_with_itself_or_with_its_camera(
    detector: Detector, comparing: Detector
) -> None:
    one, others = half(0, 9).astype(np.float32), [half(1, 8), half(2, 21)]
    own = detector.score(one - np.median(one, axis=1, keepdims=True))
    np.testing.assert_array_equal(comparing.score(one).scores, own.scores)
    assert comparing.inputs_words.startswith("features less the median of each input: an event")
    comparing.take_recording(others)
    rows = np.concatenate(others, axis=1).astype(np.float32)
    expected = detector.score(one - np.median(rows, axis=1, keepdims=True))
    np.testing.assert_array_equal(comparing.score(one).scores, expected.scores)
    assert np.abs(expected.scores - own.scores).max() > 1e-4
    assert comparing.inputs_words == "features less the median of the files of --recording"
    with pytest.raises(UserError, match="--recording: 1 crops per segment, the input has 2"):
        comparing.score(np.repeat(one, 2, axis=0))
    with pytest.raises(UserError, match="does not compare inputs with their recording"):
        detector.take_recording(others)
    assert detector.inputs_words == "" and detector.notes(stream=True) == detector.notes()
    assert "of the stream so far" in comparing.notes(stream=True)[-1]


def test_files_of_the_camera_are_read_and_named(
    comparing: Detector, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, path = tmp_path / "camera", tmp_path / "a.npy"
    folder.mkdir()
    for seed in (1, 2):
        np.save(folder / f"{seed}.npy", half(seed, 9)[0])
    np.save(path, half(0, 9)[0])
    settings = run_detection.DetectionSettings(recording=(str(folder),))
    threshold = comparing.threshold(0.5, None)
    content = run_detection.detect(comparing, threshold, [str(path)], tmp_path / "out", settings)
    assert content["inputs"] == "features less the median of the files of --recording"
    assert content["inputs"] in capsys.readouterr().out
    assert f"Scores are of {content['inputs']}." in (tmp_path / "out" / "a.html").read_text()
    rows = np.concatenate([half(1, 9), half(2, 9)], axis=1)
    comparing.take_recording([rows])
    expected = comparing.score(half(0, 9)).scores.max()
    assert content["videos"][0]["highest_score"] == pytest.approx(expected)
    (tmp_path / "a.mp4").write_bytes(b"no features")
    (folder / "notes.txt").write_text("hello")  # as of an input, left out
    assert len(run_detection._read_recording(comparing, settings)) == 2
    for text, words in {
        str(tmp_path / "none"): "no such file or folder",
        "": "no such file or folder",
        str(tmp_path / "a.mp4"): "is not a file of features",
    }.items():
        missing = dataclasses.replace(settings, recording=(text,))
        with pytest.raises(UserError, match=f"--recording={text}: {words}"):
            run_detection.detect(comparing, threshold, [str(path)], tmp_path / "other", missing)
    assert not (tmp_path / "other").exists()


def test_a_stream_takes_no_files() -> None:
    done = call("refinevad_jax.detect", "--input=rtsp://x/1", "--stream", "--recording=a")
    assert done.returncode == 2 and "--recording has no effect with --stream" in done.stderr


def test_an_exported_network_says_that_it_takes_differences(comparing: Detector) -> None:
    found = exported.describe(comparing.run, 1, WIDTH)
    assert "less the median of their recording" in found["inputs"]["features"]
    steps = exported.scoring(comparing.run, comparing.workdir, comparing.step)["steps"]
    assert steps[0].startswith("take from each channel its median over all segments of the same")
    comparing.run = dataclasses.replace(
        comparing.run,
        info=dataclasses.replace(comparing.run.info, encoder=frame_graph.NAMES["i3d"]),
    )
    with pytest.raises(UserError, match="which frames of one video do not tell"):
        frame_graph._require_supported(comparing)
