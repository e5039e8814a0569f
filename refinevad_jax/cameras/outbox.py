"""Messages that wait to be delivered, and events that go on, on the disk: a kill loses none."""

import contextlib
import dataclasses
import pathlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.message import decode, encode
from refinevad_jax.errors import UserError

NAME = "queue.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, name TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS of_receiver ON messages (receiver, number);
CREATE TABLE IF NOT EXISTS going_on (
    event_id TEXT PRIMARY KEY, last REAL NOT NULL, body TEXT NOT NULL);
"""


class Waiting(NamedTuple):
    """A message that waits: its place in the queue, a name of its own, and its JSON."""

    number: int
    name: str
    body: str


class Outbox:
    """A queue per receiver, in one SQLite file; safe to use from any thread.

    What a call has written survives the end of this process, however it comes. After a power cut
    the last moments may be missing.

    Attributes:
        num_dropped: messages that were dropped because a queue was full.
    """

    def __init__(self, folder: pathlib.Path, receivers: Sequence[str], most: int) -> None:
        """Opens FOLDER/queue.sqlite or makes it.

        receivers: names of those that each message is for; what waits for others stays. most:
        messages that may wait per receiver. Raises UserError if the file is damaged or cannot be
        written.
        """
        self.num_dropped = 0
        self._path, self._receivers, self._most = folder / NAME, tuple(receivers), most
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
        self._base: sqlite3.Connection | None = None
        try:
            self._base = sqlite3.connect(self._path, check_same_thread=False, timeout=10.0)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.executescript(_SCHEMA)
        except sqlite3.Error as error:
            if self._base:
                self._base.close()
            raise UserError(
                f"{self._path}: cannot be used as a queue ({error}); if it is damaged, move it "
                "away: what waited in it is then not sent"
            ) from error

    def put(self, event: LiveEvent) -> None:
        """Adds the message of an event that has just begun or ended, for every receiver.

        Raises OSError if the disk fails; nothing is then added.
        """
        body = encode(event)
        name = f"{event.event_id}-{'start' if event.end is None else 'end'}"
        with self._writing() as base:
            if event.end is None:
                self._keep(base, event, event.start)
            else:
                base.execute("DELETE FROM going_on WHERE event_id = ?", (event.event_id,))
            for receiver in self._receivers:
                base.execute(
                    "INSERT INTO messages (receiver, name, body) VALUES (?, ?, ?)",
                    (receiver, name, body),
                )
                self.num_dropped += self._make_room(base, receiver)
            self._came.notify_all()

    def keep(self, event: LiveEvent, last: float) -> None:
        """Keeps an event that goes on as it is now. last: where it would end, in Unix time.

        Raises OSError if the disk fails.
        """
        with self._writing() as base:
            self._keep(base, event, last)

    def left_open(self) -> list[LiveEvent]:
        """The events that went on when an earlier process was killed, ended where they were.

        Raises UserError if the file is damaged.
        """
        found = []
        try:
            with self._lock:
                rows = self._connected().execute("SELECT last, body FROM going_on").fetchall()
            for last, body in rows:
                event = decode(body)
                end = max(float(last), event.start)
                found.append(dataclasses.replace(event, end=end, ended_by="stop"))
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path}: damaged ({error}); move it away") from error
        return found

    def oldest(self, receiver: str, wait: float = 0.0) -> Waiting | None:
        """The message that waits the longest for a receiver; None if none does.

        wait: seconds to wait for one. Raises OSError if the disk fails.
        """
        query = "SELECT number, name, body FROM messages WHERE receiver = ? ORDER BY number LIMIT 1"
        with _as_os_error(self._path), self._lock:
            row = self._connected().execute(query, (receiver,)).fetchone()
            if not row and wait:
                self._came.wait(wait)
                row = self._connected().execute(query, (receiver,)).fetchone()
        return Waiting(*row) if row else None

    def remove(self, message: Waiting) -> None:
        """Takes a message out that was delivered. Raises OSError if the disk fails."""
        with self._writing() as base:
            base.execute("DELETE FROM messages WHERE number = ?", (message.number,))

    def count(self, receiver: str) -> int:
        """How many messages wait for a receiver. Raises OSError if the disk fails."""
        query = "SELECT COUNT(*) FROM messages WHERE receiver = ?"
        with _as_os_error(self._path), self._lock:
            return int(self._connected().execute(query, (receiver,)).fetchone()[0])

    def wake(self) -> None:
        """Ends the waiting of every `oldest`."""
        with self._lock:
            self._came.notify_all()

    def close(self) -> None:
        """Closes the file; another call of any method is then an OSError."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._base:
                self._base.close()
            self._base = None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with _as_os_error(self._path), self._lock, self._connected() as base:
            yield base

    def _connected(self) -> sqlite3.Connection:
        if self._base is None:
            raise OSError(0, "is closed", str(self._path))
        return self._base

    def _keep(self, base: sqlite3.Connection, event: LiveEvent, last: float) -> None:
        base.execute(
            "INSERT OR REPLACE INTO going_on VALUES (?, ?, ?)",
            (event.event_id, last, encode(event)),
        )

    def _make_room(self, base: sqlite3.Connection, receiver: str) -> int:
        """Removes the oldest messages of a receiver that are too many; how many they were."""
        query = (
            "DELETE FROM messages WHERE receiver = ?1 AND number <= (SELECT number FROM messages "
            "WHERE receiver = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)"
        )
        return base.execute(query, (receiver, self._most)).rowcount


@contextlib.contextmanager
def _as_os_error(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(getattr(error, "sqlite_errorcode", 0), str(error), str(path)) from error
