"""A Dask cluster on the loopback device, and what its workers do in tests: they import this file."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]  # of tests/conftest.py, which imports a lot


class Cluster:
    """A scheduler and its workers, each a process of its own, of one thread."""

    def __init__(self, folder: pathlib.Path, workers: int, *, installed: bool = True) -> None:
        """installed: whether the processes can import this project."""
        self._folder = folder
        self._environment = os.environ | {"PYTHONPATH": str(ROOT) if installed else ""}
        found = folder / "scheduler.json"
        found.unlink(missing_ok=True)
        self.scheduler = self._start("dask_scheduler", "--host=127.0.0.1", "--port=0", file=found)
        while not found.exists():
            assert self.scheduler.poll() is None, (folder / "dask_scheduler.log").read_text()
            time.sleep(0.05)
        self.address = json.loads(found.read_text())["address"]
        self.workers = [self.add_worker() for _ in range(workers)]

    def _start(self, what: str, *flags: str, file: pathlib.Path | None = None) -> subprocess.Popen:
        extra = [f"--scheduler-file={file}"] if file else []
        with (self._folder / f"{what}.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{what}", *flags, *extra, "--no-dashboard"],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def add_worker(self) -> subprocess.Popen:
        return self._start("dask_worker", self.address, "--nthreads=1", "--no-nanny")

    def kill(self) -> None:
        for process in (*self.workers, self.scheduler):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def cluster(folder: pathlib.Path, workers: int = 2, *, installed: bool = True) -> Iterator[Cluster]:
    running = Cluster(folder, workers, installed=installed)
    try:
        yield running
    finally:
        running.kill()


def slowly(element: int) -> Sequence[bytes]:
    """Takes a tenth of a second; says which process did it."""
    time.sleep(0.1)
    if element < 0:
        raise UserError(f"no {element}")
    return [f"{element} {os.getpid()}".encode()]


def means_of(segments: np.ndarray) -> np.ndarray:
    return segments.mean((1, 2, 3, 4))[:, None].astype(np.float32)


def stand_in() -> Any:
    """An encoder that needs no weights."""
    from data_prep.extraction.visual import visual_work
    from refinevad_jax.encoders.encoder import VisualEncoder

    return visual_work(VisualEncoder("means", 1, "", means_of), 1, 2)
