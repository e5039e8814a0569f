"""Who is told of events and rows: standard output, a file that rotates, receivers by the outbox."""

import collections
import contextlib
import dataclasses
import functools
import json
import logging.handlers
import math
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

from refinevad_jax.cameras.backlog import Backlog
from refinevad_jax.cameras.delivery import Delivery, Receiver
from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.message import describe, encode
from refinevad_jax.cameras.mqtt import Mqtt
from refinevad_jax.cameras.outbox import NAME as QUEUE
from refinevad_jax.cameras.outbox import Outbox
from refinevad_jax.cameras.webhook import Webhook
from refinevad_jax.detection.live_source import say
from refinevad_jax.encoders.video import counted
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import locked
from refinevad_jax.runtime.stopping import takes_lines

NAME = "events.jsonl"
_DISK, _OUTPUT = "the disk", "standard output"
_CURES = {_DISK: "it", _OUTPUT: "its reader"}
_FLUSH_S = 5.0  # for disk and reader to take what waits, at the end; then for receivers
_LOOK_S = 0.2  # between two looks whether standard output takes a line
_KEEP_EVERY_S = 5.0  # how an open event stands, on the disk
_SAY_EVERY_S = 600.0  # the same fault of the disk
_SLOW_S = 5.0  # a write that takes so long is said


class EventFile(logging.handlers.RotatingFileHandler):
    """FOLDER/events.jsonl, with events.jsonl.1 before it, and so on.

    Attributes:
        fault: why the last line could not be written, None if it could.
    """

    def __init__(self, folder: pathlib.Path, most_bytes: int, count: int) -> None:
        """count: of files, the one that is written included. Raises UserError if it cannot be."""
        path = folder / NAME
        try:
            # A killed process may have left half a line.
            cut = _ends_in_half_a_line(path)
            super().__init__(path, maxBytes=most_bytes, backupCount=count - 1, encoding="utf-8")
            self.fault: BaseException | None = None
            if cut:
                self.write("")
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from error

    def write(self, line: str) -> None:
        """Adds a line. Raises OSError if it cannot be written."""
        self.fault = None
        self.emit(logging.makeLogRecord({"msg": line}))
        if self.fault is not None:
            reason = getattr(self.fault, "strerror", None) or str(self.fault)
            raise OSError(getattr(self.fault, "errno", None) or 0, reason, self.baseFilename)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Keeps why, in place of a traceback on the screen.

        The next line opens the file again: what could not be written would stay in memory.
        """
        del record
        self.fault = sys.exc_info()[1]
        stream, self.stream = self.stream, None
        if stream:
            with contextlib.suppress(OSError, ValueError):
                stream.close()


def _ends_in_half_a_line(path: pathlib.Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


class Sinks:
    """Tells everybody. A sink that fails does not keep the others from being told.

    No call waits for a disk or a reader: two threads write, one to the disk and then, so that what
    was printed is on the disk, another one to standard output.

    Attributes:
        num_events: that have begun.
        lost: how many messages and rows are missing, by where and what.
        stuck: who still held what it was given when `close` gave up.
        left_open: the files of a disk that did, and its lock; they end with the process.
    """

    def __init__(
        self, lines: IO[str] | None, file: EventFile | None, outbox: Outbox | None
    ) -> None:
        """lines: where JSON lines without pictures go, as standard output."""
        self.num_events = 0
        self.lost: collections.Counter[tuple[str, str]] = collections.Counter()
        self.stuck: set[str] = set()
        self.left_open: contextlib.ExitStack | None = None
        self._lines, self._file, self._outbox = lines, file, outbox
        self._backlogs: dict[str, Backlog] = {}
        if file or outbox:
            self._backlogs[_DISK] = Backlog(_DISK)
        if lines:
            takes = functools.partial(takes_lines, lines, _LOOK_S)
            self._backlogs[_OUTPUT] = Backlog(_OUTPUT, takes)
        self._kept: dict[str, tuple[float, float]] = {}  # by event: when, and the score
        self._said: dict[str, tuple[float, float]] = {}  # when, and the count
        for event in outbox.left_open() if outbox else ():
            say(f"{event.camera}: an event went on when an earlier process was killed; ended here")
            self.send(event)

    def send(self, event: LiveEvent) -> None:
        """Sends the message of an event that has begun or ended."""
        self.num_events += event.end is None
        self._kept.pop(event.event_id, None)
        if disk := self._backlogs.get(_DISK):
            disk.put(self._store, event)
        else:
            self._print(describe(event))

    def keep(self, event: LiveEvent, last: float) -> None:
        """Keeps on the disk how an event stands, now and then. last: as in Outbox.keep."""
        when, score = self._kept.get(event.event_id, (0.0, 0.0))
        now = time.monotonic()
        if self._outbox and (event.score > score + 0.05 or now - when >= _KEEP_EVERY_S):
            self._kept[event.event_id] = (now, event.score)
            keep = functools.partial(self._try, noun="")
            self._backlogs[_DISK].put(keep, QUEUE, self._outbox.keep, event, last, is_row=True)

    def row(self, row: Mapping[str, Any]) -> None:
        """Prints a row of scores. It does not wait for the messages that go to the disk first."""
        self._print(row, is_row=True)

    def check(self) -> None:
        """Says who is slow. Raises BrokenPipeError if nobody reads standard output any more."""
        for name, backlog in self._backlogs.items():
            try:
                seconds, cure = backlog.check(), _CURES[name]
            except BrokenPipeError:
                say(f"{name}: its reader has ended")
                raise
            if seconds >= _SLOW_S and self._is_due(f"slow {name}"):
                say(
                    f"warning: {name}: has taken nothing for {seconds:.0f} s; in memory wait "
                    f"{_counted(*backlog.waiting())}, and cameras go on; check {cure}"
                )
            messages, rows = self._left_out(name)
            if self._is_due(f"full {name}", messages + rows):
                say(
                    f"warning: {name}: is too slow; left out so far, the oldest first: "
                    f"{_counted(messages, rows)}; check {cure}"
                )
        dropped = self._outbox.num_dropped if self._outbox else 0
        if self._is_due("dropped", dropped):
            say(
                "warning: the queue is full; the oldest messages were dropped so far: "
                f"{dropped}; check the receivers, or give a larger --queue_size"
            )

    def close(self, seconds: float = _FLUSH_S) -> None:
        """Writes what waits, for up to so many seconds; says what was lost."""
        until = time.monotonic() + seconds
        for name, backlog in self._backlogs.items():
            if not backlog.close(max(0.5, until - time.monotonic())):
                self.stuck.add(name)
                self.lost[name, "message"] += 1  # the one that it holds
            messages, rows = backlog.waiting()
            more_messages, more_rows = self._left_out(name)
            self.lost[name, "message"] += messages + more_messages
            self.lost[name, "row"] += more_rows + (rows if name == _OUTPUT else 0)
        self.lost["a full queue", "message"] += self._outbox.num_dropped if self._outbox else 0
        if words := [
            f"{where}: {counted(n, noun)}" for (where, noun), n in [*self.lost.items()] if n
        ]:
            say(f"lost: {'; '.join(words)}")
        for backlog in self._backlogs.values():
            with contextlib.suppress(BrokenPipeError):
                backlog.check()  # an error of ours does not pass in silence

    def _left_out(self, name: str) -> tuple[int, int]:
        """Messages and rows that found no room in memory; how an open event stands is neither."""
        backlog = self._backlogs[name]
        return backlog.num_messages_dropped, backlog.num_rows_dropped * (name == _OUTPUT)

    def _store(self, event: LiveEvent) -> None:
        """Writes a message to the disk, then hands it on to be printed."""
        if self._outbox:
            self._try(QUEUE, self._outbox.put, event)
        if self._file:
            self._try(NAME, self._file.write, encode(event))
        self._print(describe(event))

    def _print(self, content: Mapping[str, Any], *, is_row: bool = False) -> None:
        if self._lines:
            write = functools.partial(self._try, noun="row" if is_row else "message")
            line = json.dumps(content) + "\n"
            self._backlogs[_OUTPUT].put(write, _OUTPUT, self._write, line, is_row=is_row)

    def _write(self, line: str) -> None:
        assert self._lines
        self._lines.write(line)
        self._lines.flush()

    def _try(self, what: str, call: Any, *arguments: Any, noun: str = "message") -> None:
        """Calls what may fail, and says so. noun: what is then missing, "" for nothing."""
        try:
            call(*arguments)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.lost[what, noun] += bool(noun)
            lost = f"missing there so far: {counted(self.lost[what, noun], noun)}"
            if not noun:
                lost = "a kill would lose how open events stand"
            if self._is_due(f"{what} {noun}"):
                say(
                    f"warning: {error.filename or what}: cannot be written ({error.strerror}); "
                    f"{lost}; check the disk"
                )

    def _is_due(self, what: str, count: float = math.inf) -> bool:
        """Whether to say it: not soon after it was said, nor if its count has not grown."""
        now = time.monotonic()
        when, before = self._said.get(what, (-_SAY_EVERY_S, 0.0))
        if now - when < _SAY_EVERY_S or count <= before:
            return False
        self._said[what] = now, 0.0 if count == math.inf else count
        return True


def _counted(messages: int, rows: int) -> str:
    return f"{counted(messages, 'message')} and {counted(rows, 'row')}"


@dataclasses.dataclass(frozen=True)
class SinkSettings:
    """Who is told, in addition to standard output.

    Attributes:
        output: folder of the file and the queue, None for neither.
        file_bytes: size at which the file is rotated.
        file_count: files that are kept.
        webhook, mqtt: addresses, "" for none.
        plain: whether they may lead to another computer without encryption.
        queue_size: messages that may wait for each of them.
    """

    output: pathlib.Path | None = None
    file_bytes: int = 10_000_000
    file_count: int = 5
    webhook: str = ""
    mqtt: str = ""
    plain: bool = False
    queue_size: int = 1000


@contextlib.contextmanager
def opened(
    settings: SinkSettings, lines: IO[str] | None, secrets: Mapping[str, str]
) -> Iterator[Sinks]:
    """The sinks; the folder is held for this process, and at the end what waits is sent.

    lines: see Sinks; secrets: the environment. Raises UserError if the settings cannot be used.
    """
    receivers: list[Receiver] = []
    if settings.webhook:
        receivers.append(Webhook(settings.webhook, secrets, plain=settings.plain))
    if settings.mqtt:
        receivers.append(Mqtt(settings.mqtt, secrets, plain=settings.plain))
    if settings.output is None:
        if receivers:
            raise UserError("--webhook and --mqtt need --output=FOLDER for what waits to be sent")
        sinks = Sinks(lines, None, None)
        try:
            yield sinks
        finally:
            sinks.close()
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(_held(settings.output))
        names = [receiver.name for receiver in receivers]
        file = EventFile(settings.output, settings.file_bytes, settings.file_count)
        stack.callback(file.close)
        outbox = Outbox(settings.output, names, settings.queue_size)
        stack.callback(outbox.close)
        sinks = Sinks(lines, file, outbox)
        deliveries = [Delivery(outbox, receiver) for receiver in receivers]
        try:
            yield sinks
        finally:
            sinks.close()
            if _DISK in sinks.stuck:
                sinks.left_open = stack.pop_all()  # to close files of that disk would wait, too
            else:
                for delivery in deliveries:
                    delivery.close(_FLUSH_S)


@contextlib.contextmanager
def _held(folder: pathlib.Path) -> Iterator[None]:
    """Makes the folder and holds it for this process. Raises UserError if that cannot be."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder))
        except OSError as error:
            raise UserError(
                f"--output={folder}: cannot be written ({error.strerror}); choose another folder"
            ) from error
        yield
