"""I3D in bfloat16 by OpenVINO, for processors that have units for it.

The network and weights of i3d.py; its features have a cosine of 0.9998 with those, not their
values, so data sets and checkpoints record another name. Needs the extra `openvino`.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax.encoders import i3d
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, NAMES, VisualEncoder
from refinevad_jax.errors import UserError

NAME = NAMES["i3d_bfloat16"]


def load_encoder() -> VisualEncoder:
    """The compiled network. Says on stderr if this processor has no units for bfloat16.

    Raises UserError if OpenVINO or the weights are not installed.
    """
    openvino = import_openvino()
    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        print(
            "warning: this processor has no units for bfloat16: --encoder=i3d_bfloat16 is slower "
            "on it than --encoder=i3d",
            file=sys.stderr,
        )
    settings = {"INFERENCE_PRECISION_HINT": "bf16", "NUM_STREAMS": "1"}
    run = core.compile_model(graph(i3d.load_weights()), "CPU", settings)

    def features(segments: np.ndarray) -> np.ndarray:
        return np.concatenate([run(segment[None])[0] for segment in segments])

    return VisualEncoder(NAME, i3d.WIDTH, i3d.SHA256, features, library="openvino")


def import_openvino() -> Any:
    """The module `openvino`, without its telemetry. Raises UserError if it is not installed."""
    # OpenVINO then takes its own stub, which sends nothing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise UserError("--encoder=i3d_bfloat16 needs OpenVINO: pip install openvino") from error
    return openvino


def graph(folded: i3d.Folded) -> Any:
    """The openvino.Model of [1, 16, 224, 224, 3] uint8 to features [1, 1024]."""
    openvino = import_openvino()
    ops = openvino.opset13

    def unit(name: str, stride: int, net: Any) -> Any:
        kernel, bias = (np.asarray(array) for array in folded[name])
        kernel = np.ascontiguousarray(kernel.transpose(4, 3, 0, 1, 2))
        net = ops.convolution(
            net,
            ops.constant(kernel),
            [stride] * 3,
            [0] * 3,
            [0] * 3,
            [1] * 3,
            auto_pad="SAME_UPPER",
        )
        return ops.relu(ops.add(net, ops.constant(bias.reshape(1, -1, 1, 1, 1))))

    def max_pool(net: Any, window: Sequence[int], strides: Sequence[int]) -> Any:
        pooled = ops.max_pool(
            net, list(strides), [1] * 3, [0] * 3, [0] * 3, list(window), auto_pad="SAME_UPPER"
        )
        return pooled.output(0)  # the other one is where the largest values were

    segments = ops.parameter([1, FRAMES_PER_SEGMENT, 224, 224, 3], np.uint8)
    scaled = ops.multiply(ops.convert(segments, "f32"), ops.constant(np.float32(2 / 255)))
    net = ops.transpose(
        ops.subtract(scaled, ops.constant(np.float32(1))), ops.constant([0, 4, 1, 2, 3])
    )
    net = i3d.walk(net, unit, max_pool, lambda branches: ops.concat(branches, 1))
    mean = ops.reduce_mean(net, ops.constant([2, 3, 4]), False)
    return openvino.Model([ops.result(mean)], [segments], "i3d")
