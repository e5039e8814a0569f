"""What S seeds in one program cost against S runs one after the other.

  python -m benchmarks.seeds --num_seeds=5

Both train the network of configs/ucf_text.py on made-up bags of that size, in turn, several times;
compiling is reported apart. The last line is JSON.
"""

from absl import flags

from benchmarks import records
from benchmarks.made_up import Program, made_up_bags
from configs import ucf_text
from refinevad_jax.runtime import command_line

NUM_SEEDS = flags.DEFINE_integer("num_seeds", 5, "Seeds trained together.", lower_bound=2)
NUM_STEPS = flags.DEFINE_integer("num_steps", 20, "Steps of one measurement.", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 5, "Measurements of each.", lower_bound=1)
NUM_VIDEOS, NUM_CHANNELS = 1412, 384


def main() -> None:
    """Measures both in turn."""
    config = ucf_text.get_config()
    programs = [
        Program(config, made_up_bags(NUM_VIDEOS, config.data.num_segments, NUM_CHANNELS, count))
        for count in (NUM_SEEDS.value, 1)
    ]
    compiling, *pairs = [
        [records.timed(lambda one=one: one.run(NUM_STEPS.value))[0] for one in programs]
        for _ in range(1 + REPEATS.value)
    ]
    ratios = [both / (NUM_SEEDS.value * one) for both, one in pairs]
    steps = NUM_STEPS.value
    print(f"{NUM_SEEDS.value} seeds together: {pairs[-1][0] / steps * 1e3:.0f} ms per step")
    print(f"one seed: {pairs[-1][1] / steps * 1e3:.0f} ms per step")
    print(f"first call, with compiling: {compiling[0]:.1f} s together, {compiling[1]:.1f} s alone")
    result = {
        "num_seeds": NUM_SEEDS.value,
        "together_over_separate": records.middle(ratios),
        "together_over_separate_range": records.spread(ratios),
        "compile_together_over_separate": round(compiling[0] / (NUM_SEEDS.value * compiling[1]), 3),
    }
    records.finish("seeds", result)


if __name__ == "__main__":
    command_line.run(main)
