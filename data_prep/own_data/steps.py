"""Public commands, one after the other: printed, run, and left out if they were done before."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from refinevad_jax import __version__
from refinevad_jax.files.hashes import json_sha256
from refinevad_jax.files.staged import write_json
from refinevad_jax.runtime import commands

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StepError(Exception):
    """A command ended without having done its work.

    Attributes:
        code: its exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Steps:
    """The steps of a call, and what earlier calls have done, in a file.

    A step is done if its command, what it is made from, and this version are those that its last
    success had, and if its results are there.
    """

    def __init__(self, path: pathlib.Path, num_steps: int) -> None:
        """path: the file; num_steps: of this call, for the titles."""
        self._path, self._num_steps, self._number = path, num_steps, 0
        self._done: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found = json.loads(path.read_text(encoding="utf-8"))
            self._done = found if isinstance(found, dict) else {}

    def title(self, text: str) -> None:
        """Begins a step."""
        self._number += 1
        print(f"\n[{self._number}/{self._num_steps}] {text}", flush=True)

    def made_from(self, key: str, source: Any) -> bool:
        """Whether a step of that key was done from the same source."""
        return self._done.get(key) == json_sha256([__version__, source])

    def run(
        self,
        title: str,
        name: str,
        words: Sequence[str],
        *,
        key: str,
        source: Any,
        results: Sequence[pathlib.Path],
    ) -> None:
        """Runs a command, unless it was done.

        Args:
            title: what it does.
            name: of commands.COMMANDS.
            words: its flags.
            key: what the step is remembered by.
            source: what decides its results, as a JSON value.
            results: files or folders that are there once it is done.

        Raises StepError if it fails or is stopped.
        """
        if self.made_from(key, source) and all(path.exists() for path in results):
            self.title(f"{title}: done before")
            return
        self.title(title)
        print(f"      {commands.spell(name, *words)}", flush=True)
        if self._done.pop(key, None):  # its results were removed, and will be there half made
            write_json(self._path, self._done)
        start = time.monotonic()
        code = _call([sys.executable, "-m", commands.COMMANDS[name].module, *words])
        if code:
            ended = "was stopped" if code in (75, 130, 143) else f"ended with exit code {code}"
            raise StepError(f"step {self._number} of {self._num_steps} ({name}) {ended}", code)
        print(f"      {name} took {time.monotonic() - start:.0f} s", flush=True)
        self._done[key] = json_sha256([__version__, source])
        write_json(self._path, self._done)


def _call(command: Sequence[str]) -> int:
    """Runs a command to its end; its exit code, 128 + the signal if one ended it.

    If this process is asked to stop, the command is too, and it may save what it has. The terminal
    sends Ctrl-C to both by itself: a second one would end training unsaved.
    """
    asked: list[int] = []
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: object) -> None:
        del frame
        asked.append(number)
        if number == signal.SIGTERM or not _in_foreground():
            for child in children:
                child.send_signal(number)

    with _handled_by(pass_on):
        environment = os.environ | commands.environment()
        children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment))
        code = children[0].wait()
    if asked and not code:
        return 128 + asked[0]
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Until the end of the block, SIGTERM and Ctrl-C do nothing but call a function."""
    wakeup = signal.set_wakeup_fd(-1)  # of command_line, which would end this process
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
        signal.set_wakeup_fd(wakeup)


def _in_foreground() -> bool:
    """Whether this process is one that a terminal sends Ctrl-C to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
