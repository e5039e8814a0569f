"""A whole ONNX file agrees with the run, in ONNX Runtime; part of `make test-paths`."""

import json
import pathlib

import numpy as np
import pytest

from refinevad_jax import analysis
from refinevad_jax.errors import UserError
from refinevad_jax.runs import exported, onnx_graph
from tests.conftest import NUM_CHANNELS


def test_a_whole_file_agrees_with_the_run(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("jax2onnx", reason="jax2onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path = tmp_path / "model.onnx"
    description = exported.export(trained, path, step="best", form="onnx")
    assert json.loads((tmp_path / "model.onnx.json").read_text()) == description
    assert max(description["check"]["largest_difference"].values()) < 1e-5
    session = runtime.InferenceSession(str(path))
    features = np.random.default_rng(3).normal(size=(2, 9, NUM_CHANNELS)).astype(np.float32)
    valid = np.arange(9)[None] < np.array([[9], [4]])
    names = [output.name for output in session.get_outputs()]
    given = session.run(names, {"features": features, "valid": valid})
    found = dict(zip(names, given, strict=True))
    expected = analysis.load_model(trained)(features, valid).readout()
    assert sorted(found) == sorted(expected)
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
    path.write_bytes(b"damaged")
    with pytest.raises(UserError, match="not a model that onnxruntime reads"):
        onnx_graph.runner(path.read_bytes())
