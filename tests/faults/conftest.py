"""What the commands read, a process that starts them, and the record of faults survived."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from refinevad_jax.evaluation.run import evaluate_seeds
from tests.conftest import ROOT
from tests.faults.scenarios import Ground, make_ground

END = 300.0


class Zygote:
    """Starts commands (tests/faults/zygote.py) and sends them signals."""

    def __init__(self, log: pathlib.Path, preloaded: pathlib.Path | None) -> None:
        self.log = log
        loaded = {"LD_PRELOAD": str(preloaded)} if preloaded else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **loaded},
        )

    def run(
        self,
        arguments: list[str],
        *,
        after: float | None = None,
        number: signal.Signals = signal.SIGKILL,
        env: dict[str, str] | None = None,
    ) -> tuple[int, float]:
        """Runs a command, with a signal after so many seconds. Exit code and seconds it took."""
        self.log.unlink(missing_ok=True)
        self._send({"argv": arguments, "log": str(self.log), "env": env or {}})
        pid = self._answer(60.0)["pid"]
        start = time.monotonic()
        if after is not None and not self._ready(after):
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(pid, number)
        return self._answer(END)["status"], time.monotonic() - start

    def said(self) -> str:
        """What the last command printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _ready(self, seconds: float) -> bool:
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout
        assert self._ready(seconds), f"no answer in {seconds} s: {self.said()}"
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path | None:
    """disk.c as a library to preload, None without a C compiler; it sleeps until asked."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = tmp_path_factory.mktemp("shim") / "disk.so"
    source = ROOT / "tests" / "faults" / "disk.c"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory, shim: pathlib.Path | None) -> Iterator[Zygote]:
    zygote = Zygote(tmp_path_factory.mktemp("log") / "log.txt", shim)
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def ground(
    tmp_path_factory: pytest.TempPathFactory, tiny_data: pathlib.Path, trained: pathlib.Path
) -> Ground:
    pytest.importorskip("av", reason="pip install av")
    folder = tmp_path_factory.mktemp("ground")
    shutil.copytree(trained, folder / "run")
    options = {"dataset": "", "data_dir": "", "num_segments": None, "allow_mismatch": False}
    evaluate_seeds(folder / "run", split="test", step="best", **options)
    return make_ground(folder, tiny_data, trained)


class Record:
    """Counts of faults, added to the file that docs/reliability.md is written from."""

    def __init__(self) -> None:
        path = os.environ.get("REFINEVAD_FAULTS_RECORD")
        self._path = pathlib.Path(path) if path else None

    def add(self, group: str, name: str, **counts: Any) -> None:
        print(f"{group}, {name}: {counts}")
        if self._path:
            found = json.loads(self._path.read_text()) if self._path.exists() else {}
            found.setdefault(group, {})[name] = counts
            self._path.write_text(json.dumps(found, indent=1) + "\n")


@pytest.fixture(scope="session")
def record() -> Record:
    return Record()
