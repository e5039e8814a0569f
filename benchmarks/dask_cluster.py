"""A Dask cluster on the loopback device, for tests and benchmarks."""

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Hundreds of workers on few cores: without what each does many times a second beside its tasks, and
# with patience, because they wait long for their turn.
_MANY = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "10s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "600s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "600s",
}


class Cluster:
    """A scheduler and its workers, each its own process of one thread."""

    def __init__(self, folder: pathlib.Path, workers: int, *, installed: bool = True) -> None:
        """installed: whether the processes can import this project."""
        self._folder = folder
        self._environment = os.environ | {"PYTHONPATH": str(ROOT) if installed else ""}
        found = folder / f"{uuid.uuid4().hex}.json"
        scheduler = ("--host=127.0.0.1", "--port=0", f"--scheduler-file={found}")
        self.scheduler = self._start_dask("dask_scheduler", *scheduler)
        self.address = ""
        while not self.address:
            assert self.scheduler.poll() is None, (folder / "dask_scheduler.log").read_text()
            time.sleep(0.05)
            with contextlib.suppress(FileNotFoundError, ValueError):  # not there, or half of it
                self.address = json.loads(found.read_text())["address"]
        self.workers = [self.add_worker() for _ in range(workers)]

    def _start_dask(self, what: str, *flags: str) -> subprocess.Popen:
        return self._start(what, f"distributed.cli.{what}", *flags, "--no-dashboard")

    def _start(self, what: str, module: str, *flags: str, **environment: str) -> subprocess.Popen:
        with (self._folder / f"{what}.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *flags],
                cwd=self._folder,
                env=self._environment | environment,
                stdout=log,
                stderr=log,
            )

    def add_worker(self) -> subprocess.Popen:
        """Starts a worker, which is not among `workers`."""
        return self._start_dask("dask_worker", self.address, "--nthreads=1", "--no-nanny")

    def add_workers(self, count: int) -> None:
        """Starts one more process, with so many workers. Their tasks should only wait."""
        module, flags = "benchmarks.dask_cluster", (self.address, str(count))
        self.workers.append(self._start("dask_workers", module, *flags, **_MANY))

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


def wait(number: int, *, seconds: float) -> Sequence[bytes]:
    """What a worker of `add_workers` does instead of work."""
    time.sleep(seconds)
    return [str(number).encode()]


async def _many_workers(address: str, count: int) -> None:
    from distributed import Worker

    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            worker = Worker(address, nthreads=1, dashboard=False, memory_limit=0)
            await stack.enter_async_context(worker)
        await worker.finished()


if __name__ == "__main__":
    asyncio.run(_many_workers(sys.argv[1], int(sys.argv[2])))
