"""What reading bags from their files costs against bags in memory, step by step.

  python -m benchmarks.streaming
  python -m benchmarks.streaming --num_videos=100 --repeats=2     # a short form

A made-up data set of full-length videos is trained on in three ways, in turn: all bags on the
device, on the host, and in their files (ArrayRecord, read ahead by Grain). Reported are the steps
themselves, and how fast batches alone come from the files. The network is that of configs/ucf.py,
or with --small that of configs/ucf_text.py, which leaves the least time to hide reading behind. The
last line is JSON.
"""

import math
import pathlib
import tempfile
from typing import Any

import numpy as np
from absl import flags

from benchmarks import records
from benchmarks.made_up import Program, test_lengths, write_data
from configs import ucf, ucf_text
from refinevad_jax.data.bags import read_split
from refinevad_jax.data.batches import training_bags
from refinevad_jax.runtime import command_line

NUM_VIDEOS = flags.DEFINE_integer("num_videos", 400, "Bags to train on.", lower_bound=64)
NUM_CHANNELS = flags.DEFINE_integer(
    "num_channels", 1024, "Channels of the features, D.", lower_bound=8
)
NUM_STEPS = flags.DEFINE_integer("num_steps", 4, "Steps of one measurement.", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 3, "Turns; the median counts.", lower_bound=1)
SMALL = flags.DEFINE_bool("small", False, "Train the small network of configs/ucf_text.py instead.")
# How many GB of bags may come to the device, and to the host.
WAYS = {"device": (1e9, math.inf), "host": (0.0, math.inf), "files": (0.0, 0.0)}


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as name:
        lengths = {"train": test_lengths(NUM_VIDEOS.value).tolist()}
        info = write_data(pathlib.Path(name), NUM_CHANNELS.value, lengths)
        ways, columns = {}, np.arange(NUM_CHANNELS.value)
        for key, (limit, memory) in WAYS.items():
            config = (ucf_text if SMALL.value else ucf).get_config()
            config.data.device_limit_gb = limit
            bags = read_split(name, info.name, "train", memory_gb=memory)
            ways[key] = Program(config, training_bags(bags, config.data.num_segments, columns))
            ways[key].run(NUM_STEPS.value)
        losses = {key: way.metrics["loss"] for key, way in ways.items()}
        turns = [
            {
                key: records.timed(lambda way=way: way.run(NUM_STEPS.value))
                for key, way in ways.items()
            }
            for _ in range(REPEATS.value)
        ]
        stream = ways["files"].dispatch.stream
        assert stream is not None
        steps = iter(range(10_000, 10_000 + 20))
        stream.features(next(steps))
        reading = records.timed(lambda: [stream.features(step) for step in steps])
    count = NUM_STEPS.value
    result: dict[str, Any] = {
        "network": "configs/ucf_text.py" if SMALL.value else "configs/ucf.py",
        "bags": NUM_VIDEOS.value,
        "num_channels": NUM_CHANNELS.value,
        "host_and_files_equal": bool(np.array_equal(losses["host"], losses["files"])),
        "batches_per_s_of_files_alone": round(19 / reading[0], 2),
        "processor_s_a_batch_of_files_alone": round(reading[1] / 19, 4),
    }
    for index, kind in enumerate(("", "_processor")):
        result[f"device_seconds_a_step{kind}"] = records.middle(
            [turn["device"][index] / count for turn in turns], 4
        )
        for key in ("host", "files"):
            ratios = [turn[key][index] / turn["device"][index] for turn in turns]
            result[f"{key}_over_device{kind}"] = records.middle(ratios)
            result[f"{key}_over_device{kind}_range"] = records.spread(ratios)
    records.finish("streaming_small" if SMALL.value else "streaming", result)


if __name__ == "__main__":
    command_line.run(main)
