"""Where the time of a training step goes, by kind of operation.

  python -m benchmarks.step_profile
  python -m benchmarks.step_profile --num_channels=64 --batch_size=8     # a short form

The step of benchmarks.train_step under jax.profiler on one core, where operations run one after the
other and their times add up. Kinds follow from the compiled program: its instructions, and the
functions they came from. The products' rate is given beside that of one large matrix product on
that core. The last line is JSON.
"""

import collections
import os
import pathlib
import re
import tempfile
from collections.abc import Mapping
from typing import Any

from absl import flags

from benchmarks import records
from refinevad_jax.runtime import command_line

NUM_CHANNELS = flags.DEFINE_integer(
    "num_channels", 1024, "Channels of the features, D.", lower_bound=8
)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Videos per batch, B.", lower_bound=2)
# Parts of the name of the function that an instruction came from.
RANDOM = ("_bernoulli", "_uniform", "threefry", "random_bits")
# Parts of the instruction's own name.
NAMED = {"copies": ("copy", "transpose_", "concatenate"), "sums": ("reduce",)}
INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = \S+ ([\w\-]+)\(")


def kinds_of(program: str) -> dict[str, str]:
    """The kind of every instruction of a compiled program's text, by its name."""
    found = {}
    for line in program.splitlines():
        match = INSTRUCTION.match(line)
        if not match or match[2] in ("while", "call", "conditional"):  # their parts count
            continue
        name, operation = match.groups()
        source = re.search(r'op_name="([^"]*)"', line)
        if operation == "dot":
            found[name] = "matrix products"
        elif source and any(part in source[1] for part in RANDOM):
            found[name] = "random bits"
        else:
            found[name] = next(
                (kind for kind, parts in NAMED.items() if any(part in name for part in parts)),
                "element by element",
            )
    return found


def profiled(run: Any, kinds: Mapping[str, str]) -> dict[str, float]:
    """Seconds of a call by kind of operation."""
    import jax

    seconds: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for line in plane.lines:
                for event in line.events:
                    operation = dict(event.stats).get("hlo_op")
                    if operation in kinds:
                        seconds[kinds[operation]] += event.duration_ns / 1e9
    return dict(seconds)


def main() -> None:
    """Measures and prints."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before XLA makes its threads
    from benchmarks.limits import matmul_flops
    from benchmarks.made_up import Program, made_up_bags
    from configs import ucf

    config = ucf.get_config()
    config.train.batch_size = BATCH_SIZE.value
    bags = made_up_bags(2 * BATCH_SIZE.value, config.data.num_segments, NUM_CHANNELS.value, 1)
    program = Program(config, bags)
    compiled = program.dispatch.compiled_step(program.state)
    cost, kinds = compiled.cost_analysis(), kinds_of(compiled.as_text())
    program.run(1)
    seconds = profiled(lambda: program.run(1), kinds)
    total, products = sum(seconds.values()), seconds["matrix products"]
    records.finish(
        "step_profile",
        {
            "num_channels": NUM_CHANNELS.value,
            "batch_size": BATCH_SIZE.value,
            "seconds": round(total, 2),
            "shares": {
                kind: round(one / total, 3)
                for kind, one in sorted(seconds.items(), key=lambda item: -item[1])
            },
            "products_of_the_limit": round(cost["flops"] / products / matmul_flops(), 3),
        },
    )


if __name__ == "__main__":
    command_line.run(main)
