"""What stands for sources, boards and sinks: they play at once and remember."""

import contextlib
import dataclasses
import io
import json
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.sinks import EventFile, Sinks
from refinevad_jax.encoders.video import Frame


class Source(contextlib.nullcontext[Any]):
    """What stands for refinevad_jax.encoders.video.Video: frames, then an end or a break."""

    def __init__(self, frames: list[np.ndarray], broken: str = "", *, recording: bool = False):
        super().__init__()
        self.frames, self.broken, self.is_recording = frames, broken, recording
        self.warnings: list[str] = []

    def __enter__(self) -> "Source":
        return self

    def __iter__(self) -> Iterator[Frame]:
        for number, pixels in enumerate(self.frames):
            yield Frame(pixels, number / 25)


@dataclasses.dataclass
class Board:
    """What stands for refinevad_jax.cameras.board.Board."""

    states: list[str] = dataclasses.field(default_factory=list)
    scores: list[tuple[str, float, float]] = dataclasses.field(default_factory=list)
    events: dict[str, LiveEvent] = dataclasses.field(default_factory=dict)
    thresholds: list[float] = dataclasses.field(default_factory=list)

    def health(self, camera: str, *, state: str, **more: Any) -> None:
        assert set(more) == {"frames_per_second", "dropped", "late_seconds", "last_seen"}
        self.states.append(state)

    def score(self, camera: str, time: float, score: float) -> None:
        self.scores.append((camera, time, score))

    def event(self, event: LiveEvent) -> None:
        self.events[event.event_id] = event

    def set_threshold(self, threshold: float) -> None:
        self.thresholds.append(threshold)


class Printed:
    """Sinks that print to memory. lines: what they printed."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self.sinks = Sinks(self._text, None, None)

    @property
    def lines(self) -> list[dict[str, Any]]:
        settle(self.sinks)
        return [json.loads(line) for line in self._text.getvalue().splitlines()]


class SlowFile(EventFile):
    """A disk that takes nothing until it is told to go on."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.goes_on = threading.Event()
        super().__init__(folder, 10_000, 2)

    def write(self, line: str) -> None:
        assert self.goes_on.wait(20)
        super().write(line)


def settle(sinks: Sinks) -> None:
    """Waits until nothing waits in memory, 20 s at most."""
    until = time.monotonic() + 20
    while any(one.check() or any(one.waiting()) for one in sinks._backlogs.values()):
        assert time.monotonic() < until
        time.sleep(0.001)
