"""Scoring the test videos of UCF-Crime at full length, and the commands around it.

  python -m benchmarks.score
  python -m benchmarks.score --num_videos=30 --repeats=1     # a short form

The untrained network of configs/ucf.py scores made-up videos of the lengths of that split. In turn
with it: the same videos one by one at their own length, padded to a multiple of 32, as loops with a
batch of 1 do, and one large matrix product. Then three commands as a user types them, each in a
process of its own, first with an empty and then with a filled compilation cache: `evaluate` of the
whole split, `detect` of ten minutes of features, and the import of the package. The last line is
JSON.
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks import records
from benchmarks.limits import SIDE, matmul
from benchmarks.made_up_run import write_data, write_workdir
from refinevad_jax.data.bags import Bag, read_split
from refinevad_jax.evaluation.scoring import Scorer, batched_rows, bucket_length

NUM_CHANNELS = flags.DEFINE_integer("num_channels", 1024, "D.", lower_bound=8)
NUM_VIDEOS = flags.DEFINE_integer("num_videos", 290, "Videos.", lower_bound=4)
REPEATS = flags.DEFINE_integer("repeats", 3, "Turns.", lower_bound=1)
TEN_MINUTES = 10 * 60 * 30 // 16  # segments at 30 frames a second


def buckets(lengths: list[int], kind: str) -> tuple[int, float]:
    """How many lengths are compiled, and the share of scored segments that are padding."""
    padded = {
        "powers of two": [bucket_length(length) for length in lengths],
        "two a power of two": [
            min(size for size in (bucket_length(n), bucket_length(n) * 3 // 4) if size >= n)
            for n in lengths
        ],
        "multiples of 32": [-(-length // 32) * 32 for length in lengths],
        "own length": lengths,
    }[kind]
    return len(set(padded)), 1 - sum(lengths) / sum(padded)


def command(cache: pathlib.Path, *words: str) -> tuple[float, float]:
    """Clock and processor seconds of a command of the project."""
    root = pathlib.Path(__file__).parents[1]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    clock = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{words}: {done.stderr[-1000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(clock, 2), round(busy, 2)


def commands(folder: pathlib.Path, workdir: pathlib.Path) -> dict[str, Any]:
    """What users wait for, cold and warm."""
    features = np.random.default_rng(1).standard_normal((TEN_MINUTES, NUM_CHANNELS.value))
    np.save(folder / "ten_minutes.npy", features.astype(np.float16))
    detect = [f"--input={folder / 'ten_minutes.npy'}", f"--output={folder / 'found'}"]
    calls = {
        "evaluate": ["-m", "refinevad_jax.evaluate", f"--workdir={workdir}"],
        "detect": ["-m", "refinevad_jax.detect", f"--workdir={workdir}", *detect],
        "import_package": ["-c", "import refinevad_jax"],
        "import_jax": ["-c", "import jax"],
        "import_analysis": ["-c", "import refinevad_jax.analysis"],
    }
    found: dict[str, Any] = {}
    for name, words in calls.items():
        for state in ("cold", "warm"):
            times = command(folder / "cache", *words)
            if state == "warm" or name in ("evaluate", "detect"):
                found[f"{name}_{state}_s"], found[f"{name}_{state}_processor_s"] = times
    return found


def score(bags: list[Bag], workdir: pathlib.Path) -> dict[str, Any]:
    """Rates of the scorer and of scoring one by one, with the machine's limit beside."""
    from refinevad_jax import analysis
    from refinevad_jax.workdir import read_run

    graphdef, params, _ = analysis.restore(read_run(workdir), workdir, "last")
    scorer = Scorer(graphdef, top_k_divisor=16)
    columns = np.arange(NUM_CHANNELS.value)
    lengths = [bag.num_segments for bag in bags]

    def together() -> None:
        scorer(params, bags, columns=columns)

    def one_by_one() -> None:
        for bag in bags:
            length = -(-bag.num_segments // 32) * 32
            features = np.zeros((1, length, NUM_CHANNELS.value), np.float16)
            features[0, : bag.num_segments] = bag.features[0]
            valid = np.arange(length)[None] < bag.num_segments
            np.asarray(scorer.forward(params, features, valid)["scores"])

    compiled = len({(rows.num_rows, rows.length) for rows in batched_rows(bags, 0)})
    first = records.timed(together)
    singles = records.timed(one_by_one)
    turns = [
        [records.timed(run) for run in (matmul, together, one_by_one)] for _ in range(REPEATS.value)
    ]
    found: dict[str, Any] = {
        "videos": len(bags),
        "segments": sum(lengths),
        "compilations": compiled,
        "compile_processor_s": round(first[1], 1),
        "compilations_one_by_one": buckets(lengths, "multiples of 32")[0],
        "compile_one_by_one_processor_s": round(singles[1], 1),
    }
    for index, kind in enumerate(("", "_processor")):
        found |= {
            f"segments_per_s{kind}": records.middle(
                [sum(lengths) / turn[1][index] for turn in turns], 0
            ),
            f"one_by_one_over_ours{kind}": records.middle(
                [turn[2][index] / turn[1][index] for turn in turns]
            ),
            f"matmul_gflops{kind}": records.middle(
                [2 * SIDE**3 / turn[0][index] / 1e9 for turn in turns], 1
            ),
        }
    found["buckets"] = [
        [kind, number, round(waste, 3)]
        for kind in ("powers of two", "two a power of two", "multiples of 32", "own length")
        for number, waste in [buckets(lengths, kind)]
    ]
    return found


def main(argv: list[str]) -> None:
    """Measures and prints."""
    del argv
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        info = write_data(folder / "data", NUM_CHANNELS.value, NUM_VIDEOS.value)
        workdir = folder / "run"
        write_workdir(workdir, folder / "data", info)
        bags = read_split(str(folder / "data"), info.name, "test")
        result = score(bags, workdir) | commands(folder, workdir)
    records.finish("score", {"num_channels": NUM_CHANNELS.value} | result)


if __name__ == "__main__":
    app.run(main)
