"""How fast videos become I3D features, beside the direct form, PyTorch and OpenVINO.

  python -m benchmarks.extract
  python -m benchmarks.extract --torch --openvino          # pip install torch openvino
  python -m benchmarks.extract --num_crops=10 --segments=6

Encoding is measured on random pixels (the time does not depend on the values), decoding and cutting
on a video made here, and extraction by running both at once, as data_prep.extract does. The direct
form is the same network without Winograd's convolutions, all segments of a call at once. Everything
is measured in turn, each side warm; medians are reported, of ratios those within a turn. The
processor's time is given beside the clock's, because other programs on the machine do not lengthen
it much. Operations are those of the direct form, whichever form runs; the limit is their number at
the speed of a large float32 matrix product. The last line is JSON.
"""

import functools
import importlib.util
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import records
from benchmarks.limits import SIDE, matmul
from refinevad_jax.encoders import i3d
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.encoders.segments import ahead, batched, read_segments
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from refinevad_jax.runtime import command_line

BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "crops of 16 frames per call", 1)
SEGMENTS = flags.DEFINE_integer("segments", 24, "segments of the video", 1)
HEIGHT = flags.DEFINE_integer("height", 240, "rows of the video; columns are 4/3 of them", 16)
NUM_CROPS = flags.DEFINE_enum("num_crops", "1", ["1", "10"], "crops per segment of the video")
REPEATS = flags.DEFINE_integer("repeats", 5, "turns; the median counts", 1)
OPENVINO = flags.DEFINE_bool("openvino", False, "time i3d_bfloat16 in the same turns")
TORCH = flags.DEFINE_bool("torch", False, "time PyTorch, float32, in the same turns")

Seconds = tuple[float, float]  # by the clock, by the processor


def direct_encoder() -> tuple[VisualEncoder, float]:
    """The direct form, and its operations per segment as the compiler counts them."""
    folded, run = i3d.load_weights(), i3d.compiled()
    shape = jax.ShapeDtypeStruct((BATCH_SIZE.value, FRAMES_PER_SEGMENT, 224, 224, 3), np.uint8)
    flops = run.lower(folded, shape).compile().cost_analysis()["flops"] / BATCH_SIZE.value
    encoder = VisualEncoder(
        i3d.NAME, i3d.WIDTH, "", lambda rows: np.asarray(run(folded, rows)), one_size=True
    )
    return encoder, flops


def load_encoders() -> tuple[dict[str, VisualEncoder], float]:
    """What is compared, by name, and the network's operations per segment."""
    direct, flops = direct_encoder()
    encoders = {"ours": i3d.load_encoder(), "direct": direct}
    if TORCH.value:
        if importlib.util.find_spec("torch") is None:
            raise UserError("--torch needs PyTorch; pip install torch")
        from benchmarks import torch_i3d

        run = torch_i3d.encoder(i3d.load_weights())
        encoders["torch"] = VisualEncoder(i3d.NAME, i3d.WIDTH, "", run)
    if OPENVINO.value:
        from refinevad_jax.encoders import i3d_openvino

        encoders["openvino"] = i3d_openvino.load_encoder()
    return encoders, flops


def make_video(folder: pathlib.Path) -> pathlib.Path:
    """A video of moving noise, which is as hard to decode as footage."""
    rng = np.random.default_rng(0)
    height, width = HEIGHT.value, HEIGHT.value * 4 // 3
    scene = rng.integers(0, 256, (height // 8 + 1, width // 8 + 64, 3), np.uint8)
    scene = scene.repeat(8, axis=0).repeat(8, axis=1)
    count = SEGMENTS.value * FRAMES_PER_SEGMENT
    path = folder / "clip.mp4"
    write_video(path, (scene[:height, i % 256 :][:, :width] for i in range(count)), fps=25)
    return path


def decode(path: pathlib.Path) -> None:
    """Decodes a video and cuts its crops."""
    with Video(path) as video:
        for _ in read_segments(video, int(NUM_CROPS.value)):
            pass


def extract(path: pathlib.Path, encoder: VisualEncoder) -> None:
    """Decodes and encodes a video, both at once."""
    num_crops = int(NUM_CROPS.value)
    size = max(1, BATCH_SIZE.value // num_crops)
    with Video(path) as video:
        for some in batched(ahead([read_segments(video, num_crops)], 2 * size), size):
            encoder.encode_segments([one.crops for one in some], size)


def measure(
    encoders: dict[str, VisualEncoder], batch: np.ndarray, path: pathlib.Path
) -> list[dict[str, Seconds]]:
    """Turns of seconds by what ran. Each encoder runs once untimed before it is timed."""
    timed: dict[str, Callable[[], Any]] = {}
    for name, encoder in encoders.items():
        timed[f"encode_{name}"] = functools.partial(encoder.encode, batch)
        timed[f"extract_{name}"] = functools.partial(extract, path, encoder)
    turns = []
    for _ in range(REPEATS.value):
        turn = {
            "limit": min(records.timed(matmul) for _ in range(3)),
            "decode": records.timed(lambda: decode(path)),
        }
        for name, run in timed.items():
            if name.startswith("encode_"):
                run()
            turn[name] = records.timed(run)
        turns.append(turn)
        print("turn", {key: f"{clock:.2f} s" for key, (clock, _) in turn.items()}, flush=True)
    return turns


def summary(turns: list[dict[str, Seconds]], flops: float) -> dict[str, Any]:
    """Frames per second by what ran, and ratios of ours to the others, by clock and processor."""
    one_video = FRAMES_PER_SEGMENT * SEGMENTS.value
    result: dict[str, Any] = {}
    for index, kind in enumerate(("", "_processor")):
        for key in (key for key in turns[0] if key != "limit"):
            frames = FRAMES_PER_SEGMENT * BATCH_SIZE.value if "encode" in key else one_video
            name = f"{key.removesuffix('_ours')}_frames_per_s{kind}"
            result[name] = records.middle([frames / turn[key][index] for turn in turns], 1)
        rates = [2 * SIDE**3 / turn["limit"][index] for turn in turns]
        shares = [
            flops * BATCH_SIZE.value / turn["encode_ours"][index] / rate
            for turn, rate in zip(turns, rates, strict=True)
        ]
        result[f"matmul_gflops{kind}"] = records.middle([rate / 1e9 for rate in rates], 1)
        result[f"share_of_matmul_limit{kind}"] = records.middle(shares)
        for key in turns[0]:
            part, _, other = key.partition("_")
            if other not in ("", "ours"):
                ratios = [turn[key][index] / turn[f"{part}_ours"][index] for turn in turns]
                result[f"{part}_over_{other}{kind}"] = records.middle(ratios)
                result[f"{part}_over_{other}{kind}_range"] = records.spread(ratios)
    return result


def main() -> None:
    """Measures and prints."""
    encoders, flops = load_encoders()
    shape = (BATCH_SIZE.value, FRAMES_PER_SEGMENT, 224, 224, 3)
    batch = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    features = {name: encoder.encode(batch) for name, encoder in encoders.items()}
    matmul()  # compiles
    with tempfile.TemporaryDirectory() as folder:
        path = make_video(pathlib.Path(folder))
        for encoder in encoders.values():
            extract(path, encoder)  # compiles, if its calls have another size
        turns = measure(encoders, batch, path)
    result = summary(turns, flops)
    largest = float(np.abs(features["direct"]).max())
    for name in encoders:
        if name != "direct":
            difference = float(np.abs(features[name] - features["direct"]).max()) / largest
            result[f"largest_difference_of_{name}"] = float(f"{difference:.1e}")
    result |= {
        "network_gflop_per_segment": round(flops / 1e9, 1),
        "batch_size": BATCH_SIZE.value,
        "num_crops": int(NUM_CROPS.value),
        "turns": len(turns),
    }
    records.finish("extract" if NUM_CROPS.value == "1" else "extract_ten_crops", result)


if __name__ == "__main__":
    command_line.run(main)
