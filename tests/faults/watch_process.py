"""`refinevad watch` as a process under observation: what it prints, its memory and threads."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

from tests.conftest import ROOT


class WatchProcess:
    """Attributes: rows, the last time a row of each camera came (time.monotonic()); messages, names
    of all messages printed; said, lines on stderr; memory, MB, threads and open files, looked at
    every half second from `observe` on."""

    def __init__(self, faults: pathlib.Path, words: list[str]) -> None:
        self.rows: dict[str, float] = {}
        self.messages: list[str] = []
        self.said: list[str] = []
        self.memory: list[float] = []
        self.threads: list[int] = []
        self.files: list[int] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.quick_watch", *words],
            cwd=ROOT,
            env={**os.environ, "REFINEVAD_SOAK": str(faults)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [
            threading.Thread(target=read, daemon=True) for read in (self._lines, self._errors)
        ]
        for thread in self._threads:
            thread.start()

    def _lines(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if not line.endswith("\n"):
                return  # killed in the middle of it
            found = json.loads(line)
            if "message" in found:
                self.messages.append(f"{found['id']}-{found['message']}")
            else:
                self.rows[found["camera"]] = time.monotonic()

    def _errors(self) -> None:
        assert self._process.stderr
        self.said.extend(line.rstrip("\n") for line in self._process.stderr)

    def observe(self) -> None:
        """Looks at the process from now on."""
        self._threads.append(threading.Thread(target=self._observe, daemon=True))
        self._threads[-1].start()

    def _observe(self) -> None:
        folder = pathlib.Path(f"/proc/{self._process.pid}")
        while self._process.poll() is None:
            with contextlib.suppress(OSError, KeyError):  # it has just ended
                status = (folder / "status").read_text()
                found = dict(line.split(":", 1) for line in status.splitlines())
                looked = int(found["VmRSS"].split()[0]) / 1e3, int(found["Threads"])
                self.files.append(len(list((folder / "fd").iterdir())))
                self.memory.append(looked[0])
                self.threads.append(looked[1])
            time.sleep(0.5)

    def require_alive(self) -> None:
        """Fails if the process has ended by itself."""
        assert self._process.poll() is None, self.said[-20:]

    def where(self) -> str:
        """What it has said last, and where its threads are."""
        before = len(self.said)
        self._process.send_signal(signal.SIGUSR1)
        time.sleep(1)
        return "\n".join([*self.said[max(0, before - 10) : before], "---", *self.said[before:]])

    def end(self, number: signal.Signals) -> int:
        """Sends a signal; the exit code."""
        self._process.send_signal(number)
        code = self._process.wait(timeout=60)
        self.close()
        return code

    def close(self) -> None:
        """Ends it if it still runs, as after a failed test."""
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(timeout=60)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe
            pipe.close()
