"""What is sent of an event: one JSON object when it begins, one when it has ended."""

import base64
import datetime
import json
from typing import Any

from refinevad_jax.cameras.event import LiveEvent


def describe(event: LiveEvent) -> dict[str, Any]:
    """The message of an event as it is now: all but the picture.

    `id` is the same in the message of the start and in that of the end, so that (`id`, `message`)
    tells a message that comes twice.
    """
    return {
        "message": "start" if event.end is None else "end",
        "id": event.event_id,
        "camera": event.camera,
        "start": utc(event.start),
        "start_unix": round(event.start, 3),
        "end": None if event.end is None else utc(event.end),
        "end_unix": None if event.end is None else round(event.end, 3),
        "category": event.category,
        "score": round(event.score, 6),
        "ended_by": event.ended_by,
    }


def encode(event: LiveEvent) -> str:
    """One line of JSON with the picture, in base64."""
    picture = event.thumbnail and base64.b64encode(event.thumbnail).decode()
    return json.dumps(describe(event) | {"thumbnail_jpeg": picture or None})


def decode(line: str) -> LiveEvent:
    """What `encode` has written. Raises ValueError, KeyError or TypeError if it is not that."""
    found = json.loads(line)
    picture = found["thumbnail_jpeg"]
    return LiveEvent(
        event_id=str(found["id"]),
        camera=str(found["camera"]),
        start=float(found["start_unix"]),
        end=None if found["end_unix"] is None else float(found["end_unix"]),
        category=str(found["category"]),
        score=float(found["score"]),
        thumbnail=base64.b64decode(picture) if picture else None,
        ended_by=str(found["ended_by"]),
    )


def utc(seconds: float) -> str:
    """Unix time as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(round(seconds, 3), datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
