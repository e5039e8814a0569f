"""How a run's scores are made, and the thresholds on scores that were made so.

Evaluation, detection, streams and exported files follow one rule. A threshold counts only for
scores of the rule that it was found with.
"""

import dataclasses
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from refinevad_jax.runs.calibration import Calibration, read_calibration
from refinevad_jax.runs.evaluations import all_metrics
from refinevad_jax.runs.run import Run

# Shares of the segments of normal videos that may be flagged; thresholds are stored for each.
FALSE_ALARM_RATES = (0.001, 0.01, 0.05)
DEFAULT_RATE = 0.01  # of detection, and of the events in a report


@dataclasses.dataclass(frozen=True)
class ScoringRule:
    """How the scores of a run are made.

    Attributes:
        step: of the checkpoint.
        num_segments: every video is resampled to so many bins, 0 for its full sequence.
        calibration: from logits to scores; None if the run is not calibrated.
        note: why it is not, else "".
    """

    step: int
    num_segments: int
    calibration: Calibration | None = None
    note: str = ""

    @property
    def resolution(self) -> str:
        """The resolution in words."""
        return in_words(self.num_segments)


def in_words(num_segments: int) -> str:
    """A resolution in words."""
    return f"in {num_segments} bins per video" if num_segments else "at full length"


def scoring_rule(
    run: Run, workdir: pathlib.Path, step: int, num_segments: int | None = None
) -> ScoringRule:
    """The rule of a run's checkpoint. Raises UserError if calibration.json is damaged.

    step: its number; num_segments: another resolution than config.eval.num_segments.
    """
    segments = run.config.eval.num_segments if num_segments is None else num_segments
    stored = read_calibration(workdir)
    if stored is None:
        note = f"{workdir} has no calibration.json; the training command, run again, makes it"
    elif stored.step != step:
        note = f"calibration.json belongs to step {stored.step}, not to step {step}"
    else:
        return ScoringRule(step, segments, stored.calibration, stored.reason)
    return ScoringRule(step, segments, None, note)


def override_note(run: Run, num_segments: int | None) -> str:
    """One line if num_segments changes the rule of a run, else ""."""
    own = run.config.eval.num_segments
    if num_segments is None or num_segments == own:
        return ""
    return (
        f"--num_segments={num_segments}: scored {in_words(num_segments)}; the run itself scores "
        f"{in_words(own)}, and its stored thresholds are for that"
    )


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A threshold on segment scores.

    Attributes:
        value: a segment at or above it is flagged.
        source: its origin in words.
        found: share of the anomalous videos that have a segment at or above it, where it was
            found; None if not known.
    """

    value: float
    source: str
    found: float | None = None

    @property
    def words(self) -> str:
        """Origin and share of videos found."""
        if self.found is None:
            return self.source
        return f"{self.source}, where {100 * self.found:.0f} % of the anomalous videos reach it"


def stored_threshold(
    workdir: pathlib.Path,
    run: Run,
    rule: ScoringRule,
    rate: float,
    *,
    evaluations: Mapping[str, Mapping[str, Any]] | None = None,
) -> Threshold | None:
    """The threshold stored for a false-alarm rate and this rule; None if there is none.

    An evaluation of the run's data set on another split than test and training comes first, then
    what training found, then an evaluation on test, which the source says.
    evaluations: metrics.json by name; those of the workdir if not given.
    """
    found = all_metrics(workdir) if evaluations is None else evaluations
    candidates = [*_of_evaluations(run, rule, found), *_of_training(workdir, run, rule)]
    for _, where, points in sorted(candidates, key=lambda candidate: candidate[0]):
        threshold = point_threshold(points, rate, where)
        if threshold is not None:
            return threshold
    return None


def point_threshold(
    points: Sequence[Mapping[str, Any]], rate: float, where: str
) -> Threshold | None:
    """The threshold of the operating point of a rate; None if there is none.

    where: where the point was found, in words.
    """
    for point in points:
        value = point["threshold"]
        if (
            value is None
            or not math.isfinite(value)
            or not math.isclose(point["target_false_alarm_rate"], rate)
        ):
            continue
        count = int(point["num_normal_segments"])
        few = "" if point["false_alarm_rate"] else f"; above the highest of {count} normal segments"
        return Threshold(
            float(value),
            f"{100 * rate:g} % false alarms on {where}{few}",
            point["anomalous_videos_found"],
        )
    return None


_Candidate = tuple[tuple[int, str], str, Sequence[Mapping[str, Any]]]


def _of_evaluations(
    run: Run, rule: ScoringRule, evaluations: Mapping[str, Mapping[str, Any]]
) -> Iterator[_Candidate]:
    fitted = rule.calibration
    expected = {
        "step": rule.step,
        "num_segments": rule.num_segments,
        "dataset": run.config.data.dataset,
        "slope": fitted and fitted.slope,
        "offset": fitted and fitted.offset,
    }
    for name, content in evaluations.items():
        try:
            facts = {key: content[key] for key in ("step", "num_segments", "dataset")}
            facts |= {key: content["calibration"][key] for key in ("slope", "offset")}
            split, points = content["split"], list(content["operating_points"])
            for point in points:
                point_threshold([point], point["target_false_alarm_rate"], split)
        except (LookupError, TypeError, ValueError):  # of another version, or damaged
            continue
        own = facts == expected and "stream" not in content  # those are in stream.json
        if own and split != run.config.data.train_split:
            is_test = split == "test"
            where = "test (chosen on test: too good to be expected)" if is_test else split
            yield (2 * is_test, name), where, points


def _of_training(workdir: pathlib.Path, run: Run, rule: ScoringRule) -> Iterator[_Candidate]:
    stored = read_calibration(workdir)
    if stored and (stored.step, stored.num_segments) == (rule.step, rule.num_segments):
        yield (
            (1, ""),
            f"the selection videos ({run.chosen_on})",
            (stored.operating_points),
        )
