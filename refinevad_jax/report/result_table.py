"""The results page: mean and spread over the seeds of runs, from their metrics.json files."""

import json
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from refinevad_jax.errors import UserError, as_damaged

COLUMNS = {
    "frame_auc": "frame AUC",
    "frame_ap": "frame AP",
    "anomalous_frame_auc": "AUC, anomalous videos",
    "video_auc": "video AUC",
    "category_accuracy": "category accuracy",
    # By proposals, mean over IoU 0.1 to 0.5 and the anomaly categories.
    "localization.proposals.anomaly.mean": "mAP@IoU",
}
# What must agree for runs to stand in one row.
SAME = (
    "dataset",
    "split",
    "truth_hash",
    "num_frames",
    "num_segments",
    "selection",
    "end_convention",
)


def result_table(rows: Mapping[str, Sequence[pathlib.Path]]) -> str:
    """A Markdown table with a line on what was measured.

    rows: name of a row to the evaluation folders of its seeds. Raises UserError where a folder
    holds no metrics.json or seeds of a row were measured on different things.
    """
    lines = [
        "| model | test resolution | seeds | " + " | ".join(COLUMNS.values()) + " |",
        "|---|---|---|" + "---|" * len(COLUMNS),
    ]
    notes = []
    for name, folders in rows.items():
        found = [read_metrics(folder) for folder in folders]
        check_same(name, folders, found)
        with as_damaged(f"{folders[0]}: metrics.json is damaged; evaluate again"):
            row, note = _row(name, found)
        lines.append(row)
        notes.append(note)
    return "\n".join([*lines, "", "Mean ± standard deviation over the seeds.", "", *notes]) + "\n"


def _row(name: str, found: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The line of a row, and what was measured."""
    first = found[0]
    segments = f"{first['num_segments']} segments" if first["num_segments"] else "full"
    seeds = ", ".join(str(item["seed"]) for item in found)
    cells = [spread([value(item, key) for item in found]) for key in COLUMNS]
    row = f"| {name} | {segments} | {seeds} | " + " | ".join(cells) + " |"
    simulated = ", simulated data" if first["simulated"] else ""
    note = (
        f"- {name}: {first['dataset']}, split {first['split']}{simulated}, "
        f"{first['num_videos']} videos, {first['num_videos_with_truth']} with frame truth "
        f"({first['num_frames']:,} frames, {first['num_positive_frames']:,} anomalous, truth "
        f"{first['truth_hash'][:12]}); checkpoint {first['step_chosen_as']} by "
        f"{first['selection']}, steps {', '.join(str(item['step']) for item in found)}; trained by "
        f"commit {first.get('commit') or 'not known'}."
    )
    return row, note


def value(content: Mapping[str, Any], key: str) -> float | None:
    """A number of metrics.json by its dotted key; None where it is not defined."""
    found: Any = content
    for part in key.split("."):
        found = (found or {}).get(part)
    return found


def read_metrics(folder: pathlib.Path) -> dict[str, Any]:
    """metrics.json of an evaluation folder."""
    path = folder / "metrics.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: no results to read; run refinevad_jax.evaluate first") from error


def check_same(
    name: str, folders: Sequence[pathlib.Path], found: Sequence[Mapping[str, Any]]
) -> None:
    """Raises UserError where seeds of one row were not measured on the same thing."""
    for key in SAME:
        for folder, item in zip(folders, found, strict=True):
            own, first = item.get(key), found[0].get(key)
            if own != first:
                raise UserError(
                    f"row {name!r}: {key} is {own!r} in {folder} and {first!r} in {folders[0]}; "
                    "evaluate them the same way"
                )


def spread(values: Sequence[float | None]) -> str:
    """Mean ± standard deviation (of a sample), or a dash where a number is not defined."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "–"
    mean = f"{statistics.mean(known):.3f}"
    return f"{mean} ± {statistics.stdev(known):.3f}" if len(known) > 1 else mean
