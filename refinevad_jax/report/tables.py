"""The tables made of metrics.json: of one evaluation, of the seeds of a run, of many runs.

Which metrics a table shows, and under which title, is in `metrics.names`. The functions take the
content of metrics.json files; a missing key means a damaged file and raises KeyError.
"""

import dataclasses
import pathlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.metrics import names

LAST_STEP = "the last step"  # as the rule of selection, in words
# What must agree in all runs of one row.
SAME = (
    "dataset",
    "split",
    "truth_hash",
    "num_frames",
    "num_segments",
    "selection",
    "end_convention",
)


@dataclasses.dataclass(frozen=True)
class Block:
    """A table with what it says: a part of a page.

    Attributes:
        title: its heading.
        header: of the columns.
        rows: cells, as many as columns.
        note: what was measured and how, in sentences.
        claims: what follows from the numbers, a line each.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    claims: Sequence[str]

    def markdown(self) -> str:
        """As Markdown, with a heading of the second level."""
        table = markdown_table(self.header, self.rows)
        claims = [f"- {claim}" for claim in self.claims]
        return "\n".join([f"## {self.title}", "", *table, "", self.note, "", *claims]) + "\n"


def number(value: float | None, digits: int = 4) -> str:
    """A fraction, or a dash if it is not defined."""
    return "–" if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign, without one if it is 0 in these digits, or a dash."""
    if value is None:
        return "–"
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def percent(value: float | None) -> str:
    """A fraction in percent, as papers print mAP."""
    return "–" if value is None else f"{100 * value:.2f}"


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of columns as wide as their widest cell, with two blanks between them.

    left: how many columns are aligned to the left, from the first; the others are numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def short_percent(value: float | None) -> str:
    """A fraction in percent, with one decimal and the sign."""
    return "–" if value is None else f"{100 * value:.1f} %"


def threshold_text(value: float | None) -> str:
    """A score with three digits, or as many as it takes to tell it from 0 and 1."""
    if value is None:
        return "–"
    texts = [f"{value:.{digits}f}" for digits in range(3, 17)]
    return next((text for text in texts if float(text) not in (0.0, 1.0)), texts[0])


def mean_and_deviation(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Mean and standard deviation (of a sample; 0 for one value); None if a value is None."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return statistics.mean(known), statistics.stdev(known) if len(known) > 1 else 0.0


def spread(values: Sequence[float | None]) -> str:
    """Mean ± standard deviation, only the mean for one value, or a dash if one is not defined."""
    found = mean_and_deviation(values)
    if found is None:
        return "–"
    mean, deviation = found
    return f"{mean:.3f} ± {deviation:.3f}" if len(values) > 1 else f"{mean:.3f}"


def metric_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The metrics of an evaluation: title, note, value, and the interval's ends or None.

    The last rows are what position alone gives, for reference, and the target of L_GMM.
    """
    rows = []
    for metric in names.shown_in(names.EVALUATION):
        interval = metrics["intervals"].get(metric.key) or {}
        rows.append(
            {
                "name": metric.title,
                "note": metric.note,
                "value": metric.of(metrics),
                "low": interval.get("low"),
                "high": interval.get("high"),
            }
        )
    position = metrics.get("position_only") or {}
    for key in names.POSITION_ONLY:
        title = f"{names.titles()[key]}, position only"
        note, value = names.POSITION_NOTE, position.get(key)
        rows.append({"name": title, "note": note, "value": value, "low": None, "high": None})
    target, key = metrics.get("mixture_target"), "single_video_auc"
    if target:
        title = f"{names.titles()[key]}, target of L_GMM"
        row = {"name": title, "note": names.MIXTURE_NOTE, "value": target.get(key)}
        rows.append(row | {"low": None, "high": None})
    return rows


def localization_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """mAP@IoU: rule, convention, values at each IoU and their mean."""
    return [
        {"rule": title, "key": key, "note": note, **found[rule][key]}
        for key, note in names.CONVENTIONS.items()
        for rule, title in names.RULES.items()
        if key in found.get(rule, {})
    ]


def facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was measured on what: the protocol that every number of the page shares."""
    segments = metrics["num_segments"]
    none = "" if metrics["num_videos_with_truth"] else "none: no video has frame truth"
    frames = f"{metrics['num_frames']:,}, {metrics['num_positive_frames']:,} anomalous"
    return [
        ("Data set", f"{metrics['dataset']}, split {metrics['split']}"),
        ("Its source", metrics.get("source") or "not stated"),
        ("Scores", metrics["scored_by"]),
        *([("Inputs", metrics["inputs"])] if metrics.get("inputs") else []),
        ("Selection rule", metrics["selection"]),
        (
            "Videos",
            f"{metrics['num_videos']}, {metrics['num_anomalous_videos']} anomalous; "
            f"{metrics['num_videos_with_truth']} with frame truth",
        ),
        ("Frames", none or frames),
        ("Truth hash", none or metrics["truth_hash"]),
        ("End of a span", metrics["end_convention"]),
        ("Frames per segment", str(metrics["frames_per_segment"])),
        ("Resolution", f"{segments} scores per video" if segments else "full sequences"),
        ("Crops", f"{metrics['num_crops']}, scores averaged"),
        ("Features", metrics["encoder"]),
        ("Seed", "–" if metrics["seed"] is None else str(metrics["seed"])),
        ("Trained by commit", metrics.get("commit") or "not known"),
        *library_facts(metrics),
    ]


def library_facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The versions that computed the numbers, and what was another one in training."""
    here, trained = (metrics.get(key) or {} for key in ("versions", "trained_versions"))
    other = {name: text for name, text in trained.items() if text != here.get(name)}

    def in_words(found: Mapping[str, str]) -> str:
        return ", ".join(f"{name} {text}" for name, text in found.items() if name != "commit")

    same = "the same versions" if trained else "not known"
    return [
        ("Computed with", in_words(here) or "not known"),
        ("Trained with", in_words(other) or same),
    ]


def measured_on(content: Mapping[str, Any]) -> str:
    """The videos, the frames and the truth of an evaluation, and how its checkpoint was chosen."""
    chosen = content["step_chosen_as"]
    scores = checkpoint_in_words(chosen, content["selection"]) if chosen else content["scored_by"]
    inputs = f"; {content['inputs']}" if content.get("inputs") else ""
    return f"{content['num_videos']} videos, {_truth(content)}; {scores}{inputs}"


def checkpoint_in_words(chosen: str, selection: str) -> str:
    """Which checkpoint of a run was scored.

    Args:
        chosen: "best", "last" or the number of a step.
        selection: how the best one was chosen, in words; LAST_STEP if no metric chose it.
    """
    if chosen == "last" or (chosen, selection) == ("best", LAST_STEP):
        return LAST_STEP
    return f"checkpoint best by {selection}" if chosen == "best" else f"step {chosen}"


def _truth(content: Mapping[str, Any]) -> str:
    """The frame truth of an evaluation in words."""
    if not content["num_videos_with_truth"]:
        return "no frame truth"
    return (
        f"{content['num_videos_with_truth']} with frame truth ({content['num_frames']:,} frames, "
        f"{content['num_positive_frames']:,} anomalous, truth {content['truth_hash'][:12]})"
    )


def commits(contents: Sequence[Mapping[str, Any]]) -> str:
    """The commits of this project that trained the evaluated runs."""
    return ", ".join(sorted({content.get("commit") or "not known" for content in contents}))


def evaluation_table(content: Mapping[str, Any]) -> str:
    """The metrics of an evaluation as text, with what they were measured on."""
    simulated = " (simulated data)" if content["simulated"] else ""
    segments = content["num_segments"]
    resolution = f"{segments} segments per video" if segments else "full sequences"
    num_crops = content["num_crops"]
    lines = [
        f"{content['dataset']}, split {content['split']}{simulated}, {content['scored_by']}, "
        f"{resolution}",
        f"{content['num_videos']} videos ({content['num_anomalous_videos']} anomalous), "
        f"{_truth(content)}, ends {content['end_convention']}, "
        f"{num_crops} crop{'s' * (num_crops != 1)}",
    ]
    lines += [f"{key}: {content[key]}" for key in ("source", "inputs") if content.get(key)]
    for row in metric_rows(content):
        has_interval = row["low"] is not None
        interval = f"  [{number(row['low'])}, {number(row['high'])}]" if has_interval else ""
        value = "not defined" if row["value"] is None else number(row["value"])
        lines.append(f"  {row['name']:38s} {value}{interval}")
    name, brier = calibration_in_words(content["calibration"])
    lines += [*_operating_lines(content), f"  {name:38s} {brier}"]
    return "\n".join([*lines, *_localization_lines(content["localization"])])


def _operating_lines(content: Mapping[str, Any]) -> list[str]:
    """A line per operating point of this split, and the threshold of the events."""
    lines = []
    for point in content["operating_points"]:
        name = f"threshold for {100 * point['target_false_alarm_rate']:g} % false alarms"
        count = point["num_normal_segments"]
        few = "" if point["false_alarm_rate"] else f"; above the highest of {count} normal segments"
        lines.append(
            f"  {name:38s} {number(point['threshold'])}  (anomalous frames found: "
            f"{number(point['detection_rate'])}, videos: "
            f"{number(point['anomalous_videos_found'])}{few})"
        )
    alarm = content["alarm_threshold"]
    return [
        *lines,
        f"  {'events at the threshold':38s} {number(alarm['threshold'])}  ({alarm['source']})",
    ]


def calibration_in_words(calibration: Mapping[str, Any]) -> tuple[str, str]:
    """The Brier score of the video scores: its name, and the number with what to know of it."""
    before, after, note = (calibration[key] for key in ("before", "after", "note"))
    if before is None:
        return "Brier score of videos", "not defined, scores leave [0, 1]"
    if after is None:
        why = f"not calibrated: {note}" if note else "not calibrated"
        return "Brier score of videos", f"{number(before['brier'])}  ({why})"
    known = f"before: {number(before['brier'])}; fitted on {note}"
    return "Brier score of videos, calibrated", f"{number(after['brier'])}  ({known})"


def _localization_lines(found: Mapping[str, Any]) -> list[str]:
    """mAP@IoU, one line per rule and convention, in percent as papers print it."""
    rows = [
        [row["rule"], row["key"], *map(percent, [*row["at"], row["mean"]])]
        for row in localization_rows(found)
    ]
    lines = []
    if rows:
        header = ["mAP@IoU, percent", "", *(f"{iou:.1f}" for iou in found["iou_thresholds"])]
        lines = [f"  {line}" for line in aligned([[*header, "mean"], *rows], left=2)]
    if found["no_categories"]:
        lines.append(f"  no mAP by category: {found['no_categories']}")
    return lines


def seeds_table(contents: Sequence[Mapping[str, Any]]) -> str:
    """Mean and deviation over the seeds of a run, of every metric that is defined in all seeds."""
    first = contents[0]
    seeds = ", ".join(str(content["seed"]) for content in contents)
    lines = [f"{first['dataset']}, split {first['split']}: mean ± deviation over seeds {seeds}"]
    for metric in names.shown_in(names.SEEDS):
        found = mean_and_deviation([metric.of(content) for content in contents])
        if found:
            lines.append(f"  {metric.title:24s} {found[0]:.4f} ± {found[1]:.4f}")
    return "\n".join(lines)


def result_table(rows: Mapping[str, Mapping[pathlib.Path, Mapping[str, Any]]]) -> str:
    """The results page: a Markdown table with a line per row on what was measured.

    rows: name of a row to the evaluation folders of its seeds with their metrics.json. Raises
    UserError for a damaged file, or if seeds of a row were measured on different things.
    """
    metrics = names.shown_in(names.RESULTS)
    header = ["model", "test resolution", "seeds", *(metric.title for metric in metrics)]
    table: list[list[str]] = []
    notes = []
    for name, evaluations in rows.items():
        check_same(name, evaluations)
        contents = list(evaluations.values())
        with as_damaged(f"{next(iter(evaluations))}: damaged; evaluate again"):
            first = contents[0]
            segments = f"{first['num_segments']} segments" if first["num_segments"] else "full"
            given = first["step"] is None  # scores, not a run
            seeds = "–" if given else ", ".join(str(content["seed"]) for content in contents)
            cells = [spread([metric.of(content) for content in contents]) for metric in metrics]
            table.append([name, segments, seeds, *cells])
            simulated = ", simulated data" if first["simulated"] else ""
            steps = ", ".join(str(content["step"]) for content in contents)
            training = "" if given else f", steps {steps}; trained by commit {commits(contents)}"
            notes.append(
                f"- {name}: {first['dataset']}, split {first['split']}{simulated}, "
                f"{measured_on(first)}{training}."
            )
    several = any(len(evaluations) > 1 for evaluations in rows.values())
    spreads = ["Mean ± standard deviation over the seeds.", ""] if several else []
    lines = [*markdown_table(header, table), "", *spreads]
    return "\n".join([*lines, *notes]) + "\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, *rows)]
    return [lines[0], "|" + "---|" * len(header), *lines[1:]]


def check_same(name: str, evaluations: Mapping[pathlib.Path, Mapping[str, Any]]) -> None:
    """Raises UserError if the seeds of one row were not measured on the same thing."""
    first, content = next(iter(evaluations.items()))
    for key in SAME:
        for folder, other in evaluations.items():
            if other.get(key) != content.get(key):
                raise UserError(
                    f"seeds of {name!r} differ: {key} is {other.get(key)!r} in {folder} and "
                    f"{content.get(key)!r} in {first}; evaluate them the same way"
                )
