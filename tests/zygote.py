"""Runs commands of the project in children of a process that has imported the libraries.

The process reads one JSON line per command: {"argv": [MODULE, FLAG, ...] or ["-c", PROGRAM, WORD,
...], "stdout": FILE, "stderr": FILE, "env": {...}, "cwd": FOLDER}. It answers with a line {"pid":
...} when the child runs, and with {"status": exit code or -signal} when it has ended. A child ends
like any process and is killed like any; without seconds of importing, tests are quick and kills
fall on the work.
"""

import contextlib
import gc
import importlib
import json
import os
import pathlib
import runpy
import select
import signal
import subprocess
import sys
import time
import types
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
# None is of ours: what a command does not import itself is missing in its child too.
LIBRARIES = (
    "array_record.python.array_record_module",
    "flax.nnx",
    "jinja2",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "ml_collections.config_flags.config_flags",
    "optax",
    "orbax.checkpoint.v1",
    "plotly.offline",
    "tensorboardX",
    "tensorflow_datasets",
)
END = 300.0


class Zygote:
    """The process, and orders to it. libraries: what it imports before the first command."""

    def __init__(
        self, libraries: Iterable[str] = LIBRARIES, env: Mapping[str, str] | None = None
    ) -> None:
        self._env = dict(env or {})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote", *libraries],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._env},
        )

    def run(
        self,
        arguments: Iterable[str],
        stdout: pathlib.Path,
        stderr: pathlib.Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: pathlib.Path = ROOT,
        after: float = END,
        number: signal.Signals = signal.SIGKILL,
    ) -> tuple[int, float]:
        """Runs a command in the environment of now, with a signal after so many seconds.

        Returns its exit code, or minus the signal, and the seconds it took.
        """
        order = {"argv": list(arguments), "stdout": str(stdout), "stderr": str(stderr)}
        environment = {**os.environ, **self._env, **(env or {})}
        self._send({**order, "env": environment, "cwd": str(cwd)})
        pid = self._answer(60.0)["pid"]
        start = time.monotonic()
        if not self._ready(after):
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.kill(pid, number)
        return self._answer(END)["status"], time.monotonic() - start

    def close(self) -> None:
        """Ends the process."""
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
        assert self._ready(seconds), f"no answer in {seconds} s"
        return json.loads(self._process.stdout.readline())


def main() -> None:
    """Imports, then serves until the end of standard input."""
    for name in sys.argv[1:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    warnings.filterwarnings("ignore", message=".*os.fork.*")
    gc.freeze()  # no collection in a child touches, and so copies, what it shares
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            start(json.loads(line))
            return  # the child ends as a command does: its threads, its exit code
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def start(order: dict[str, Any]) -> None:
    """The child: standard streams to files, then the command as `python` runs it."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    files = order["stdout"], order["stderr"]
    streams = [os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for file in files]
    for target, source in enumerate((nothing, *streams)):
        os.dup2(source, target)
        os.close(source)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    module, *words = order["argv"]
    if module != "-c":
        sys.argv = [module, *words]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    sys.argv = ["-c", *words[1:]]
    program = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(words[0], "<string>", "exec"), program.__dict__)


if __name__ == "__main__":
    main()
