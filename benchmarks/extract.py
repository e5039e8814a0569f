"""How fast videos become I3D features, against what matrix products allow on this machine.

  python -m benchmarks.extract --batch_size=4

Decoding and cutting are measured on a video made here, encoding on random pixels (the time does not
depend on the values), and the whole by running both at once. The limit is the network's
multiplications and additions at the speed of a large float32 matrix product. The last line is JSON.
"""

import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks import records
from benchmarks.limits import best, matmul_flops
from refinevad_jax.encoders import i3d
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.segments import ahead, batched, read_segments
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.runtime import command_line

BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "segments per call", 1)
SEGMENTS = flags.DEFINE_integer("segments", 24, "segments of the video", 1)
HEIGHT = flags.DEFINE_integer("height", 240, "rows of the video; columns are 4/3 of them", 16)


def network_flops() -> float:
    """Operations of one segment, as the compiler counts them."""
    weights = i3d.load_weights()
    shape = jax.ShapeDtypeStruct((1, FRAMES_PER_SEGMENT, 224, 224, 3), jnp.uint8)
    return float(i3d.compiled().lower(weights, shape).compile().cost_analysis()["flops"])


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


def main() -> None:
    """Measures and prints."""
    encoder = i3d.load_encoder()
    shape = (BATCH_SIZE.value, FRAMES_PER_SEGMENT, 224, 224, 3)
    batch = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    encode_s = best(lambda: encoder.encode(batch)) / BATCH_SIZE.value
    peak, flops = matmul_flops(), network_flops()

    with tempfile.TemporaryDirectory() as folder:
        path = make_video(pathlib.Path(folder))

        def decode() -> None:
            with Video(path) as video:
                for _ in read_segments(video):
                    pass

        def extract() -> None:
            with Video(path) as video:
                for some in batched(ahead([read_segments(video)], 8), BATCH_SIZE.value):
                    encoder.encode_segments([one.crops for one in some], BATCH_SIZE.value)

        decode_s = best(decode, repeats=2) / SEGMENTS.value
        extract_s = best(extract, repeats=2) / SEGMENTS.value
    encoding, limit = FRAMES_PER_SEGMENT / encode_s, FRAMES_PER_SEGMENT * peak / flops
    result = {
        "decode_frames_per_s": round(FRAMES_PER_SEGMENT / decode_s, 1),
        "encode_frames_per_s": round(encoding, 1),
        "extract_frames_per_s": round(FRAMES_PER_SEGMENT / extract_s, 1),
        "limit_frames_per_s": round(limit, 1),
        "share_of_matmul_limit": round(encoding / limit, 3),
        "matmul_gflops": round(peak / 1e9, 1),
        "network_gflop_per_segment": round(flops / 1e9, 1),
        "batch_size": BATCH_SIZE.value,
    }
    records.finish("extract", result)


if __name__ == "__main__":
    command_line.run(main)
