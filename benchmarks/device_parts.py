"""The parts of benchmarks.device: each yields numbers as soon as it has them.

  python -m benchmarks.device_parts PART FILE     # one part, in a process of its own

Without a GPU all sizes are toys: that tries the code and measures nothing. Everything is made up in
memory. Seconds are by the clock, medians of several turns, after a turn that compiles.
"""

import contextlib
import copy
import dataclasses
import functools
import gc
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from benchmarks import limits, records
from benchmarks.made_up import (
    NUM_CATEGORIES,
    Program,
    made_up_bags,
    made_up_info,
    made_up_videos,
    test_lengths,
)
from benchmarks.random_encoders import random_i3d, random_vit
from configs import ucf
from refinevad_jax.data.bags import Bag
from refinevad_jax.data.batches import TrainingBags
from refinevad_jax.data.hold_out import hold_out
from refinevad_jax.encoders import clip, i3d
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.evaluation.scoring import Pooling, Scorer
from refinevad_jax.files.staged import write_json
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.refinevad import create
from refinevad_jax.runs.checkpoints import Checkpoints, TrainState
from refinevad_jax.runs.run import Run
from refinevad_jax.runtime.stopping import StopRequest
from refinevad_jax.training.loop import Training
from refinevad_jax.training.members import Member, opened, unstack
from refinevad_jax.training.step import parameters_key

Numbers = Iterator[dict[str, Any]]
TORCH = importlib.util.find_spec("torch") is not None
NO_TORCH = "not run, because PyTorch is not installed"
TOLERANCE = 1e-3  # of losses, relative: devices sum in another order


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much work a part does.

    Attributes:
        config: of training.
        videos: bags to train on.
        steps: of one dispatch.
        turns: the median of so many counts.
        seeds: how many are trained in one program, in the order of interest.
        tests: videos to score.
        batches: segments (I3D) or frames (CLIP) of a call.
        pixels: rows and columns of a frame.
        thinner: I3D's and CLIP's widths are divided by it.
        side: of the matrix product that is the limit.
    """

    config: ConfigDict
    videos: int = 1610
    steps: int = 25
    turns: int = 5
    seeds: tuple[int, ...] = (1, 8, 16, 2, 4)
    tests: int = 290
    batches: tuple[int, ...] = (8, 16, 32, 64)
    pixels: int = 224
    thinner: int = 1
    side: int = 8192

    def channels(self, most: int = 1024) -> int:
        """D; few for toys."""
        return most if self.thinner == 1 else 16


def on_gpu() -> bool:
    """Whether JAX computes on one."""
    return jax.default_backend() == "gpu"


def small_config() -> ConfigDict:
    """A network and a run of seconds on a processor."""
    config = ucf.get_config()
    config.data.num_segments = 16
    config.model.update(width=16, mlp_width=16, num_layers=1, scorer_width=8)
    config.train.update(batch_size=8, num_epochs=2)
    return config


def sizes() -> Sizes:
    """Those of UCF-Crime on a GPU, toys without one."""
    if on_gpu():
        return Sizes(ucf.get_config())
    return Sizes(small_config(), 64, 2, 1, (2,), 4, (1, 2), 32, 16, 64)


def clocked(run: Callable[[], Any]) -> float:
    """Seconds of a call that waits for the device."""
    return records.timed(run)[0]


def train(size: Sizes, channels: int, precision: str) -> Numbers:
    """A training step, against the device's products and against PyTorch, bags on the device."""
    config = copy.deepcopy(size.config)
    config.train.precision = precision
    bags = made_up_bags(size.videos, config.data.num_segments, size.channels(channels), 1)
    with contextlib.ExitStack() as stack:
        if TORCH:
            from benchmarks.torch_reference import MODES, Worker

            theirs = Worker(config, bags, None, "cuda" if on_gpu() else "cpu")
            stack.callback(theirs.close)
            # It compiles while this process does; on a processor that takes minutes.
            modes = MODES if on_gpu() else ("eager",)
            begun = {mode: theirs.begin(size.steps, files=False, mode=mode) for mode in modes}
        with records.Compiling() as compiling:
            ours = Program(config, bags)
            first = clocked(lambda: ours.run(size.steps))
        # As benchmarks.train_step counted them on a processor; the client of a GPU does not count.
        kept = (records.FOLDER / f"train_step_{channels}_float32_cpu.json").read_text("utf-8")
        gflop = json.loads(kept)["gflop_a_step"]
        tflops = limits.product_rate(jnp.dtype(precision), size.side) / 1e12
        sheet = limits.DATA_SHEETS.get(jax.devices()[0].device_kind, (None, None))
        yield {
            "gflop_a_step": gflop,
            "compile_s": round(compiling.seconds, 1),
            "first_dispatch_s": round(first, 1),
            "product_tflops": round(tflops, 2),
            "data_sheet_tflops": sheet[precision == "bfloat16"],
            "float32_product_error": float(f"{limits.float32_product_error():.1e}"),
        }

        def numbers(dispatches: list[float]) -> dict[str, Any]:
            seconds = float(np.median(dispatches)) / size.steps
            found = {
                "seconds_a_step": round(seconds, 6),
                "share_of_product": round(gflop / 1e3 / seconds / tflops, 3),
            }
            return found | _host_gap(lambda: ours.run(size.steps), seconds * size.steps)

        yield numbers([clocked(lambda: ours.run(size.steps)) for _ in range(size.turns)])
        yield {"peak_gb": records.peak_gb()}
        if not TORCH:
            yield {"torch": NO_TORCH}
            return
        ready: dict[str, float] = {}
        for mode, future in begun.items():
            try:
                ready[mode] = round(future.result()[0], 1)
            except Exception as error:  # a compiler or a driver that is missing; others may run
                yield {f"torch_{mode}": f"not run, because {_in_words(error)}"}
        turns = []
        for _ in range(size.turns):
            turn = {"ours": clocked(lambda: ours.run(size.steps))}
            turn |= {mode: theirs.run(size.steps, files=False, mode=mode)[0] for mode in ready}
            turns.append(turn)
        for mode, first in ready.items():
            ratios = [turn[mode] / turn["ours"] for turn in turns]
            yield {
                f"torch_{mode}": {
                    "over_ours": records.middle(ratios),
                    "over_ours_range": records.spread(ratios),
                    "first_dispatch_s": first,
                }
            }
        yield {"torch_peak_gb": round(theirs.peak_gb(), 2)}
        # Again, now that the other process is quiet.
        yield numbers([turn["ours"] for turn in turns])


def _host_gap(run: Callable[[], Any], seconds: float) -> dict[str, Any]:
    """The share of a call's seconds in which the GPU waits, by a profile, and what fills the rest.

    seconds: without the profiler, which lengthens a call. Empty without a GPU.
    """
    try:
        busy, kernels = records.profiled(run)
    except Exception as error:  # a driver may not let programs profile
        return {"host_gap_share": f"not measured, because {_in_words(error)}"}
    if not busy:
        return {}
    return {"host_gap_share": round(1 - busy / seconds, 4), "largest_kernels_s": kernels}


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def epochs(size: Sizes) -> Numbers:
    """A whole run from the bags in memory to its last checkpoint, the cache empty, then full."""
    bags = made_up_videos([size.config.data.num_segments] * size.videos, size.channels())
    for cache in ("empty", "filled"):
        with tempfile.TemporaryDirectory() as folder, records.Compiling() as compiling:
            total = clocked(lambda: _whole_run(size, bags, pathlib.Path(folder)))
        yield {
            f"{cache}_cache": {
                "epochs": size.config.train.num_epochs,
                "total_s": round(total, 1),
                "compile_s": round(compiling.seconds, 1),
                "without_compile_s": round(total - compiling.seconds, 1),
            },
            "peak_gb": records.peak_gb(),
        }


def _whole_run(size: Sizes, bags: list[Bag], workdir: pathlib.Path) -> None:
    """What refinevad_jax.training.loop.train does once the data set is read."""
    run = Run(size.config, made_up_info(size.channels()))
    held_out = hold_out(bags, size.config.data.selection_fraction, run.config.seed)
    selection = [bag for bag in bags if bag.video_id in held_out]
    members, stop = [Member(run, workdir, selection, held_out)], StopRequest()
    with stop.listening(), opened(workdir, members):
        Training(bags, members, run.columns(), workdir, stop).run()


def seeds(size: Sizes) -> Numbers:
    """Steps of several seeds in one program, over those of one."""
    segments, most = size.config.data.num_segments, max(size.seeds)
    bags = made_up_bags(size.videos, segments, size.channels(), most)
    one, largest = 0.0, 0
    for count in size.seeds:
        first, seconds = _steps_of_seeds(
            size,
            dataclasses.replace(bags, normal=bags.normal[:count], anomalous=bags.anomalous[:count]),
        )
        one = one or seconds
        yield {
            f"{count}_seeds": {
                "seconds_a_step": round(seconds, 6),
                "over_one": round(seconds / one, 3),
                "first_dispatch_s": round(first, 1),
                # A process's peak is never reset.
                "peak_gb": records.peak_gb() if count > largest else None,
            }
        }
        largest = max(largest, count)
        gc.collect()


def _steps_of_seeds(size: Sizes, bags: TrainingBags) -> tuple[float, float]:
    """Seconds of the first dispatch, which compiles, and of a step."""
    program = Program(size.config, bags)
    first = clocked(lambda: program.run(size.steps))
    turns = [clocked(lambda: program.run(size.steps)) for _ in range(size.turns)]
    return first, float(np.median(turns)) / size.steps


def score(size: Sizes) -> Numbers:
    """Full-length videos through the untrained network, from the host and back to it."""
    lengths = test_lengths(size.tests)
    bags = made_up_videos(lengths.tolist(), size.channels())
    network = ModelConfig((size.channels(),), NUM_CATEGORIES, **size.config.model.to_dict())
    graphdef, params = create(network, parameters_key(0))
    scorer = Scorer(graphdef, pooling=Pooling.of(size.config.loss))
    columns = np.arange(size.channels())

    def run() -> None:
        scorer(params, bags, columns=columns)

    with records.Compiling() as compiling:
        first = clocked(run)
    yield {"first_s": round(first, 1), "compile_s": round(compiling.seconds, 1)}
    seconds = records.middle([clocked(run) for _ in range(size.turns)], 4)
    yield {
        "videos": len(bags),
        "segments": int(lengths.sum()),
        "seconds": seconds,
        "segments_per_s": round(float(lengths.sum()) / seconds),
        "peak_gb": records.peak_gb(),
    }


def i3d_frames(size: Sizes) -> Numbers:
    """I3D of random weights: frames per second, by segments of a call."""
    weights, compiled = random_i3d(size.thinner), i3d.compiled()

    def encode(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(compiled(weights, pixels))

    for batch in size.batches:
        rates = _rates(size, encode, (batch, FRAMES_PER_SEGMENT, size.pixels, size.pixels, 3))
        yield {f"batch_{batch}": rates | {"peak_gb": records.peak_gb()}}


def clip_frames(size: Sizes) -> Numbers:
    """CLIP ViT-L/14 of random weights in PyTorch, by frames of a call and precision of products."""
    if not TORCH:
        yield {"torch": NO_TORCH}
        return
    import torch

    device = "cuda" if on_gpu() else "cpu"
    encode = functools.partial(clip.encode, random_vit(size.thinner).to(device))
    for precision in ("highest", "high", "bfloat16"):  # "highest" is what extraction runs
        torch.set_float32_matmul_precision("highest" if precision == "highest" else "high")
        for batch in size.batches:
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
                rates = _rates(size, encode, (batch, 1, 224, 224, 3))
            yield {f"{precision}_batch_{batch}": rates}
    if device == "cuda":
        yield {"torch_peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2)}


def _rates(
    size: Sizes, encode: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]
) -> dict[str, float]:
    """Frames per second from pixels to features, both on the host, and the first call's seconds."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    first = clocked(lambda: encode(pixels))
    rates = [shape[0] * shape[1] / clocked(lambda: encode(pixels)) for _ in range(size.turns)]
    return {"frames_per_s": records.middle(rates, 1), "first_s": round(first, 2)}


def resume(_: Sizes) -> Numbers:
    """Runs of a processor that go on here and the other way round, against those that stayed."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stayed_cpu, stayed, moved_here, moved_away = (folder / x for x in ("a", "b", "c", "d"))
        _on_processor(stayed_cpu, 4)
        advance(stayed, 4)
        shutil.copytree(stayed_cpu, moved_here)
        shutil.copytree(stayed, moved_away)
        advance(stayed, 8)
        advance(moved_here, 8)
        _on_processor(stayed_cpu, 8, moved_away, 8)
        pairs = {
            "of_the_processor_continued_here": (moved_here, stayed_cpu),
            "of_here_continued_on_the_processor": (moved_away, stayed),
        }
        for what, (moved, other) in pairs.items():
            losses, expected = (
                np.array(json.loads((one / "losses.json").read_text(encoding="utf-8")))
                for one in (moved, other)
            )
            difference = float(np.abs(losses - expected).max() / np.abs(expected).max())
            equal = difference < TOLERANCE
            yield {what: {"losses_differ_by": difference, "within_tolerance": equal}}


def advance(*words: Any) -> None:
    """Runs a small training to a step, from its last checkpoint, and saves.

    words: pairs of workdir and step. The losses lie in losses.json. Products are of full float32:
    TF32 would hide a fault behind its rounding.
    """
    workdir, last, *more = pathlib.Path(words[0]), int(words[1]), *words[2:]
    with jax.default_matmul_precision("highest"):
        program, state = _small_program()
        checkpoints = Checkpoints(workdir, metric="video_auc", writable=True)
        step = max(checkpoints.steps(), default=0)
        if step:
            shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)
            state = checkpoints.restore_state(step, shapes)
        program.resume(state)
        program.run(last - step)
    checkpoints.save(unstack(program.state, 0), {"video_auc": 0.5})
    checkpoints.close()
    write_json(workdir / "losses.json", program.metrics["loss"][0].tolist())
    if more:
        advance(*more)


@functools.cache
def _small_program() -> tuple[Program, TrainState]:
    """A small training, and its state before the first step."""
    config = small_config()
    program = Program(config, made_up_bags(32, config.data.num_segments, 16, 1))
    return program, unstack(program.state, 0)


def _on_processor(*words: Any) -> None:
    """`advance` in a process that sees no GPU; in this one if there is none anyway."""
    if not on_gpu():
        advance(*words)
        return
    code = "import sys; from benchmarks.device_parts import advance; advance(*sys.argv[1:])"
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", code, *map(str, words)], env=environment, check=True)


def parts() -> dict[str, Callable[[Sizes], Numbers]]:
    """Every part by the name that benchmarks.device calls it by."""
    steps = {
        f"train_{channels}_{precision}": functools.partial(
            train, channels=channels, precision=precision
        )
        for channels in (1024, 1536)
        for precision in ("bfloat16", "float32")
    }
    others = {"i3d": i3d_frames, "clip": clip_frames, "resume": resume}
    return {"epochs": epochs, "seeds": seeds, "score": score} | others | steps


def main(name: str, path: pathlib.Path) -> None:
    """Runs a part and writes the file anew with every number; an error ends it in words."""
    content = json.loads(path.read_text(encoding="utf-8"))
    numbers = content["parts"][name] = {}
    content |= {
        "gpu": on_gpu(),
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "jax": jax.__version__,
    }
    try:
        for found in parts()[name](sizes()):
            numbers |= found
            write_json(path, content)
            print(name, json.dumps(found), flush=True)
    except Exception as error:
        traceback.print_exc()
        numbers["ended"] = f"failed, {_in_words(error)}"
        write_json(path, content)


def _end_with(parent: int) -> None:
    """Ends this process and those it started once the command that started it has gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    if os.getpgid(0) == os.getpid():  # started by benchmarks.device, in a session of its own
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
