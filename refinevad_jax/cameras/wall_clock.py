"""Unix time of moments of time.monotonic(), if the clock of this computer may be set."""

import time
from collections.abc import Callable

from refinevad_jax.detection.live_source import say

_STEP_S = 1.0  # what differs by more was set; less is the slow correction of every clock


class WallClock:
    """Follows the computer's clock, and says when it was set.

    Attributes:
        offset: Unix time less time.monotonic(), in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """now: the computer's clock, in Unix time."""
        self._now = now
        self.offset = now() - time.monotonic()

    def look(self) -> None:
        """Takes over what the clock shows now."""
        offset = self._now() - time.monotonic()
        moved = offset - self.offset
        if abs(moved) > _STEP_S:
            say(
                f"warning: the clock of this computer was set by {moved:+.1f} s; times follow it, "
                "except those of events that have begun"
            )
        self.offset = offset
