"""What every benchmark ends with: a table, one JSON line and, with --save, a file of it.

Also the clocks: of a call, of a command, of compiling, of a GPU.
"""

import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

SAVE = flags.DEFINE_bool(
    "save", False, "Keep the result in docs/benchmarks/, from which benchmarks.pages writes."
)
FOLDER = pathlib.Path(__file__).resolve().parents[1] / "docs" / "benchmarks"


def finish(name: str, result: dict[str, Any]) -> None:
    """Prints a result; adds the machine and how busy it was."""
    import jax

    result = result | {
        "device": f"{len(jax.devices())} x {jax.devices()[0].device_kind}",
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "load_average": round(os.getloadavg()[0], 1),
        "jax": jax.__version__,
    }
    width = max(map(len, result))
    for key, value in result.items():
        if not isinstance(value, list):
            print(f"{key:{width}s} {value}")
    if SAVE.value:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of a call by the clock and by the processor, all threads of this process summed."""
    start, busy = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - busy


def command(checkout: pathlib.Path, *words: str, **variables: str) -> tuple[float, float]:
    """Seconds of a Python command in its own process, by the clock and by the processor.

    checkout: of the version that runs; variables: of its environment, besides those of this one.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=checkout,
        env=os.environ | variables | {"PYTHONPATH": str(checkout)},
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


def in_turn(times: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, float]:
    """Medians of turns, and of their ratios to a reference that was timed in turn.

    times: clock and processor seconds of each turn by state, as "warm" and "reference_warm".
    """
    found = {}
    for index, unit in enumerate(("s", "processor_s")):
        for key, rows in times.items():
            found[f"{key}_{unit}"] = middle([row[index] for row in rows], 1)
        for state in times:
            if theirs := times.get(f"reference_{state}"):
                pairs = zip(theirs, times[state], strict=True)
                ratios = [other[index] / own[index] for other, own in pairs]
                found[f"reference_over_ours_{state}_{unit[:-2] or 'clock'}"] = middle(ratios)
    return found


def middle(values: list[float], digits: int = 3) -> float:
    """The median, rounded."""
    return round(float(np.median(values)), digits)


def spread(values: list[float], digits: int = 3) -> list[float]:
    """Lowest and highest, rounded."""
    return [round(float(min(values)), digits), round(float(max(values)), digits)]


def peak_memory_gb() -> float:
    """The most memory this process has held."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)


class Compiling:
    """Adds up what XLA takes to compile while it is open, in `seconds`; tracing does not count."""

    def __enter__(self) -> "Compiling":
        import jax

        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        return self

    def __exit__(self, *error: object) -> None:
        import jax

        jax.monitoring.unregister_event_duration_listener(self._listen)

    def _listen(self, event: str, seconds: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            self.seconds += seconds


def peak_gb() -> float | None:
    """The most memory of the GPU that arrays of this process have taken; None without one."""
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    return round(stats["peak_bytes_in_use"] / 1e9, 2) if "peak_bytes_in_use" in stats else None


def busy_seconds(planes: Any) -> tuple[float, dict[str, float]]:
    """How long a GPU computed, by the streams of a profile, and the seconds of its largest kernels.

    0 if the profile has no GPU. Kernels of several streams at one time count once in the sum.
    """
    spans, kernels = [], dict[str, float]()
    for plane in planes:
        for line in plane.lines if plane.name.startswith("/device:GPU") else ():
            for event in line.events if line.name.startswith("Stream") else ():
                spans.append((event.start_ns, event.start_ns + event.duration_ns))
                kernels[event.name] = kernels.get(event.name, 0.0) + event.duration_ns / 1e9
    busy = end = 0.0
    for start, stop in sorted(spans):
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    largest = sorted(kernels.items(), key=lambda item: -item[1])[:12]
    return busy / 1e9, {name[:80]: round(value, 5) for name, value in largest}


def profiled(run: Callable[[], Any]) -> tuple[float, dict[str, float]]:
    """`busy_seconds` of a call."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        return busy_seconds(jax.profiler.ProfileData.from_file(str(path)).planes)
