"""Speed of training at the size of UCF-Crime, against matrix products and against PyTorch.

  python -m benchmarks.train_step --num_channels=1024
  python -m benchmarks.train_step --num_channels=1024 --torch          # pip install torch
  python -m benchmarks.train_step --batch_size=16 --repeats=2          # a short form

The paper-sized network of configs/ucf.py on 1,610 made-up bags. Everything is measured in turn,
several times, beside the machine's float32 matrix product of that moment (the fastest of three);
what is reported are medians of ratios within a turn, each side warm. The processor's time is given
beside the clock's, because other programs on the machine do not lengthen it much. Operations are
those the compiler counts in one step. The host's gap is the cost of a dispatch in addition to its
steps, spread over the 25 steps of it. With --torch the same network and losses
(benchmarks/torch_reference.py) run, in another process, on bags in memory, and on one .npy file
per video that is read at every step, as published loops do. The last line is JSON.
"""

import importlib.util
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np
from absl import flags
from flax import nnx

from benchmarks import records
from benchmarks.limits import SIDE, matmul
from benchmarks.made_up import NUM_CATEGORIES, Program, made_up_bags
from configs import ucf
from refinevad_jax.errors import UserError
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import create
from refinevad_jax.runtime import command_line
from refinevad_jax.training import losses
from refinevad_jax.training.programs import MAX_STEPS_PER_DISPATCH

NUM_CHANNELS = flags.DEFINE_integer(
    "num_channels", 1024, "Channels of the features, D.", lower_bound=8
)
NUM_VIDEOS = flags.DEFINE_integer("num_videos", 1610, "Bags to train on.", lower_bound=64)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Videos per batch, B.", lower_bound=2)
NUM_STEPS = flags.DEFINE_integer(
    "num_steps", 3, "Steps of one measurement.", 2, MAX_STEPS_PER_DISPATCH
)
REPEATS = flags.DEFINE_integer("repeats", 3, "Turns; the median counts.", lower_bound=1)
PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "bfloat16"], "Precision of matrix products."
)
TORCH = flags.DEFINE_bool("torch", False, "Time the PyTorch implementation in the same turns.")


def same_loss(config: Any, bags: Any, theirs: Any) -> float:
    """Relative difference of the losses of both on the same parameters and bags, no dropout."""
    network = ModelConfig((bags.features.shape[-1],), NUM_CATEGORIES, **config.model.to_dict())
    graphdef, params = create(network, jax.random.key(1))
    videos = np.concatenate([bags.normal[0][:8], bags.anomalous[0][:8]])
    ours = plain_loss(graphdef, params, bags.features[videos, 0], bags.labels[videos], config)
    return abs(ours - theirs.plain_loss(jax.device_get(params), videos)) / abs(ours)


def plain_loss(
    graphdef: Any, params: Any, features: np.ndarray, labels: np.ndarray, config: Any
) -> float:
    """The loss of this project's network without dropout, labels injected as in training."""
    loss_config = losses.LossConfig.of(config.loss.to_dict())

    @jax.jit
    def value(features: jax.Array, labels: jax.Array) -> jax.Array:
        features, valid = features.astype(np.float32), np.ones(features.shape[:2], bool)
        outputs = nnx.merge(graphdef, params)(features, valid, injected_labels=labels)
        terms = losses.loss_terms(outputs, labels, valid, loss_config)
        return losses.total_loss(terms, loss_config)

    return float(value(features, labels))


def measure(ours: Program, theirs: Any) -> list[dict[str, tuple[float, float]]]:
    """Turns of (clock, processor) seconds per step, by what ran.

    Each side makes a step untimed before it is timed: the first one after a step of the other side
    is slower by a fifth, because its memory has to be found again.
    """
    count, turns = NUM_STEPS.value, []
    for _ in range(REPEATS.value):
        ours.run(1)
        turn = {
            "limit": min(records.timed(matmul) for _ in range(3)),
            "many": records.timed(lambda: ours.run(count)),
            "one": records.timed(lambda: ours.run(1)),
        }
        if theirs is not None:
            theirs.run(1, files=False)
            turn["memory"] = theirs.run(count, files=False)
            turn["files"] = theirs.run(count, files=True)
        turns.append(turn)
        print("turn", {key: f"{clock:.1f} s" for key, (clock, _) in turn.items()}, flush=True)
    return turns


def main() -> None:
    """Measures and prints."""
    if TORCH.value and importlib.util.find_spec("torch") is None:
        raise UserError("--torch needs PyTorch; pip install torch")
    config = ucf.get_config()
    config.train.update(batch_size=BATCH_SIZE.value, precision=PRECISION.value)
    bags = made_up_bags(NUM_VIDEOS.value, config.data.num_segments, NUM_CHANNELS.value, 1)
    ours, count = Program(config, bags), NUM_STEPS.value
    jax.config.update("jax_enable_compilation_cache", False)  # what was kept is not compiled
    compile_s = records.timed(lambda: ours.dispatch.compiled_step(ours.state))
    ours.run(1)
    own_peak = records.peak_memory_gb()
    with tempfile.TemporaryDirectory() as folder:
        theirs = None
        if TORCH.value:
            from benchmarks.torch_reference import Worker

            theirs = Worker(config, bags, pathlib.Path(folder))
            theirs.run(1, files=True)
        matmul()  # compiles
        turns = measure(ours, theirs)
        if theirs is not None:
            difference = same_loss(config, bags, theirs)
            theirs.close()
    compiled = ours.dispatch.compiled_step(ours.state)
    flops, product = compiled.cost_analysis()["flops"], 2.0 * SIDE**3
    result: dict[str, Any] = {
        "num_channels": NUM_CHANNELS.value,
        "batch_size": BATCH_SIZE.value,
        "precision": PRECISION.value,
        "turns": len(turns),
        "gflop_a_step": round(flops / 1e9, 1),
        "program_compile_s": round(compile_s[0], 1),
        "program_compile_processor_s": round(compile_s[1], 1),
    }
    for index, kind in enumerate(("", "_processor")):
        steps = [turn["many"][index] / count for turn in turns]
        limits = [product / turn["limit"][index] for turn in turns]
        shares = [flops / step / limit for step, limit in zip(steps, limits, strict=True)]
        gaps = [max(0.0, turn["one"][index] - turn["many"][index] / count) for turn in turns]
        result |= {
            f"seconds_a_step{kind}": records.middle(steps),
            f"matmul_gflops{kind}": records.middle([limit / 1e9 for limit in limits], 1),
            f"share_of_matmul_limit{kind}": records.middle(shares),
            f"share_of_matmul_limit{kind}_range": records.spread(shares),
            f"host_gap_share{kind}": records.middle(
                [
                    gap / MAX_STEPS_PER_DISPATCH / step
                    for gap, step in zip(gaps, steps, strict=True)
                ],
                4,
            ),
        }
        for name in ("memory", "files") if theirs else ():
            ratios = [turn[name][index] / turn["many"][index] for turn in turns]
            result |= {
                f"torch_{name}_over_ours{kind}": records.middle(ratios),
                f"torch_{name}_over_ours{kind}_range": records.spread(ratios),
            }
    if theirs is not None:
        result["loss_difference_to_torch"] = difference
    result |= {
        "bags_gb": round(bags.features.nbytes / 1e9, 2),
        "program_scratch_gb": round(compiled.memory_analysis().temp_size_in_bytes / 1e9, 2),
        "peak_memory_gb": own_peak,
    }
    name = f"train_step_{NUM_CHANNELS.value}_{PRECISION.value}_{jax.default_backend()}"
    records.finish(name, result)


if __name__ == "__main__":
    command_line.run(main)
