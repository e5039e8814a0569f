"""A published run: a small folder that detects, evaluates and exports, and does not train.

F/model.safetensors    the parameters of one checkpoint
F/config.json          the run's own, without paths of the machine
F/calibration.json     the run's own, if it belongs to that checkpoint
F/evaluations.json     {name: metrics.json} of the evaluations of that checkpoint
F/stream.json          thresholds for streams of that checkpoint, if it has any
F/README.md            the model card

`read_run` and `checkpoints.restore` take it as they take a workdir.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.staged import replace_folder, staging_folder, write_json, write_text
from refinevad_jax.runs import calibration as calibrations
from refinevad_jax.runs import stream_points as streams
from refinevad_jax.runs.calibration import read_calibration, write_calibration
from refinevad_jax.runs.run import WEIGHTS, without_places, write_config_for_others
from refinevad_jax.runs.stream_points import write_points
from refinevad_jax.runs.weights import write_weights

EVALUATIONS = "evaluations.json"
CARD = "README.md"
FILES = {WEIGHTS, "config.json", calibrations.NAME, streams.NAME, EVALUATIONS, CARD}


def write_published(
    folder: pathlib.Path,
    workdir: pathlib.Path,
    params: Any,
    step: int,
    *,
    evaluations: Mapping[str, Mapping[str, Any]],
    stream_points: Mapping[str, Any] | None,
    card: str,
) -> None:
    """Writes the folder whole or not at all; an earlier published run there is replaced.

    Args:
        folder: the published run.
        workdir: the run that it comes from.
        params: nested dict of arrays, of a checkpoint of that run.
        step: of that checkpoint.
        evaluations: {name: content of metrics.json}.
        stream_points: content of stream.json, or None.
        card: the model card, Markdown.

    Raises UserError if the folder holds anything else.
    """
    if folder.exists() and not {path.name for path in folder.iterdir()} <= FILES:
        raise UserError(f"{folder} exists and is not a published run; choose another folder")
    with staging_folder(folder) as staging:
        new = staging / "published"
        new.mkdir()
        write_weights(new / WEIGHTS, params, step)
        write_config_for_others(workdir, new)
        calibration = read_calibration(workdir)
        if calibration and calibration.step == step:
            write_calibration(new, calibration)
        write_json(new / EVALUATIONS, {name: _passed_on(evaluations[name]) for name in evaluations})
        if stream_points is not None:
            write_points(new, stream_points)
        write_text(new / CARD, card)
        replace_folder(new, folder)


def _passed_on(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(evaluation)
    if "config" in found:
        found["config"] = without_places(found["config"])
    return found


def published_evaluations(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """The evaluations that came with a published run, by name; {} for any other folder.

    Raises UserError if the file is damaged.
    """
    path = folder / EVALUATIONS
    if not path.is_file():
        return {}
    with as_damaged(f"{path}: damaged; bring it back from where it came", OSError, RecursionError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: dict(content) for name, content in found.items()}
