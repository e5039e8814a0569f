"""How cost grows: with the length of a video, with bags, seeds and the size of a batch.

  python -m benchmarks.growth
  python -m benchmarks.growth --longest=2000     # a short form

Length: scoring one video with the network of configs/ucf.py. Bags, seeds, batch: a training step
with the network of configs/ucf_text.py. Operations and scratch memory are the compiler's; the times
are given beside one large matrix product of the same moment. The last line is JSON.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from flax import nnx

from benchmarks import records
from benchmarks.limits import SIDE, matmul
from benchmarks.made_up import NUM_CATEGORIES, Program, made_up_bags
from configs import ucf, ucf_text
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import create
from refinevad_jax.runtime import command_line
from refinevad_jax.runtime.compiler import compiler_options

LONGEST = flags.DEFINE_integer("longest", 20_000, "Segments of the longest video.", lower_bound=200)
REPEATS = flags.DEFINE_integer("repeats", 2, "Times each is run; the fastest counts.", 1)
NUM_CHANNELS = 1024
LENGTHS = (200, 500, 1000, 2000, 5000, 10_000, 20_000)
# Bags, seeds, batch of a step; one is changed at a time.
STEPS = {
    "bags": [(count, 1, 64) for count in (200, 400, 800, 1610)],
    "seeds": [(800, count, 64) for count in (1, 2, 4)],
    "batch": [(800, 1, count) for count in (16, 32, 64, 128)],
}


def fastest(run: Callable[[], Any]) -> tuple[float, float, float]:
    """Clock and processor seconds, and the share of the matrix product's rate by the processor."""
    run()
    times = [(records.timed(run), records.timed(matmul)[1]) for _ in range(REPEATS.value)]
    (clock, busy), product = min(times)
    return clock, busy, 2 * SIDE**3 / product


def over_length() -> list[dict[str, float]]:
    """Rows of segments, operations, memory, time."""
    config = ModelConfig((NUM_CHANNELS,), NUM_CATEGORIES, **ucf.get_config().model.to_dict())
    graphdef, params = create(config, jax.random.key(0))

    @functools.partial(jax.jit, compiler_options=compiler_options())
    def forward(params: Any, features: jax.Array) -> jax.Array:
        return nnx.merge(graphdef, params)(features, jnp.ones(features.shape[:2], bool)).scores

    rows = []
    for length in LENGTHS:
        if length > LONGEST.value:
            continue
        features = np.random.default_rng(0).standard_normal((1, length, NUM_CHANNELS), np.float32)
        compiled = forward.lower(params, features).compile()
        analysis = compiled.memory_analysis()

        def run(compiled: Any = compiled, features: np.ndarray = features) -> None:
            compiled(params, features).block_until_ready()

        clock, busy, limit = fastest(run)
        # The compiler counts the body of a loop once: these are the products, by hand.
        width, layers = config.width, config.num_layers
        dense = NUM_CHANNELS * width + layers * (4 * width**2 + 2 * width * config.mlp_width)
        dense += 2 * width * config.scorer_width
        flops = 2 * length * dense + 4 * layers * length**2 * width
        rows.append(
            {
                "segments": length,
                "gflop": round(flops / 1e9, 2),
                "scratch_mb": round(analysis.temp_size_in_bytes / 1e6, 1),
                "seconds": round(clock, 3),
                "processor_seconds": round(busy, 3),
                "share_of_matmul_limit": round(flops / busy / limit, 3),
            }
        )
        print(rows[-1], flush=True)
    return rows


def over_sizes() -> dict[str, list[dict[str, float]]]:
    """A training step by number of bags, seeds and videos of a batch."""
    found: dict[str, list[dict[str, float]]] = {}
    for name, sizes in STEPS.items():
        found[name] = []
        for num_bags, num_seeds, batch in sizes:
            config = ucf_text.get_config()
            config.train.batch_size = batch
            bags = made_up_bags(num_bags, config.data.num_segments, 384, num_seeds)
            program = Program(config, bags)
            clock, busy, _ = fastest(functools.partial(program.run, 5))
            memory = program.dispatch.compiled_step(program.state).memory_analysis()
            row = {
                name: {"bags": num_bags, "seeds": num_seeds, "batch": batch}[name],
                "seconds_a_step": round(clock / 5, 4),
                "processor_seconds_a_step": round(busy / 5, 4),
                "bags_mb": round(bags.features.nbytes / 1e6, 1),
                "scratch_mb": round(memory.temp_size_in_bytes / 1e6, 1),
            }
            found[name].append(row)
            print(row, flush=True)
    return found


def main() -> None:
    """Measures and prints."""
    matmul()
    records.finish("growth", {"length": over_length()} | over_sizes())


if __name__ == "__main__":
    command_line.run(main)
