"""Who is told of events and rows: standard output, a file that rotates, receivers by the outbox."""

import contextlib
import dataclasses
import json
import logging.handlers
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

from refinevad_jax.cameras.delivery import Delivery, Receiver
from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.message import describe, encode
from refinevad_jax.cameras.mqtt import Mqtt
from refinevad_jax.cameras.outbox import NAME as QUEUE
from refinevad_jax.cameras.outbox import Outbox
from refinevad_jax.cameras.webhook import Webhook
from refinevad_jax.detection.live_source import say
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import locked

NAME = "events.jsonl"
_OUTPUT = "standard output"
_FLUSH_S = 5.0  # for receivers to take what waits, at the end
_KEEP_EVERY_S = 5.0  # how an open event stands, on the disk
_SAY_EVERY_S = 600.0  # the same fault of the disk
_SLOW_S = 5.0  # a write that takes as long is said


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

    Attributes:
        num_events: that have begun.
        num_lost: messages that could not be written or queued.
    """

    def __init__(
        self, lines: IO[str] | None, file: EventFile | None, outbox: Outbox | None
    ) -> None:
        """lines: where JSON lines without pictures go, as standard output."""
        self.num_events = self.num_lost = 0
        self._lines, self._file, self._outbox = lines, file, outbox
        self._kept: dict[str, tuple[float, float]] = {}  # by event: when, and the score
        self._said: dict[str, float] = {}
        self._num_dropped = 0
        for event in outbox.left_open() if outbox else ():
            say(f"{event.camera}: an event went on when an earlier process was killed; ended here")
            self.send(event)

    def send(self, event: LiveEvent) -> None:
        """Sends the message of an event that has begun or ended."""
        self.num_events += event.end is None
        self._kept.pop(event.event_id, None)
        if self._outbox:
            self._try(QUEUE, self._outbox.put, event)
            self._say_dropped()
        if self._file:
            self._try(NAME, self._file.write, encode(event))
        self._print(describe(event))

    def keep(self, event: LiveEvent, last: float) -> None:
        """Keeps on the disk how an event stands, now and then. last: as in Outbox.keep."""
        when, score = self._kept.get(event.event_id, (0.0, 0.0))
        now = time.monotonic()
        if self._outbox and (event.score > score + 0.05 or now - when >= _KEEP_EVERY_S):
            self._kept[event.event_id] = (now, event.score)
            self._try(QUEUE, self._outbox.keep, event, last, counts=False)

    def row(self, row: Mapping[str, Any]) -> None:
        """Prints a row of scores."""
        self._print(row)

    def _print(self, content: Mapping[str, Any]) -> None:
        if self._lines:
            self._try(_OUTPUT, self._write, json.dumps(content) + "\n")

    def _write(self, line: str) -> None:
        assert self._lines
        try:
            self._lines.write(line)
            self._lines.flush()
        except BrokenPipeError:
            self._lines = None
            raise

    def _try(self, what: str, call: Any, *arguments: Any, counts: bool = True) -> None:
        """Calls what may fail or take long, and says so. counts: whether a message is then lost."""
        began = time.monotonic()
        try:
            call(*arguments)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.num_lost += counts
            if self._is_due(what):
                say(
                    f"warning: {error.filename or what}: cannot be written ({error.strerror}); "
                    f"messages lost so far: {self.num_lost}; check the disk"
                )
        took = time.monotonic() - began
        if took >= _SLOW_S and self._is_due(f"slow {what}"):
            cure = "its reader" if what == _OUTPUT else "the disk"
            say(f"warning: {what}: a write took {took:.1f} s, and scores waited; check {cure}")

    def _is_due(self, what: str) -> bool:
        """Whether to say it: not if it was said a short while ago."""
        now = time.monotonic()
        if now - self._said.get(what, -_SAY_EVERY_S) < _SAY_EVERY_S:
            return False
        self._said[what] = now
        return True

    def _say_dropped(self) -> None:
        assert self._outbox
        count = self._outbox.num_dropped
        if count > self._num_dropped and self._is_due("dropped"):
            self._num_dropped = count
            say(
                "warning: the queue is full; the oldest messages were dropped so far: "
                f"{count}; check the receivers, or give a larger --queue_size"
            )

    def close(self) -> None:
        """Says what was lost."""
        dropped = self._outbox.num_dropped if self._outbox else 0
        if self.num_lost or dropped:
            say(f"messages that were lost: {self.num_lost}; dropped from a full queue: {dropped}")


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
        yield Sinks(lines, None, None)
        return
    with _held(settings.output), contextlib.ExitStack() as stack:
        names = [receiver.name for receiver in receivers]
        file = EventFile(settings.output, settings.file_bytes, settings.file_count)
        stack.callback(file.close)
        outbox = Outbox(settings.output, names, settings.queue_size)
        stack.callback(outbox.close)
        sinks = Sinks(lines, file, outbox)
        stack.callback(sinks.close)
        deliveries = [Delivery(outbox, receiver) for receiver in receivers]
        try:
            yield sinks
        finally:
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
