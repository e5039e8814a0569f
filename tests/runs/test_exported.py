"""The exported function equals the model and runs without this package."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from refinevad_jax import analysis
from refinevad_jax.errors import UserError
from refinevad_jax.runs import exported, onnx_graph
from refinevad_jax.runs.calibration import Calibration, read_calibration, write_calibration
from refinevad_jax.runs.run import read_run
from tests.conftest import NUM_CHANNELS


@pytest.fixture(scope="module")
def file(trained: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    output = tmp_path_factory.mktemp("exported") / "model.bin"
    exported.export(trained, output, step="best")
    return output


@pytest.mark.parametrize("shape", [(1, 2), (3, 17)])
def test_it_equals_the_model_at_any_batch_and_length(
    trained: pathlib.Path, file: pathlib.Path, shape: tuple[int, int]
) -> None:
    features = np.random.default_rng(0).normal(size=(*shape, NUM_CHANNELS)).astype(np.float32)
    valid = np.arange(shape[1])[None] < np.full((shape[0], 1), max(2, shape[1] - 3))
    expected = analysis.load_model(trained, "best")(features, valid)
    outputs = exported.load(file)(features, valid)
    assert sorted(outputs) == sorted(exported.OUTPUTS | exported.OUTPUTS_OF_CORE)
    for name, value in expected.readout().items():
        np.testing.assert_allclose(outputs[name], value, atol=1e-5)


def test_it_runs_without_this_package(file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    program = (
        "import sys, jax, numpy as np\n"
        "from jax import export\n"
        "model = export.deserialize(bytearray(open(sys.argv[1], 'rb').read()))\n"
        f"x = np.ones((2, 5, {NUM_CHANNELS}), np.float32)\n"
        "out = model.call(x, np.ones((2, 5), bool))\n"
        "assert out['scores'].shape == (2, 5)\n"
        "assert not any(name.startswith('refinevad') for name in sys.modules)\n"
    )
    command = [sys.executable, "-P", "-c", program, str(file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_description_says_what_goes_in(file: pathlib.Path) -> None:
    content = json.loads(file.with_name("model.bin.json").read_text())
    assert content["categories"] == ["A", "B", "C"]
    assert sorted(content["outputs"]) == sorted(exported.OUTPUTS | exported.OUTPUTS_OF_CORE)
    assert content["encoder"] == "random" and content["simulated"] is True
    assert content["channels"] == [
        {"modality": "visual", "start": 0, "end": 16},
        {"modality": "text", "start": 16, "end": 24},
    ]


def test_it_holds_no_path_of_this_machine(file: pathlib.Path) -> None:
    content = file.read_bytes() + file.with_name(file.name + ".json").read_bytes()
    assert os.fsencode(pathlib.Path(exported.__file__).parents[2]) not in content
    assert os.fsencode(pathlib.Path(jax.__file__).parents[1]) not in content
    assert b".py" not in content


def test_another_program_can_cut_the_input_out_of_the_features(trained: pathlib.Path) -> None:
    run = read_run(trained)
    run.config.data.modalities = ("text",)
    features = np.arange(NUM_CHANNELS)
    runs = exported.describe(run, 1, 8)["channels"]
    found = np.concatenate([features[one["start"] : one["end"]] for one in runs])
    np.testing.assert_array_equal(found, features[run.columns()])
    assert [one["modality"] for one in runs] == ["text"]


def test_another_file_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x").write_bytes(b"not a model")
    with pytest.raises(UserError, match="not an exported model"):
        exported.load(tmp_path / "x")
    with pytest.raises(UserError, match="No such file"):
        exported.load(tmp_path / "y")


# What users of another project (anomalib) wrote of exports that disagree; docs/export.md has the
# threads. Each holds for the file that is read back, at a shape that is compiled already.
def bags() -> tuple[np.ndarray, np.ndarray]:
    features = np.random.default_rng(1).normal(size=(3, 17, NUM_CHANNELS)).astype(np.float32)
    return features, np.arange(17)[None] < np.array([[17], [9], [12]])


def same(one: dict, two: dict, rows: slice = slice(None)) -> None:
    for name, value in one.items():
        np.testing.assert_allclose(value[rows], two[name][rows], atol=1e-5, err_msg=name)


def test_normalisation_is_in_the_file(file: pathlib.Path) -> None:
    features, valid = bags()
    function = exported.load(file)
    same(function(features, valid), function(100 * features, valid))


def test_a_video_has_its_scores_whatever_else_is_in_the_batch(file: pathlib.Path) -> None:
    features, valid = bags()
    function = exported.load(file)
    expected, others = function(features, valid), features.copy()
    others[1:] = np.random.default_rng(2).normal(size=others[1:].shape)
    same(function(others, valid), expected, slice(1))
    backwards = function(features[::-1], valid[::-1])
    same({name: value[::-1] for name, value in backwards.items()}, expected)


def test_padding_does_not_count(file: pathlib.Path) -> None:
    features, valid = bags()
    function = exported.load(file)
    expected = function(features, valid)
    found = function(np.where(valid[..., None], features, 1e3), valid)
    for name in ("scores", "category_probs", "category_weights"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    assert not np.asarray(found["scores"])[~valid].any()


def test_the_types_of_the_input_are_fixed(file: pathlib.Path) -> None:
    features, valid = bags()
    for wrong in (features.astype(np.float16), features[..., :-1], features[:, :1]):
        with pytest.raises((ValueError, TypeError)):
            exported.load(file)(wrong, valid[:, : wrong.shape[1]])


def test_calibration_and_thresholds_lie_outside_and_exports_repeat(
    trained: pathlib.Path, file: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = tmp_path / "run"
    shutil.copytree(trained, other, ignore=shutil.ignore_patterns("eval"))
    stored = read_calibration(other)
    assert stored is not None
    fitted = dataclasses.replace(stored, calibration=Calibration(0.5, -1.0), reason="")
    write_calibration(other, fitted)
    description = exported.export(other, tmp_path / "again.bin", step="best")
    one, two = (
        jax.export.deserialize(bytearray(path.read_bytes())).mlir_module()
        for path in (file, tmp_path / "again.bin")
    )
    # A file also has lines of the source: where it was called from, and numbers of these.
    places = re.compile(r"(?m)^#loc.*\n|#loc\d*")
    assert places.sub("", one) == places.sub("", two)
    assert description["scoring"]["calibration"] == {"slope": 0.5, "offset": -1.0}


def test_an_onnx_file_that_disagrees_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(features: jax.Array, valid: jax.Array) -> dict[str, jax.Array]:
        return {"scores": jnp.where(valid, features.mean(axis=-1), 0.0)}

    off = [0.0005]

    def other(**arrays: np.ndarray) -> dict[str, np.ndarray]:
        return {"scores": off[0] + scores(**arrays)["scores"]}

    monkeypatch.setattr(exported, "TRIED", ((2, 5),))
    monkeypatch.setattr(onnx_graph, "convert", lambda *_: b"file")
    monkeypatch.setattr(onnx_graph, "opset", lambda _: 23)
    monkeypatch.setattr(onnx_graph, "runner", lambda _: other)
    arguments = (jax.ShapeDtypeStruct((2, 5, 4), np.float32), jax.ShapeDtypeStruct((2, 5), bool))
    content, facts = exported._onnx(scores, arguments, 4)
    assert content == b"file"
    assert facts["check"]["largest_difference"]["scores"] == pytest.approx(0.0005, rel=0.01)
    for off[0] in (0.002, np.nan):
        with pytest.raises(UserError, match=r"scores differs by .* nothing was written"):
            exported._onnx(scores, arguments, 4)


def test_onnx_without_its_extra_names_the_command(
    monkeypatch: pytest.MonkeyPatch, trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(UserError, match=r"needs jax2onnx .*pip install 'refinevad_jax\[onnx\]'"):
        exported.export(trained, tmp_path / "x.onnx", step="best", form="onnx")
    assert not list(tmp_path.iterdir())
