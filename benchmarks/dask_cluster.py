"""A Dask cluster on the loopback device, for tests and benchmarks."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]


class Cluster:
    """A scheduler and its workers, each its own process of one thread."""

    def __init__(self, folder: pathlib.Path, workers: int, *, installed: bool = True) -> None:
        """installed: whether the processes can import this project."""
        self._folder = folder
        self._environment = os.environ | {"PYTHONPATH": str(ROOT) if installed else ""}
        found = folder / f"{uuid.uuid4().hex}.json"
        self.scheduler = self._start("dask_scheduler", "--host=127.0.0.1", "--port=0", file=found)
        self.address = ""
        while not self.address:
            assert self.scheduler.poll() is None, (folder / "dask_scheduler.log").read_text()
            time.sleep(0.05)
            with contextlib.suppress(FileNotFoundError, ValueError):  # not there, or half of it
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
        """Starts a worker, which is not among `workers`."""
        return self._start("dask_worker", self.address, "--nthreads=1", "--no-nanny")

    def kill(self) -> None:
        """Kills all processes."""
        for process in (*self.workers, self.scheduler):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def cluster(folder: pathlib.Path, workers: int = 2, *, installed: bool = True) -> Iterator[Cluster]:
    """A cluster that is killed at the end of the block. folder: for its logs."""
    running = Cluster(folder, workers, installed=installed)
    try:
        yield running
    finally:
        running.kill()
