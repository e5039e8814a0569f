"""SIGTERM and Ctrl-C while training or watching: the work is brought to an end, then the process.

The first signal asks; training looks after every dispatch of steps, watching after every batch of
segments. A second one, or a dispatch that takes too long, ends the process at once, and then what
was last written is what is left.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from typing import IO

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Schedulers send SIGKILL 30 seconds after SIGTERM, by their defaults.
GRACE_SECONDS = 20.0
# A signal to a process group comes twice if the process that started this one passes it on too.
_ECHO_SECONDS = 0.5
_FULL_SECONDS = 0.5  # that a full pipe is waited for


class StopRequest:
    """Whether the process was asked to stop.

    Attributes:
        signal: the name of the signal, "" before.
    """

    def __init__(
        self,
        doing: str = "saving after the current steps",
        left: str = "ended without saving; run the same command again",
    ) -> None:
        """Both are said on stderr.

        doing: what the first signal leads to; left: what it means that the process ended at once.
        """
        self.signal = ""
        self._doing, self._left = doing, left

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Takes the signals over until the end of the block; outside the main thread, nothing.

        A thread takes them, because Python calls its handlers only between two instructions of the
        main thread, and a dispatch is one.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        read, write = os.pipe()
        os.set_blocking(write, False)
        before = {number: signal.signal(number, _nothing) for number in SIGNALS}
        wakeup = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        thread = threading.Thread(target=self._watch, args=(read,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(write)
            thread.join()
            os.close(read)

    def _watch(self, read: int) -> None:
        number = _next_signal(read, None)
        if not number:
            return
        self.signal = signal.Signals(number).name
        _say(f"{self.signal}: {self._doing}; once more ends at once")
        start = time.monotonic()
        while (ended := _next_signal(read, GRACE_SECONDS)) and _is_echo(start):
            pass
        if ended != 0:
            _say(f"error: {self._left}")
            os._exit(128 + (ended or number))


def _is_echo(start: float) -> bool:
    return time.monotonic() - start < _ECHO_SECONDS


def _next_signal(read: int, seconds: float | None) -> int | None:
    """Waits for one of the signals: its number, 0 for the end of the block, None for too long."""
    while select.select([read], [], [], seconds)[0]:
        data = os.read(read, 1)
        if not data:
            return 0
        if data[0] in SIGNALS:
            return data[0]
    return None


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the process that started this one may have gone
        if takes_lines(2, _FULL_SECONDS):
            os.write(2, f"{text}\n".encode())  # not print: the main thread may be printing


def takes_lines(file: int | IO[str], seconds: float = 0.0) -> bool:
    """Whether a file takes a line within so many seconds: a pipe whose reader stopped is full."""
    try:
        return bool(select.select([], [file], [], seconds)[1])
    except (OSError, ValueError, TypeError):  # no file of the system
        return True


def _nothing(number: int, frame: object) -> None:
    """The signal has been written to the wake-up descriptor; no more is to be done here."""
    del number, frame
