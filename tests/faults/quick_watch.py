"""refinevad_jax.watch with an encoder that needs no weights, short waits, and faults from a file.

The file that REFINEVAD_SOAK names holds JSON: "slow", seconds that each segment takes to encode,
"disk", seconds that each line of events.jsonl takes to write, and "clock", seconds that the clock
of this computer is off.
"""

import faulthandler
import json
import os
import pathlib
import runpy
import signal
import time

import numpy as np

from refinevad_jax.cameras import camera, delivery, sinks, webhook
from refinevad_jax.encoders import loading, video
from refinevad_jax.encoders.encoder import VisualEncoder

WIDTH = 24
FILE = pathlib.Path(os.environ["REFINEVAD_SOAK"])
_REAL_TIME = time.time
_REAL_WRITE = sinks.EventFile.write
_WEIGHTS = np.random.default_rng(0).normal(size=(3 * 16, WIDTH))


def faults() -> dict[str, float]:
    return json.loads(FILE.read_text())


def write(file: sinks.EventFile, line: str) -> None:
    time.sleep(faults()["disk"])
    _REAL_WRITE(file, line)


def encode(segments: np.ndarray) -> np.ndarray:
    """Random projections of the mean colour of 4 x 4 blocks."""
    time.sleep(faults()["slow"] * len(segments))
    blocks = segments[:, ::4].reshape(len(segments), 4, 4, 56, 4, 56, 3).mean(axis=(1, 3, 5))
    return ((blocks.reshape(len(segments), -1) / 64 - 2) @ _WEIGHTS / 5).astype(np.float32)


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)  # says where every thread is
    quick = VisualEncoder("random", WIDTH, "0" * 64, encode)
    loading.load_visual_encoder = lambda name, weights: quick
    camera.FIRST_WAIT_S, camera.LONGEST_WAIT_S = 0.2, 2.0
    delivery.FIRST_WAIT_S, delivery.LONGEST_WAIT_S = 0.1, 1.0
    webhook.TIMEOUT_S, video.LIVE_TIMEOUT_S = 1.0, 2.0
    sinks.EventFile.write = write
    time.time = lambda: _REAL_TIME() + faults()["clock"]
    runpy.run_module("refinevad_jax.watch", run_name="__main__", alter_sys=True)
