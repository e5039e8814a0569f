"""Speed of training at the size of UCF-Crime, against what matrix products allow.

  python -m benchmarks.train_step --num_channels=1024

The paper-sized network of configs/ucf.py on 1,610 made-up bags. Operations are those the compiler
counts in one step. The host's gap is what a dispatch costs besides its steps, spread over the 25
steps of a dispatch. The last line is JSON.
"""

import json
import resource
import statistics
import time
from typing import Any

import jax
from absl import app, flags

from benchmarks.limits import matmul_flops
from benchmarks.programs import made_up_bags, program
from configs import ucf
from refinevad_jax.training.loop import MAX_STEPS_PER_DISPATCH

NUM_CHANNELS = flags.DEFINE_integer("num_channels", 1024, "D.", lower_bound=8)
NUM_VIDEOS = flags.DEFINE_integer("num_videos", 1610, "Bags.", lower_bound=64)
NUM_STEPS = flags.DEFINE_integer("num_steps", 4, "Steps of one measurement.", lower_bound=2)
REPEATS = flags.DEFINE_integer("repeats", 3, "Measurements, each beside the limit.", lower_bound=1)


class Steps:
    """A program and its state; runs steps and says how long they took."""

    def __init__(self) -> None:
        config = ucf.get_config()
        bags = made_up_bags(NUM_VIDEOS.value, config.data.num_segments, NUM_CHANNELS.value, 1)
        self.bag_bytes = bags.num_bytes
        self.dispatch, self._state = program(config, bags)

    def seconds(self, count: int) -> float:
        """Time of one dispatch of so many steps."""
        start = time.perf_counter()
        self._state, _ = self.dispatch.run(self._state, 0, count)
        return time.perf_counter() - start

    def flops(self) -> float:
        """Operations of one step, as the compiler counts them."""
        return self.dispatch.cost_of_a_step(self._state)["flops"]


def main(argv: list[str]) -> None:
    """Measures and prints."""
    del argv
    steps = Steps()
    count = NUM_STEPS.value
    compile_s = steps.seconds(count)
    steps.seconds(1)
    rows = []
    for _ in range(REPEATS.value):
        limit = matmul_flops()
        many, single = steps.seconds(count), steps.seconds(1)
        rows.append((limit, many, max(0.0, single - many / count)))
    flops = steps.flops()
    step_s = statistics.median(many / count for _, many, _ in rows)
    share = statistics.median(flops * count / many / limit for limit, many, _ in rows)
    gap = statistics.median(gap for _, _, gap in rows) / MAX_STEPS_PER_DISPATCH
    result: dict[str, Any] = {
        "num_channels": NUM_CHANNELS.value,
        "seconds_a_step": round(step_s, 3),
        "gflop_a_step": round(flops / 1e9, 1),
        "matmul_gflops": round(statistics.median(limit for limit, _, _ in rows) / 1e9, 1),
        "share_of_matmul_limit": round(share, 3),
        "host_gap_share": round(gap / step_s, 4),
        "first_dispatch_s": round(compile_s, 1),
        "bags_gb": round(steps.bag_bytes / 1e9, 2),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "device": jax.devices()[0].device_kind,
    }
    for name, value in result.items():
        print(f"{name:24s} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    app.run(main)
