"""An event of a camera."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class LiveEvent:
    """An anomalous event of a camera, from its start on.

    Attributes:
        event_id: the same in every message about it.
        camera: name of the camera.
        start: Unix time in seconds.
        end: Unix time in seconds, None while it goes on.
        category: the most probable one, "" if the run has none.
        score: the highest so far, 0 to 1.
        thumbnail: JPEG of the frame at the highest score, None if there is none.
        ended_by: "score", "lost", "stop", or "" while it goes on.
    """

    event_id: str
    camera: str
    start: float
    end: float | None
    category: str
    score: float
    thumbnail: bytes | None = None
    ended_by: str = ""
