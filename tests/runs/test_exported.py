"""The exported function equals the model and runs without this package."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from refinevad_jax import analysis
from refinevad_jax.errors import UserError
from refinevad_jax.runs import exported
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
