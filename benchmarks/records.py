"""What every benchmark ends with: a table, one JSON line and, with --save, a file of it."""

import json
import os
import pathlib
import platform
import resource
import time
from collections.abc import Callable
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


def middle(values: list[float], digits: int = 3) -> float:
    """The median, rounded."""
    return round(float(np.median(values)), digits)


def spread(values: list[float], digits: int = 3) -> list[float]:
    """Lowest and highest, rounded."""
    return [round(float(min(values)), digits), round(float(max(values)), digits)]


def peak_memory_gb() -> float:
    """The most memory this process has held."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)
