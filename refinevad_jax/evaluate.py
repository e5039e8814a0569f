"""Evaluates a trained run, or anybody's scores, on a split.

  python -m refinevad_jax.evaluate --workdir=runs/ucf
  python -m refinevad_jax.evaluate --workdir=runs/ucf --split=val --step=last
  python -m refinevad_jax.evaluate --workdir=runs/ucf --dataset=other --data_dir=data
  python -m refinevad_jax.evaluate --scores=theirs.npz --dataset=ucf --data_dir=data

A run remembers its data set and settings. If it has several seeds, each is evaluated, and mean and
deviation are printed. Results go to WORKDIR/eval/<dataset>-<split>-<step>/, those of a file of
scores to --output: metrics.json, report.html, scores.npz, videos.csv, events.json, figures
and score curves.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from absl import flags

from refinevad_jax.errors import UserError
from refinevad_jax.runtime import command_line, commands

WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run, as given to refinevad_jax.main.")
SCORES = flags.DEFINE_string(
    "scores", "", "Instead of a run: .npz of scores by video, or one .npy in the list's order."
)
OUTPUT = flags.DEFINE_string("output", "", "With --scores: folder; FILE-DATASET-SPLIT if empty.")
SPLIT = flags.DEFINE_string("split", "test", "Split to evaluate.")
STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, last, or a step number.")
DATASET = flags.DEFINE_string("dataset", "", "Data set; that of the run if not given.")
DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Folder of the data set; that of the run if not given."
)
RESAMPLED = (
    "Segments each video is resampled to, 0 for the full sequence; as in the run if not given."
)
NUM_SEGMENTS = flags.DEFINE_integer("num_segments", None, RESAMPLED, 0, 100_000)
FALSE_ALARM_RATE = flags.DEFINE_float(
    "false_alarm_rate", 0.01, "Of the operating point: share of normal videos' frames.", 0.0, 1.0
)
NUM_CURVES = flags.DEFINE_integer("num_curves", 12, "Score curves to draw.", 0)
REPORT = flags.DEFINE_bool("report", True, "Write report.html.")
ALLOW_MISMATCH = flags.DEFINE_bool(
    "allow_mismatch", False, "Accept another encoder, normalisation or taxonomy (zero-shot)."
)
CACHE = command_line.cache_flag()


def main() -> None:
    """Scores, measures and writes."""
    if bool(WORKDIR.value) == bool(SCORES.value):
        raise UserError("one of --workdir=FOLDER (a trained run) or --scores=FILE is needed")
    for flag in (STEP, NUM_SEGMENTS, ALLOW_MISMATCH) if SCORES.value else (OUTPUT,):
        if flag.present:
            what = "--scores" if SCORES.value else "--workdir: results go into it, below eval/"
            raise UserError(f"--{flag.name} has no effect with {what}")
    from refinevad_jax.evaluation.run import Settings, evaluate_scores, evaluate_seeds
    from refinevad_jax.runtime.compiler import enable_cache

    settings = Settings(NUM_CURVES.value, FALSE_ALARM_RATE.value, REPORT.value)
    if SCORES.value:
        if not DATASET.value:
            raise UserError("--scores needs --dataset=NAME, the data set they belong to")
        path = pathlib.Path(SCORES.value)
        output = OUTPUT.value or f"{path.with_suffix('')}-{DATASET.value}-{SPLIT.value}"
        evaluate_scores(
            path,
            split=SPLIT.value,
            dataset=DATASET.value,
            data_dir=DATA_DIR.value or "data",
            folder=pathlib.Path(output),
            settings=settings,
        )
        return
    enable_cache(CACHE.value)
    contents = evaluate_seeds(
        pathlib.Path(WORKDIR.value),
        split=SPLIT.value,
        step=STEP.value,
        dataset=DATASET.value,
        data_dir=DATA_DIR.value,
        num_segments=NUM_SEGMENTS.value,
        allow_mismatch=ALLOW_MISMATCH.value,
        settings=settings,
    )
    print(next_lines(contents[0]))


def next_lines(content: Mapping[str, Any]) -> str:
    """The detection with a run, or its first seed, that has this metrics.json.

    With the threshold of the evaluation, if detection can take it: see `Detector.threshold`.
    """
    from refinevad_jax.detection.inputs import ENCODERS
    from refinevad_jax.runs.run import read_run, seed_workdirs

    workdir = seed_workdirs(pathlib.Path(WORKDIR.value))[0]
    run = read_run(workdir)
    of_video = run.info.encoder in ENCODERS
    words = [f"--workdir={workdir}", f"--input={'video.mp4' if of_video else 'features.npy'}"]
    words += ["--output=found"] + [f"--step={STEP.value}"] * STEP.present
    own = content["dataset"] == run.config.data.dataset and not content["num_segments"]
    if own and content["operating_point"]["threshold"] is not None:
        words.append(f"--false_alarm_rate={FALSE_ALARM_RATE.value:g}")
    what = "video.mp4: a video of yours" if of_video else "features.npy: those of a video of yours"
    return f"next: {commands.spell('detect', *words)}\n      {what}"


if __name__ == "__main__":
    command_line.run(main)
