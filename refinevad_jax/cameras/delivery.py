"""Delivers what waits in an outbox: in order, at least once, again and again with growing waits."""

import math
import threading
import time
from typing import Protocol

from refinevad_jax.cameras.outbox import Outbox, Waiting
from refinevad_jax.detection.live_source import say
from refinevad_jax.runtime.addresses import without_secrets

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # between two attempts
_SAY_EVERY_S = 600.0  # that nothing can be delivered, at most so often
_SAY_AGAIN_S = 60.0  # after it worked in between


class UndeliveredError(Exception):
    """A message did not arrive: why, in a few words; it is to be tried again."""


class RefusedError(Exception):
    """The receiver does not want this message, whenever it comes."""


class Receiver(Protocol):
    """Who messages are for.

    Attributes:
        name: in the outbox; the same in every process.
        shown: for messages on the screen, without secrets.
    """

    name: str
    shown: str

    def send(self, name: str, body: str) -> None:
        """Delivers a message. name: its own; body: JSON.

        Raises UndeliveredError if it did not arrive, RefusedError if it is not wanted.
        """

    def close(self) -> None:
        """Ends a connection that is kept."""


class Delivery:
    """A thread that sends one receiver its messages.

    Attributes:
        num_delivered, num_refused: messages so far.
    """

    def __init__(self, outbox: Outbox, receiver: Receiver) -> None:
        """Begins at once."""
        self.num_delivered = self.num_refused = 0
        self._outbox, self._receiver = outbox, receiver
        self._closing = threading.Event()
        self._until = 0.0  # when closing: how long to go on, time.monotonic()
        self._is_failing, self._said_at = False, -math.inf
        self._thread = threading.Thread(target=self._deliver, name=receiver.name, daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Goes on for up to so many seconds until nothing waits, then ends.

        What still waits stays on the disk, which is said.
        """
        self._until = time.monotonic() + seconds
        self._closing.set()
        self._outbox.wake()
        self._thread.join(seconds + 1.0)
        try:
            left = self._outbox.count(self._receiver.name)
        except OSError:  # said by the thread
            return
        if left:
            say(f"{self._receiver.shown}: messages that wait for the next start: {left}")

    def _deliver(self) -> None:
        wait = FIRST_WAIT_S
        while not self._closing.is_set() or time.monotonic() < self._until:
            try:
                closing = self._closing.is_set()
                message = self._outbox.oldest(self._receiver.name, 0.0 if closing else 1.0)
                if message:
                    self._send(message)
                    wait = FIRST_WAIT_S
                elif closing:
                    break
            except Exception as error:  # whatever a receiver answers, it is tried again
                self._say_why(error)
                if self._closing.wait(wait):
                    time.sleep(min(wait, 0.5))
                wait = min(2 * wait, LONGEST_WAIT_S)
        self._receiver.close()

    def _send(self, message: Waiting) -> None:
        try:
            self._receiver.send(message.name, message.body)
        except RefusedError as error:
            self.num_refused += 1
            say(f"warning: {self._receiver.shown}: refuses a message, which is left out ({error})")
        else:
            self.num_delivered += 1
        self._outbox.remove(message)
        if self._is_failing:
            self._is_failing = False
            say(f"{self._receiver.shown}: takes messages again")

    def _say_why(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._said_at >= (_SAY_EVERY_S if self._is_failing else _SAY_AGAIN_S):
            self._is_failing, self._said_at = True, now
            why = str(error) if isinstance(error, UndeliveredError) else f"{error!r}"
            say(
                f"warning: {self._receiver.shown}: a message was not delivered "
                f"({without_secrets(why)}); it is kept and tried again"
            )
