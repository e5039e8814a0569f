"""What a user waits for before training moves: from the start of the process to its first step.

  python -m benchmarks.first_step
  git worktree add ../before HEAD~1
  python -m benchmarks.first_step --reference=../before      # both in turn, and their ratio

`python -m refinevad_jax.main` itself, with configs/ucf.py on 1,610 made-up videos of UCF-Crime's
lengths, with an empty folder of compiled programs and then with what that left there. A process is
stopped when it says that its first step is done. The list has too few anomalous videos for a second
step in an epoch, so that a version that runs a whole epoch at first also stops after one step.
"processor" is the time of all its threads. The last line is JSON.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import flags

from benchmarks import records
from benchmarks.made_up import test_lengths, write_data
from refinevad_jax.errors import UserError
from refinevad_jax.runs.source_commit import source_commit
from refinevad_jax.runtime import command_line

NUM_CHANNELS = flags.DEFINE_integer(
    "num_channels", 1024, "Channels of the features, D.", lower_bound=8
)
NUM_VIDEOS = flags.DEFINE_integer("num_videos", 1610, "Videos to train on.", lower_bound=1200)
REPEATS = flags.DEFINE_integer("repeats", 3, "Turns; the median counts.", lower_bound=1)
REFERENCE = flags.DEFINE_string("reference", "", "A checkout of another version, timed in turn.")
ROOT = pathlib.Path(__file__).resolve().parents[1]
# One video in so many is anomalous; a batch takes 32 of them, so an epoch has one step.
ONE_IN = 30


def first_step(checkout: pathlib.Path, data_dir: pathlib.Path, cache: pathlib.Path) -> list[float]:
    """Seconds by the clock and by the processor; the run is thrown away."""
    with tempfile.TemporaryDirectory() as workdir:
        words = ["--config=configs/ucf.py", f"--workdir={workdir}/run"]
        words += [f"--config.data.data_dir={data_dir}", "--config.data.dataset=made_up"]
        kept = {"JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"}
        environment = {name: value for name, value in os.environ.items() if name not in kept}
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "refinevad_jax.main", *words, f"--compilation_cache={cache}"],
            cwd=checkout,
            env=environment | {"PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        for line in process.stdout or ():
            said.append(line)
            if line.startswith("first step done"):
                clock = time.perf_counter() - start
                busy = processor_seconds(process.pid)
                process.kill()
                process.wait()
                return [clock, busy]
    raise UserError(f"{checkout}: training ended before its first step: {''.join(said[-3:])}")


def processor_seconds(pid: int) -> float:
    """Of a running process, all threads (Linux)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    return sum(map(int, fields.split()[11:13])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measures and prints."""
    checkouts = {"": ROOT}
    if REFERENCE.value:
        checkouts["reference_"] = pathlib.Path(REFERENCE.value).resolve()
    times: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        lengths = test_lengths(NUM_VIDEOS.value).tolist()
        write_data(folder, NUM_CHANNELS.value, {"train": lengths}, one_in=ONE_IN)
        for turn in range(REPEATS.value):
            for state in ("cold", "warm"):
                for kind, checkout in checkouts.items():
                    cache = folder / f"cache-{kind}{turn}"
                    found = first_step(checkout, folder, cache)
                    times.setdefault(f"{kind}{state}", []).append(found)
                    words = ", ".join(f"{value:.1f} s" for value in found)
                    print(f"{kind}{state}: {words} of the processor", flush=True)
    result: dict[str, Any] = {"num_channels": NUM_CHANNELS.value, "turns": REPEATS.value}
    if REFERENCE.value:
        result["reference"] = source_commit(checkouts["reference_"])
    result |= records.in_turn(times)
    records.finish("first_step", result)


if __name__ == "__main__":
    command_line.run(main)
