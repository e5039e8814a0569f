"""From the scores of a camera to its events: one begins, goes on, ends."""

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Literal

import numpy as np

from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.picture import jpeg

Change = Literal["start", "update", "end"]


class EventTracker:
    """The event of one camera that goes on, if there is one.

    An event begins with the first segment whose score reaches the threshold and ends with the last
    one, as soon as none has for a while. Its times keep the distances of time.monotonic(), even if
    the computer's clock is set meanwhile.
    """

    def __init__(self, camera: str, categories: Sequence[str], end_after: float) -> None:
        """end_after: seconds below the threshold after which an event has ended."""
        self._camera, self._categories, self._end_after = camera, categories, end_after
        self._event: LiveEvent | None = None
        self._offset = self._last = 0.0  # Unix time less monotonic; end of the last segment of it

    @property
    def is_open(self) -> bool:
        """Whether an event goes on."""
        return self._event is not None

    @property
    def last(self) -> float:
        """Unix time at which the open event would end if nothing more came."""
        return self._last + self._offset

    def push(
        self,
        start: float,
        end: float,
        offset: float,
        *,
        score: float,
        probs: np.ndarray,
        threshold: float,
        picture: np.ndarray,
    ) -> tuple[Change, LiveEvent] | None:
        """Takes the next segment; what it changed, None if nothing.

        start, end: of the segment, time.monotonic(); offset: from there to Unix time; probs: [C];
        picture: [y, x, 3] uint8, of the segment.
        """
        reaches = score >= threshold
        if self._event is None:
            if not reaches:
                return None
            self._offset, self._last = offset, end
            self._event = LiveEvent(
                event_id=uuid.uuid4().hex,
                camera=self._camera,
                start=start + offset,
                end=None,
                category=self._named(probs),
                score=score,
                thumbnail=jpeg(picture),
            )
            return "start", self._event
        if reaches:
            self._last = end
        elif end - self._last >= self._end_after:
            ended = self.end("score")
            assert ended
            return "end", ended
        if score > self._event.score:
            self._event = dataclasses.replace(
                self._event, score=score, category=self._named(probs), thumbnail=jpeg(picture)
            )
            return "update", self._event
        return ("update", self._event) if reaches else None

    def end(self, why: str) -> LiveEvent | None:
        """Ends the open event, if there is one. why: as LiveEvent.ended_by."""
        event, self._event = self._event, None
        return event and dataclasses.replace(event, end=self.last, ended_by=why)

    def _named(self, probs: np.ndarray) -> str:
        return self._categories[int(probs.argmax())] if len(self._categories) else ""
