"""What training found on the videos that chose a checkpoint: calibration and thresholds.

W/calibration.json    of the best checkpoint; it names the step

A logit becomes a score by sigmoid(slope * logit + offset). Without the file, with that of another
step, or if nothing could be fitted, a run is uncalibrated: slope 1, offset 0.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.staged import write_json

NAME = "calibration.json"


@dataclasses.dataclass(frozen=True)
class Calibration:
    """From a logit to a score: sigmoid(slope * logit + offset), slope > 0."""

    slope: float
    offset: float


@dataclasses.dataclass(frozen=True)
class Stored:
    """The content of calibration.json.

    Attributes:
        step: of the checkpoint that it belongs to.
        num_segments: as of `ScoringRule`, of the scores that it was found on.
        num_normal, num_anomalous: videos that it was found on.
        calibration: None if nothing was fitted.
        reason: why nothing was fitted, else "".
        operating_points: as in metrics.json.
    """

    step: int
    num_segments: int
    num_normal: int
    num_anomalous: int
    calibration: Calibration | None
    reason: str
    operating_points: Sequence[Mapping[str, Any]]


def write_calibration(workdir: pathlib.Path, stored: Stored) -> None:
    """Writes calibration.json, whole or not at all."""
    write_json(workdir / NAME, dataclasses.asdict(stored))


def read_calibration(workdir: pathlib.Path) -> Stored | None:
    """Reads calibration.json; None if there is none. Raises UserError if it is damaged."""
    path = workdir / NAME
    if not path.is_file():
        return None
    cure = "remove it and run the training command again, or bring it back from where it came"
    with as_damaged(f"{path}: damaged; {cure}", OSError, RecursionError):
        content = json.loads(path.read_text(encoding="utf-8"))
        fitted = content.pop("calibration")
        calibration = None
        if fitted is not None:
            calibration = Calibration(float(fitted["slope"]), float(fitted["offset"]))
            if not (0 < calibration.slope < math.inf and math.isfinite(calibration.offset)):
                raise ValueError(f"slope {calibration.slope}, offset {calibration.offset}")
        stored = Stored(calibration=calibration, **content)
        for point in stored.operating_points:
            float(point["target_false_alarm_rate"])
        return dataclasses.replace(
            stored, step=int(stored.step), num_segments=int(stored.num_segments)
        )


def drop_later_calibration(workdir: pathlib.Path, step: int) -> None:
    """Removes calibration.json if it belongs to a later step, which training will make again."""
    try:
        stored = read_calibration(workdir)
    except UserError:  # training writes it again
        return
    if stored is not None and stored.step > step:
        (workdir / NAME).unlink()
