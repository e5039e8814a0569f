"""What stands for sources, boards and sinks: they play at once and remember."""

import contextlib
import dataclasses
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.sinks import Sinks
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
        assert set(more) == {"frames_per_second", "dropped", "last_seen"}
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
        return [json.loads(line) for line in self._text.getvalue().splitlines()]
