"""The flags that say which detector is used and how: the same for recordings and for cameras."""

import dataclasses
import math
import pathlib
from collections.abc import Sequence

from absl import flags

from refinevad_jax.errors import UserError

flags.disclaim_key_flags()  # they belong to the entry point that asks


@dataclasses.dataclass(frozen=True)
class DetectorFlags:
    """Flags by their names; their values are known once the command line has been read."""

    workdir_flag: flags.FlagHolder[str]
    threshold: flags.FlagHolder[float | None]
    false_alarm_rate: flags.FlagHolder[float | None]
    window: flags.FlagHolder[int]
    step: flags.FlagHolder[str]
    encoder: flags.FlagHolder[str]
    weights: flags.FlagHolder[str]
    num_crops: flags.FlagHolder[str]
    batch_size: flags.FlagHolder[int]
    allow_mismatch: flags.FlagHolder[bool]

    @property
    def workdir(self) -> pathlib.Path | None:
        """Folder of the run, None for the detector that ships."""
        return pathlib.Path(self.workdir_flag.value) if self.workdir_flag.value else None

    def chosen_threshold(self) -> tuple[float | None, float | None]:
        """The threshold and the rate of false alarms, of which one at most is given.

        Raises UserError if both are.
        """
        if self.threshold.value is not None and self.false_alarm_rate.value is not None:
            raise UserError("--threshold and --false_alarm_rate: give one of them")
        return self.threshold.value, self.false_alarm_rate.value


def detector_flags(encoders: Sequence[str]) -> DetectorFlags:
    """Defines them. encoders: names that --encoder takes."""
    found = DetectorFlags(
        flags.DEFINE_string(
            "workdir",
            "",
            "Folder of the run, as given to refinevad_jax.main; if not given, the detector that "
            "ships.",
        ),
        *_threshold_flags(),
        flags.DEFINE_integer(
            "window",
            64,
            "Segments that the network looks back on in a live source. The stored thresholds are "
            "for 64.",
            1,
            4096,
        ),
        flags.DEFINE_string("step", "best", "Checkpoint: best, last, or a step number."),
        flags.DEFINE_enum(
            "encoder", "", ["", *encoders], "Encoder of videos; if empty, the run's own."
        ),
        flags.DEFINE_string("weights", "", "File of OpenAI's ViT-L/14 weights, for clip."),
        flags.DEFINE_enum(
            "num_crops",
            "0",
            ["0", "1", "10"],
            "Crops per segment, averaged; 0: as many as in training.",
        ),
        flags.DEFINE_integer(
            "batch_size", 4, "Segments that are encoded together, at most.", 1, 4096
        ),
        flags.DEFINE_bool(
            "allow_mismatch", False, "Accept another encoder or number of crops than in training."
        ),
    )
    flags.register_validator(
        "threshold", lambda value: value is None or math.isfinite(value), "give a number"
    )
    return found


def _threshold_flags() -> tuple[flags.FlagHolder[float | None], flags.FlagHolder[float | None]]:
    return (
        flags.DEFINE_float(
            "threshold",
            None,
            "Score from 0 to 1 at which an event begins. If not given, the threshold stored for "
            "1 % false alarms (for a live source by evaluate --stream), or 0.5 if none is stored.",
            0.0,
            1.0,
        ),
        flags.DEFINE_float(
            "false_alarm_rate",
            None,
            "In place of --threshold: use the threshold stored for this share of false alarms, "
            "0.001, 0.01 or 0.05, or R after evaluate --false_alarm_rate=R. Thresholds of a "
            "validation split take precedence over those of training, and these over those of a "
            "test split.",
            0.0,
            1.0,
        ),
    )
