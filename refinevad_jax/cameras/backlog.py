"""What is still to be written, in memory: its own thread writes, so that no score waits for it."""

import collections
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

MOST_MESSAGES = 4000  # 60 MB with pictures of 15 kB
MOST_ROWS = 2000  # 160 s of eight cameras


class _Item(NamedTuple):
    """What to call; number: its place in the order."""

    number: int
    call: Callable[..., None]
    arguments: tuple[Any, ...]


class Backlog:
    """Calls what it is given, in order, in a thread. If too much waits, the oldest is left out.

    Attributes:
        num_messages_dropped, num_rows_dropped: calls that were left out.
    """

    def __init__(self, name: str, is_ready: Callable[[], bool] = lambda: True) -> None:
        """Begins at once.

        is_ready: whether a call would not wait; it may itself wait for a fraction of a second.
        """
        self.num_messages_dropped = self.num_rows_dropped = 0
        self._is_ready = is_ready
        self._messages: collections.deque[_Item] = collections.deque()
        self._rows: collections.deque[_Item] = collections.deque()
        self._numbers = itertools.count()
        self._came = threading.Condition()
        self._until: float | None = None  # when closing: how long to go on, time.monotonic()
        self._busy_since: float | None = None  # since when the next call waits or goes on
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, call: Callable[..., None], *arguments: Any, is_row: bool = False) -> None:
        """Adds a call and returns at once.

        is_row: whether it is one of many: only MOST_ROWS of them wait, and of the others
        MOST_MESSAGES.
        """
        with self._came:
            if self._fault:
                return
            item = _Item(next(self._numbers), call, arguments)
            queue = self._rows if is_row else self._messages
            queue.append(item)
            if is_row and len(queue) > MOST_ROWS:
                queue.popleft()
                self.num_rows_dropped += 1
            elif not is_row and len(queue) > MOST_MESSAGES:
                queue.popleft()
                self.num_messages_dropped += 1
            if self._busy_since is None:
                self._busy_since = time.monotonic()
            self._came.notify_all()

    def waiting(self) -> tuple[int, int]:
        """How many messages and rows wait; not the one that is being written."""
        with self._came:
            return len(self._messages), len(self._rows)

    def check(self) -> float:
        """Seconds that the next call has waited or gone on. Raises what ended the thread."""
        if self._fault:
            raise self._fault
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def close(self, seconds: float) -> bool:
        """Goes on for up to so many seconds until nothing waits. Whether the thread has ended."""
        with self._came:
            self._until = time.monotonic() + seconds
            self._came.notify_all()
        self._thread.join(seconds + 0.5)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            while item := self._next():
                item.call(*item.arguments)
        except BaseException as error:  # check() raises it where it is seen
            with self._came:
                self._fault = error
                self._messages.clear()
                self._rows.clear()

    def _next(self) -> _Item | None:
        """The oldest call, when it can be made; None at the end."""
        with self._came:
            self._busy_since = time.monotonic() if self._messages or self._rows else None
        while True:
            with self._came:
                while not (self._messages or self._rows):
                    if self._until is not None:
                        return None
                    self._came.wait()
                if self._until is not None and time.monotonic() > self._until:
                    return None
            if self._is_ready():
                with self._came:
                    return self._oldest()

    def _oldest(self) -> _Item:
        queues = [queue for queue in (self._messages, self._rows) if queue]
        return min(queues, key=lambda queue: queue[0].number).popleft()
