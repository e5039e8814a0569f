"""Evaluates every seed of a run and sums them up: mean and standard deviation."""

import json
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.run import evaluate
from refinevad_jax.runs.run import read_run, seed_workdirs

SUMMARY = (
    "frame_auc",
    "frame_ap",
    "anomalous_frame_auc",
    "video_auc",
    "video_ap",
    "category_accuracy",
    "category_map",
)


def evaluate_seeds(workdir: pathlib.Path, **options: Any) -> list[dict[str, Any]]:
    """Evaluates the run in workdir, or every seed of it; options as of run_evaluation.evaluate.

    Returns what metrics.json holds, by seed. Raises UserError where there is no run.
    """
    folders = seed_workdirs(workdir)
    if not folders:
        read_run(workdir)  # says what is missing
    contents = [evaluate(folder, **options) for folder in folders]
    if len(contents) > 1:
        print(f"\n{summary_table(contents)}", flush=True)
    return contents


def stored_seeds(workdir: pathlib.Path, name: str) -> list[dict[str, Any]]:
    """metrics.json of eval/<name> of every seed that has been evaluated."""
    found = []
    for folder in seed_workdirs(workdir):
        path = folder / "eval" / name / "metrics.json"
        if path.is_file():
            try:
                found.append(json.loads(path.read_text(encoding="utf-8")))
            except ValueError as error:
                raise UserError(f"{path}: damaged ({error}); remove its folder") from error
    return found


def summary(contents: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation (of a sample; 0 of one seed) of what is defined in all seeds."""
    found = {}
    for key in SUMMARY:
        values = [content[key] for content in contents if content[key] is not None]
        if values and len(values) == len(contents):
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            found[key] = (statistics.mean(values), spread)
    return found


def summary_table(contents: Sequence[Mapping[str, Any]]) -> str:
    """The summary as text."""
    first = contents[0]
    seeds = ", ".join(str(content["seed"]) for content in contents)
    lines = [f"{first['dataset']}, split {first['split']}: mean ± deviation over seeds {seeds}"]
    for key, (mean, spread) in summary(contents).items():
        lines.append(f"  {key.replace('_', ' '):24s} {mean:.4f} ± {spread:.4f}")
    return "\n".join(lines)
