"""Thresholds of a run for streams, W/stream.json: made by an evaluation, used by detection.

They are other numbers than those of whole videos, because a stream's scores know no future.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.staged import write_json

NAME = "stream.json"


def write_points(workdir: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes stream.json whole or not at all.

    content: "step", of the checkpoint; "window", in segments; "split", the videos replayed, in
    words; "operating_points", a list of dicts with "target_false_alarm_rate", "threshold" and what
    was measured there. Raises UserError if the folder cannot be written.
    """
    path = workdir / NAME
    try:
        write_json(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def read_points(workdir: pathlib.Path, step: int) -> dict[str, Any] | None:
    """What `write_points` wrote for a checkpoint; None if there is none for this step.

    Raises UserError if the file is damaged.
    """
    path = workdir / NAME
    if not path.is_file():
        return None
    with as_damaged(f"{path}: damaged; evaluate --stream writes it again", OSError, RecursionError):
        content = json.loads(path.read_text(encoding="utf-8"))
        for point in content["operating_points"]:
            if not 0.0 <= float(point["target_false_alarm_rate"]) <= 1.0:
                raise ValueError("a rate is not in [0, 1]")
            float(point["threshold"])
        int(content["window"]), str(content["split"])
        return dict(content) if content["step"] == step else None
