"""Commands under load: clock and peak memory of each, and whether what they gave is right.

100,000 bags of 8 segments and a video of 48 hours (324,000 segments) through packaging, evaluation
and detection; a day of segments through the causal scorer of --stream; 20 detections side by side
on one empty folder of compiled programs. Random features of 64 channels, a small network with
untrained parameters: what is measured is size, not quality.

    python -m benchmarks.load --scale=0.01
    python -m benchmarks.load --save && python -m tests.faults.table

Prints a table and, as the last line, the same numbers as JSON.
"""

import hashlib
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from absl import flags

from benchmarks import records
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.command_line import run

SCALE = flags.DEFINE_float("scale", 1.0, "Share of bags, hours and processes.", 1e-3, 1.0)
HOURS = flags.DEFINE_float("hours", 48.0, "Length of the long video.", 0.1)
PARTS = flags.DEFINE_list("parts", ["bags", "long", "stream", "processes"], "What to measure.")
NUM_BAGS, BAG_SEGMENTS, WIDTH = 100_000, 8, 64
SEGMENTS_AN_HOUR, DAY_SEGMENTS, NUM_PROCESSES = 6_750, 135_000, 20
ROOT = pathlib.Path(__file__).resolve().parents[1]


class Load:
    """The commands, in one folder."""

    def __init__(self, folder: pathlib.Path, scale: float) -> None:
        self.folder, self._scale = folder, scale
        self.rows: list[dict[str, Any]] = []
        (folder / "shop.json").write_text('{"categories": ["fall", "fire"]}')

    def count(self, whole: int) -> int:
        """A number at the scale asked for."""
        return max(2, round(whole * self._scale))

    def start(self, module: str, *words: str, cache: str = "compiled") -> subprocess.Popen[str]:
        """Starts a command."""
        settings = {
            "JAX_COMPILATION_CACHE_DIR": str(self.folder / cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        return subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> float:
        """Waits for a command; its peak memory in GB. Raises UserError if it failed."""
        assert process.stderr
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise UserError(f"{process.args}: ended with {process.returncode}: {said[-2000:]}")
        return used.ru_maxrss / 1e6

    def measure(self, name: str, module: str, *words: str) -> None:
        """Runs a command and keeps what it took."""
        start = time.perf_counter()
        peak = self.finish(self.start(module, *words))
        self.keep(name, time.perf_counter() - start, peak)

    def keep(self, name: str, seconds: float, peak: float, **more: Any) -> None:
        """Adds a row, and says it."""
        more["load_average"] = round(os.getloadavg()[0], 1)
        row = {"name": name, "seconds": round(seconds, 1), "peak_gb": round(peak, 2), **more}
        self.rows.append(row)
        print(row, flush=True)

    def package(self, name: str, label: str) -> None:
        """Packages NAME.csv."""
        self.measure(
            label,
            "data_prep.package",
            "--source=features",
            f"--name={name}",
            f"--data_dir={self.folder / 'data'}",
            f"--taxonomy={self.folder / 'shop.json'}",
            f"--features={self.folder}",
            f"--list=test={self.folder / f'{name}.csv'}",
        )

    def evaluate(self, name: str, label: str) -> None:
        """Scores and evaluates a packaged data set by a run that fits it."""
        workdir = apart(small_run, self.folder, name)
        flags = [f"--workdir={workdir}", "--num_segments=0", "--num_curves=0", "--noreport"]
        self.measure(label, "refinevad_jax.evaluate", *flags)


def apart(call: Callable[..., Any], *arguments: Any) -> Any:
    """Calls in another process: the peak memory of a command counts that of its parent."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def small_run(folder: pathlib.Path, name: str) -> pathlib.Path:
    """A small run with untrained parameters on a packaged data set."""
    from benchmarks.made_up import write_workdir
    from configs import ucf
    from refinevad_jax.data.bags import read_info

    config = ucf.get_config()
    config.data.data_dir = str(folder / "data")
    config.model.update(width=32, num_layers=1, num_heads=2, mlp_width=64, scorer_width=16)
    return write_workdir(folder / f"run-{name}", config, read_info(config.data.data_dir, name))


def write_input(folder: pathlib.Path, name: str, lengths: list[int]) -> None:
    """Feature files of such lengths and their list."""
    rng = np.random.default_rng(0)
    (folder / name).mkdir()
    rows = []
    for i, length in enumerate(lengths):
        values = rng.standard_normal((length, WIDTH), dtype=np.float32)
        np.save(folder / name / f"v{i:06d}.npy", values)
        rows.append(f"{name}/v{i:06d}.npy,{'fall' if i % 2 else 'Normal'}\n")
    (folder / f"{name}.csv").write_text("".join(rows))


def bags(load: Load) -> None:
    """Many small bags."""
    count = load.count(NUM_BAGS)
    write_input(load.folder, "bags", [BAG_SEGMENTS] * count)
    load.package("bags", f"packaging, {count:,} bags of {BAG_SEGMENTS} segments")
    load.evaluate("bags", f"evaluation, {count:,} bags")


def long(load: Load) -> None:
    """One very long video, beside a short one."""
    count = load.count(round(HOURS.value * SEGMENTS_AN_HOUR))
    write_input(load.folder, "long", [100, count])
    load.package("long", f"packaging, a video of {count:,} segments")
    load.evaluate("long", f"evaluation, a video of {count:,} segments")
    words = [f"--workdir={load.folder / 'run-long'}", f"--output={load.folder / 'found'}"]
    words += [f"--input={load.folder / 'long' / 'v000001.npy'}", "--allow_mismatch"]
    load.measure(f"detection, a video of {count:,} segments", "refinevad_jax.detect", *words)


def stream(load: Load) -> None:
    """A day of segments, one after the other."""
    count = load.count(DAY_SEGMENTS)
    seconds, peak, grown = apart(push, load.folder / "run-long", count)
    load.keep(f"streaming, {count:,} segments", seconds, peak, grown_mb=round(grown, 1))


def push(workdir: pathlib.Path, count: int) -> tuple[float, float, float]:
    """Seconds, memory in GB at the end, and how many MB it grew since a tenth of the way."""
    from refinevad_jax.detection.detector import Detector
    from refinevad_jax.evaluation.causal import CausalScorer

    rng = np.random.default_rng(0)
    scorer = CausalScorer(Detector(workdir, "best", allow_mismatch=True).causal())
    start, early = time.perf_counter(), 0.0
    for index in range(count):
        scorer.push(rng.standard_normal((1, WIDTH), dtype=np.float32))
        if index == count // 10:
            early = memory_gb()
    return time.perf_counter() - start, memory_gb(), 1000 * (memory_gb() - early)


def memory_gb() -> float:
    """What this process holds now."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def processes(load: Load) -> None:
    """Detections side by side on an empty cache; one more reads what they left."""
    count, start = load.count(NUM_PROCESSES), time.perf_counter()
    inputs = [f"--input={load.folder / 'long' / 'v000000.npy'}", "--allow_mismatch"]
    workdir = f"--workdir={load.folder / 'run-long'}"
    outputs = [load.folder / f"side{i}" for i in range(count + 1)]
    running = [
        load.start("refinevad_jax.detect", workdir, *inputs, f"--output={one}", cache="shared")
        for one in outputs[:count]
    ]
    peak = max(load.finish(one) for one in running)
    seconds = time.perf_counter() - start
    entries = digests(load.folder / "shared")
    load.finish(
        load.start(
            "refinevad_jax.detect", workdir, *inputs, f"--output={outputs[-1]}", cache="shared"
        )
    )
    found = {str(digests(one, "*.csv") | digests(one, "*.json")) for one in outputs}
    if len(found) > 1 or digests(load.folder / "shared") != entries:
        raise UserError("processes side by side gave other results, or left a damaged cache")
    name = f"{count} detections side by side"
    load.keep(name, seconds, peak, cached=len(entries), distinct_results=len(found))


def digests(folder: pathlib.Path, pattern: str = "*") -> dict[str, str]:
    """SHA-256 of files by name; temporary names too."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob(pattern)
        if path.is_file() and not path.name.endswith("-atime")
    }


def main() -> None:
    """Measures every part."""
    parts = {"bags": bags, "long": long, "stream": stream, "processes": processes}
    for name in PARTS.value:
        if name not in parts:
            raise UserError(f"--parts={name}: choose of {', '.join(parts)}")
    with tempfile.TemporaryDirectory() as folder:
        load = Load(pathlib.Path(folder), SCALE.value)
        for name in PARTS.value:
            parts[name](load)
    records.finish("load", {"scale": SCALE.value, "rows": [*earlier(load.rows), *load.rows]})


def earlier(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With --save, what other --parts have left: a whole measurement takes an hour."""
    path = records.FOLDER / "load.json"
    if not records.SAVE.value or not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))["rows"]
    names = [row["name"] for row in rows]
    return [row for row in found if row["name"] not in names]


if __name__ == "__main__":
    run(main)
