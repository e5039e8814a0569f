"""The graph from frames to scores says what detection says, with a stand-in for I3D."""

import dataclasses
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from refinevad_jax.detection import frame_graph
from refinevad_jax.detection.detector import Detector
from refinevad_jax.encoders.encoder import NAMES, VisualEncoder
from refinevad_jax.errors import UserError
from refinevad_jax.runs import exported
from refinevad_jax.runs.calibration import Calibration, read_calibration, write_calibration
from refinevad_jax.runs.run import Run, read_run, write_run
from tests.conftest import NUM_CHANNELS


def stand_in(frames: jax.Array) -> jax.Array:
    """Means of strips of the pictures: [B, 16, 224, 224, 3] to [B, 24]."""
    strips = frames.astype(jnp.float32).reshape(len(frames), 16, 8, 28, 224, 3)
    return strips.mean(axis=(1, 3, 4)).reshape(len(frames), NUM_CHANNELS) / 64 - 2


def copied(trained: pathlib.Path, folder: pathlib.Path, **changes: object) -> pathlib.Path:
    """The tiny run, calibrated, as if its features were I3D's; changes: fields of Run."""
    shutil.copytree(trained, folder, ignore=shutil.ignore_patterns("eval", "config.json"))
    run = read_run(trained)
    info = dataclasses.replace(run.info, encoder=NAMES["i3d"])
    write_run(folder, dataclasses.replace(run, **{"info": info, "num_crops": 1} | changes))
    stored = read_calibration(folder)
    assert stored is not None
    fitted = dataclasses.replace(stored, calibration=Calibration(0.6, -0.2), reason="")
    write_calibration(folder, fitted)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = jax.jit(stand_in)
    encoder = VisualEncoder(NAMES["i3d"], NUM_CHANNELS, "", lambda rows: np.asarray(encode(rows)))
    monkeypatch.setattr(frame_graph, "load_i3d", lambda: (encoder, stand_in))
    monkeypatch.setattr(frame_graph, "TRIED", ((3, 2),))


def test_the_file_gives_what_detection_gives(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The graph is read back from its bytes before it is compared."""
    output = tmp_path / "frames.bin"
    description = frame_graph.export(copied(trained, tmp_path / "run"), output, step="best")
    assert json.loads((tmp_path / "frames.bin.json").read_text()) == description
    differences = description["check"]["largest_difference"]
    outputs = frame_graph.OUTPUTS | frame_graph.OUTPUTS_OF_CORE
    assert sorted(differences) == sorted([*outputs, "calibrated"])
    assert max(differences.values()) < 1e-4
    assert description["scoring"]["calibration"] == {"slope": 0.6, "offset": -0.2}
    assert description["scoring"]["steps"] == ["score = sigmoid(slope * logit + offset)"]
    frames = frame_graph.made_up_video(3, 1, seed=7)[:, 0]
    for wrong in (frames.astype(np.float32), frames[:, :8], frames[:, :, :112]):
        with pytest.raises(ValueError, match=r"[Dd]type|shape|polymorphic"):
            exported.load(output)(wrong)


def test_ten_crops_are_averaged_as_detection_does(
    trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    detector = Detector(copied(trained, tmp_path / "run", num_crops=10), "best")
    encoder, encode = frame_graph.load_i3d()
    graph = frame_graph.scores_of_frames(detector, encode)
    assert max(frame_graph.disagreement(detector, encoder, graph).values()) < 1e-4


def test_a_graph_that_disagrees_is_refused(
    trained: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workdir = copied(trained, tmp_path / "run")
    monkeypatch.setattr(frame_graph, "disagreement", lambda *_: {"scores": float("nan")})
    with pytest.raises(UserError, match=r"scores differs by nan.*nothing was written"):
        frame_graph._check(Detector(workdir, "best"), frame_graph.load_i3d()[0], lambda _: {})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("encoder", r"labelled 'random'; only I3D's"),
        ("num_crops", "16 frames in 5 crops; 16 frames in 1 or 10"),
        ("num_segments", "scores videos in 32 bins per video"),
    ],
)
def test_other_runs_are_refused(
    trained: pathlib.Path, tmp_path: pathlib.Path, change: str, reason: str
) -> None:
    run: Run = read_run(trained)
    changes: dict[str, object] = {}
    if change == "encoder":
        changes = {"info": run.info}
    elif change == "num_crops":
        changes = {"num_crops": 5}
    else:
        run.config.eval.num_segments = 32
        changes = {"config": run.config}
    workdir = copied(trained, tmp_path / "run", **changes)
    with pytest.raises(UserError, match=reason):
        frame_graph.export(workdir, tmp_path / "out" / "x.bin", step="best")
    assert not (tmp_path / "out").exists()
