"""What a GPU makes of this project, by one command that a cut-off does not undo.

  python -m benchmarks.device --minutes=8
  python -m benchmarks.device --part=seeds --part=score      # these again, into the same file

Needs jax with CUDA, flax, optax, orbax-checkpoint, NumPy, absl-py and ml-collections (both plain
Python: a folder of PYTHONPATH will do), and PyTorch for what compares with it; no data, no network
connection, no weights. Every part is a process of its own with a share of the time; what a part
leaves goes to those after it. The file holds every number as soon as it is measured, and
`benchmarks.pages` writes the table of docs/performance.md from it. Without a GPU everything runs at
toy sizes, to try the command; the page then has no table.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from absl import flags

from refinevad_jax.files.staged import write_json
from refinevad_jax.runtime import command_line

# Shares of the time, in the order of running: first what the aims are about, and the whole run
# before others fill the cache of compiled programs.
SHARES = {
    "epochs": 90,
    "train_1024_bfloat16": 120,
    "seeds": 90,
    "train_1024_float32": 90,
    "score": 50,
    "i3d": 60,
    "resume": 40,
    "clip": 25,
    "train_1536_bfloat16": 70,
    "train_1536_float32": 70,
}
OUTPUT = pathlib.Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "device.json"

MINUTES = flags.DEFINE_float("minutes", 8.0, "Time for all parts together.", lower_bound=0.1)
PATH = flags.DEFINE_string("output", str(OUTPUT), "File of the numbers.")
PART = flags.DEFINE_multi_enum("part", [], list(SHARES), "Only this part; all if none is named.")


def run_part(name: str, path: pathlib.Path, seconds: float, cache: str) -> str:
    """Runs a part for so long at most. Returns how it ended, "" if well."""
    environment = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.6"}  # PyTorch takes its part beside
    environment |= os.environ | {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    }
    words = [sys.executable, "-m", "benchmarks.device_parts", name, str(path)]
    root = pathlib.Path(__file__).resolve().parents[1]
    # A session of its own, because the part starts processes too.
    child = subprocess.Popen(words, cwd=root, env=environment, start_new_session=True)
    try:
        code = child.wait(seconds)
        return f"failed, exit code {code}" if code else ""
    except subprocess.TimeoutExpired:
        return f"cut off after {seconds:.0f} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def main() -> None:
    """Runs the parts and says where the numbers are."""
    path, names = pathlib.Path(PATH.value).absolute(), PART.value or list(SHARES)
    if not (PART.value and path.is_file()):
        write_json(path, {"parts": {}})
    end = time.monotonic() + 60 * MINUTES.value
    with tempfile.TemporaryDirectory() as cache:
        for index, name in enumerate(names):
            left = end - time.monotonic()
            share = left * SHARES[name] / sum(SHARES[later] for later in names[index:])
            print(f"{name}: at most {share:.0f} s", flush=True)
            start = time.monotonic()
            ended = run_part(name, path, max(1.0, share), cache)
            content = json.loads(path.read_text(encoding="utf-8"))
            numbers = content["parts"].setdefault(name, {})
            numbers["wall_s"] = round(time.monotonic() - start, 1)
            if ended:
                numbers["ended"] = ended
            write_json(path, content)
            print(f"{name}: {ended or 'done'}", flush=True)
    print(f"numbers: {path}; python -m benchmarks.pages makes the table")


if __name__ == "__main__":
    command_line.run(main)
