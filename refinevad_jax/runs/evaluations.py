"""The evaluation folder: what is in it, and the only place that writes and reads it.

metrics.json    every number, and what it was measured on
scores.npz      arrays: what was said of each video, and its annotated spans
videos.csv      one row per video
events.json     the events at the alarm threshold
report.html, curves/, curves.png, figures/    drawn by the caller
probes.json     added by a ladder: what the parts of that checkpoint do
"""

import contextlib
import csv
import glob
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.files.hashes import json_sha256
from refinevad_jax.files.staged import replace_folder, staging_folder, write_json
from refinevad_jax.runs.published import published_evaluations
from refinevad_jax.runs.run import is_published, seed_workdirs, versions
from refinevad_jax.runtime import commands


def evaluation_folder(workdir: pathlib.Path, name: str) -> pathlib.Path:
    """Where an evaluation of a run lies: below its workdir, of a published run here.

    Raises UserError if something else is there.
    """
    if not is_published(workdir):
        return workdir / "eval" / name
    folder = pathlib.Path(f"{workdir.resolve().name}-{name}")
    if folder.exists() and not is_evaluation(folder):
        raise UserError(f"{folder} exists and is not an evaluation; work in another folder")
    return folder


def is_evaluation(folder: pathlib.Path) -> bool:
    """Whether a folder holds an evaluation."""
    return (folder / "metrics.json").is_file()


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


def find_evaluations(text: str) -> list[pathlib.Path]:
    """The evaluation folders that are meant: one, or one per seed.

    text: an evaluation folder, a workdir with one evaluation, a folder of several seeds with one
    evaluation each, or a pattern of these in which * stands for any name. Raises UserError if
    nothing matches, or if what matches has no evaluation or more than one.
    """
    folders = [pathlib.Path(text)]
    if glob.has_magic(text) and not folders[0].exists():
        folders = sorted(map(pathlib.Path, glob.glob(text)))  # noqa: PTH207
        if not folders:
            raise UserError(f"no folder matches {text!r}")
    return [evaluation for folder in folders for evaluation in _of_every_seed(folder)]


def _of_every_seed(folder: pathlib.Path) -> list[pathlib.Path]:
    if (folder / "metrics.json").is_file():
        return [folder]
    found = []
    for seed in seed_workdirs(folder) or [folder]:
        own = _folders(seed)
        if not own:
            raise _missing(seed)
        if len(own) > 1:
            named = (
                own if seed == folder else [folder / "seed*" / "eval" / path.name for path in own]
            )
            names = ", ".join(repr(str(path)) for path in named)
            raise UserError(f"{seed} has {len(own)} evaluations; name one of {names}")
        found += own
    return found


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


def write_probes(folder: pathlib.Path, data: str, probes: Mapping[str, Any]) -> None:
    """Adds probes.json to an evaluation. probes: plain JSON values, of the same checkpoint.

    data: fingerprint of the videos. A new evaluation replaces the folder, and so removes them.
    """
    content = {"of": _probed(folder, data), "sha256": json_sha256(probes), "probes": probes}
    write_json(folder / "probes.json", content)


def read_probes(folder: pathlib.Path, data: str) -> dict[str, Any] | None:
    """What `write_probes` was given; None if not there, damaged, or of other data or versions."""
    try:
        content = json.loads((folder / "probes.json").read_text(encoding="utf-8"))
        whole = json_sha256(content["probes"]) == content["sha256"]
        return content["probes"] if whole and content["of"] == _probed(folder, data) else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _probed(folder: pathlib.Path, data: str) -> dict[str, Any]:
    """What probes depend on: data, what an evaluation states, the versions that compute here."""
    content = read_metrics(folder)
    found = {"step": content["step"], "truth": content["truth_hash"], "data": data}
    return found | {"versions": versions()}


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


def damaged(folder: pathlib.Path) -> AbstractContextManager[None]:
    """Turns whatever damaged files of an evaluation lead to into one UserError."""
    return as_damaged(
        f"{folder}: damaged; evaluate again", UserError, OSError, MemoryError, RecursionError
    )


def _missing(folder: pathlib.Path) -> UserError:
    if folder.is_file():
        reason = "it is a file; name the folder of an evaluation"
    elif folder.is_dir():
        reason = f"{commands.spell('evaluate')} makes a folder that has it"
    else:
        reason = "no such folder, check the path"
    return UserError(f"{folder}: no metrics.json; {reason}")


def _folders(workdir: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path.parent for path in workdir.glob("eval/*/metrics.json"))
