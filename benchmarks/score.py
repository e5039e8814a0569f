"""Scoring the test videos of UCF-Crime at full length, and the commands around it.

  python -m benchmarks.score
  python -m benchmarks.score --num_videos=30 --repeats=1     # a short form

The untrained network of configs/ucf.py scores made-up videos of the lengths of that split. In turn
with it: the same videos one by one at their own length, padded to a multiple of 32, as loops with a
batch of 1 do, and one large matrix product. Then commands as a user types them, each in its own
process, first with an empty and then with a filled compilation cache: `evaluate` of the whole
split, `detect` of ten minutes of features, `compare` of that evaluation with itself, ten times, and
the import of the package. The last line is JSON.
"""

import os
import pathlib
import tempfile
import types
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
from absl import flags

from benchmarks import records
from benchmarks.limits import SIDE, matmul
from benchmarks.made_up import test_lengths, write_data, write_workdir
from configs import ucf
from refinevad_jax.data.bags import Bag, read_split
from refinevad_jax.evaluation import scoring
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runtime import command_line

NUM_CHANNELS = flags.DEFINE_integer(
    "num_channels", 1024, "Channels of the features, D.", lower_bound=8
)
NUM_VIDEOS = flags.DEFINE_integer("num_videos", 290, "Videos to score.", lower_bound=4)
REPEATS = flags.DEFINE_integer("repeats", 3, "Turns; the median counts.", lower_bound=1)
NUM_COMPARED = 10
TEN_MINUTES = 10 * 60 * 30 // 16  # segments at 30 frames per second


def power_of_two(num_segments: int) -> int:
    """The next one, from 32 on."""
    return max(scoring.SHORTEST_BUCKET, 1 << (num_segments - 1).bit_length())


def multiple_of_32(num_segments: int) -> int:
    """The next one."""
    return -(-num_segments // 32) * 32


# What a length may be padded to.
BUCKETS = {
    "powers of two": power_of_two,
    "two a power of two (chosen)": scoring.bucket_length,
    "multiples of 32": multiple_of_32,
    "own length": int,
}


def ucf_lengths() -> tuple[str, list[int]]:
    """Segments of UCF-Crime's test videos by UR-DMU's published list, or made-up ones."""
    shared = pathlib.Path(__file__).parents[2] / "shared" / "data"
    folder = pathlib.Path(os.environ.get("REFINEVAD_SHARED_DATA", shared)) / "published"
    path = folder / "henrryzh1+UR-DMU" / "list" / "UCF_Annotation.txt"
    if not path.is_file():
        return "made up", test_lengths().tolist()
    frames = [int(line.split()[1]) for line in path.read_text(encoding="utf-8").splitlines()]
    return "UCF-Crime, test", [max(1, count // 16) for count in frames]


def buckets(lengths: list[int], pad: Callable[[int], int]) -> tuple[int, float]:
    """Programs, and the share of the scored segments that is padding, whole rows included."""
    videos: Any = [
        types.SimpleNamespace(num_segments=length, features=np.zeros((1, length, 0)))
        for length in lengths
    ]
    with mock.patch.object(scoring, "bucket_length", pad):
        calls = list(scoring.batched_rows(videos, 0))
    segments = sum(call.num_rows * call.length for call in calls)
    return len({(call.num_rows, call.length) for call in calls}), 1 - sum(lengths) / segments


def commands(folder: pathlib.Path, workdir: pathlib.Path) -> dict[str, Any]:
    """What users wait for, cold and warm."""
    features = np.random.default_rng(1).standard_normal((TEN_MINUTES, NUM_CHANNELS.value))
    np.save(folder / "ten_minutes.npy", features.astype(np.float16))
    detect = [f"--input={folder / 'ten_minutes.npy'}", f"--output={folder / 'found'}"]
    runs = [f"run{number}={workdir}" for number in range(NUM_COMPARED)]
    calls = {
        "evaluate": ["-m", "refinevad_jax.evaluate", f"--workdir={workdir}"],
        "detect": ["-m", "refinevad_jax.detect", f"--workdir={workdir}", *detect],
        "compare": ["-m", "refinevad_jax.compare", *runs, f"--output={folder / 'compare.html'}"],
        "import_package": ["-c", "import refinevad_jax"],
        "import_jax": ["-c", "import jax"],
        "import_analysis": ["-c", "import refinevad_jax.analysis"],
    }
    root = pathlib.Path(__file__).resolve().parents[1]
    found: dict[str, Any] = {}
    for name, words in calls.items():
        for state in ("cold", "warm"):
            cache = str(folder / f"cache-{name}")
            times = records.command(root, *words, JAX_COMPILATION_CACHE_DIR=cache)
            if state == "warm" or name in ("evaluate", "detect"):
                found[f"{name}_{state}_s"], found[f"{name}_{state}_processor_s"] = times
    return found


def score(bags: list[Bag], workdir: pathlib.Path) -> dict[str, Any]:
    """Rates of the scorer and of scoring one by one, with the machine's limit."""
    from refinevad_jax.runs.run import read_run

    graphdef, params, _ = restore(read_run(workdir), workdir, "last")
    scorer = scoring.Scorer(graphdef, pooling=scoring.Pooling("ranking", 16))
    columns = np.arange(NUM_CHANNELS.value)
    lengths = [bag.num_segments for bag in bags]

    def together() -> None:
        scorer(params, bags, columns=columns)

    def one_by_one() -> None:
        for bag in bags:
            length = multiple_of_32(bag.num_segments)
            features = np.zeros((1, length, NUM_CHANNELS.value), np.float16)
            features[0, : bag.num_segments] = bag.features[0]
            valid = np.arange(length)[None] < bag.num_segments
            np.asarray(scorer.forward(params, features, valid)["logits"])

    compiled = len({(rows.num_rows, rows.length) for rows in scoring.batched_rows(bags, 0)})
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
        "compilations_one_by_one": len(set(map(multiple_of_32, lengths))),
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
    source, lengths = ucf_lengths()
    found |= {
        "bucket_lengths_of": source,
        "buckets": [
            [kind, number, round(waste, 3)]
            for kind, pad in BUCKETS.items()
            for number, waste in [buckets(lengths, pad)]
        ],
    }
    return found


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        lengths = {"train": [32] * 8, "test": test_lengths(NUM_VIDEOS.value).tolist()}
        info = write_data(folder / "data", NUM_CHANNELS.value, lengths)
        config = ucf.get_config()
        config.data.data_dir = str(folder / "data")
        workdir = write_workdir(folder / "run", config, info)
        bags = read_split(str(folder / "data"), info.name, "test")
        result = score(bags, workdir) | commands(folder, workdir)
    records.finish("score", {"num_channels": NUM_CHANNELS.value} | result)


if __name__ == "__main__":
    command_line.run(main)
