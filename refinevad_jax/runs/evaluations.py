"""The evaluation folder: what is in it, and the only place that writes and reads it.

metrics.json    every number, and what it was measured on
scores.npz      arrays: what was said of each video, and its annotated spans
videos.csv      one row per video
events.json     the events found at the operating point
report.html, curves/, curves.png, figures/    drawn by the caller
"""

import contextlib
import csv
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.files.staged import replace_folder, staging_folder, write_json
from refinevad_jax.runs.published import published_evaluations
from refinevad_jax.runs.run import refuse_several_seeds, seed_workdirs


def evaluation_folder(workdir: pathlib.Path, name: str) -> pathlib.Path:
    """Where an evaluation of a run lies."""
    return workdir / "eval" / name


def write_evaluation(
    folder: pathlib.Path,
    metrics: Mapping[str, Any],
    arrays: Mapping[str, Any],
    *,
    rows: Sequence[Mapping[str, Any]],
    events: Mapping[str, Any],
    draw: Callable[[pathlib.Path], None] = lambda folder: None,
) -> list[str]:
    """Writes the folder whole or not at all; an earlier one stays until the new one is complete.

    metrics: content of metrics.json; arrays: of scores.npz; rows: of videos.csv, one per video;
    events: content of events.json; draw: writes figures and pages into a folder. Returns the names
    of what is in the folder. Raises UserError if the folder cannot be written.
    """
    with staging_folder(folder) as staging:
        new = staging / "results"
        new.mkdir()
        np.savez_compressed(new / "scores.npz", **arrays)
        with (new / "videos.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_json(new / "events.json", events)
        draw(new)
        write_json(new / "metrics.json", metrics)
        names = sorted(path.name + "/" * path.is_dir() for path in new.iterdir())
        replace_folder(new, folder)
    return names


def find_evaluation(path: pathlib.Path) -> pathlib.Path:
    """The evaluation folder that is meant: the path itself, or the only one of a workdir.

    Raises UserError if it has none, or more than one.
    """
    if (path / "metrics.json").is_file():
        return path
    found = _folders(path)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(folder) for folder in found)
        raise UserError(f"{path} has {len(found)} evaluations; name one of {names}")
    refuse_several_seeds(path)
    raise _missing(path)


def read_metrics(folder: pathlib.Path) -> dict[str, Any]:
    """The content of metrics.json. Raises UserError if it is missing or damaged."""
    path = folder / "metrics.json"
    if not path.is_file():
        raise _missing(folder)
    with damaged(folder):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def read_evaluation(folder: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """metrics.json and the arrays of scores.npz. Raises UserError if one is missing or damaged."""
    metrics = read_metrics(folder)
    with damaged(folder):
        return metrics, load_packed(folder / "scores.npz")


def stored_seeds(workdir: pathlib.Path, name: str) -> list[dict[str, Any]]:
    """metrics.json of the evaluation of that name, of every seed that has one."""
    folders = [evaluation_folder(seed, name) for seed in seed_workdirs(workdir)]
    return [read_metrics(folder) for folder in folders if (folder / "metrics.json").is_file()]


def all_metrics(workdir: pathlib.Path) -> dict[str, dict[str, Any]]:
    """metrics.json of every evaluation of a run, by name; damaged ones are left out."""
    found = published_evaluations(workdir)
    for folder in _folders(workdir):
        with contextlib.suppress(UserError):
            found[folder.name] = read_metrics(folder)
    return found


def operating_points(workdir: pathlib.Path) -> dict[str, dict[str, Any]]:
    """metrics.json of the evaluations of a run that have a threshold, by name.

    Left out are damaged ones, those without normal videos, which have no threshold, and those of
    streams, whose thresholds are in stream.json.
    """
    found = {}
    for name, content in all_metrics(workdir).items():
        try:
            point = content["operating_point"]
            float(point["threshold"]), float(point["target_false_alarm_rate"])
            content["step"], content["split"], content["dataset"], content["num_segments"]
            if "stream" in content:
                continue
        except (ValueError, LookupError, TypeError):
            continue
        found[name] = content
    return found


def damaged(folder: pathlib.Path) -> AbstractContextManager[None]:
    """Turns whatever damaged files of an evaluation lead to into one UserError."""
    return as_damaged(
        f"{folder}: damaged; evaluate again", UserError, OSError, MemoryError, RecursionError
    )


def _missing(folder: pathlib.Path) -> UserError:
    if folder.is_file():
        reason = "it is a file; name the folder of an evaluation"
    elif folder.is_dir():
        reason = "python -m refinevad_jax.evaluate makes a folder that has it"
    else:
        reason = "no such folder, check the path"
    return UserError(f"{folder}: no metrics.json; {reason}")


def _folders(workdir: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path.parent for path in workdir.glob("eval/*/metrics.json"))
