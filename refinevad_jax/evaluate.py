r"""Evaluates a trained run, or anybody's scores, on a split.

A trained run:
  python -m refinevad_jax.evaluate --workdir=runs/ucf
  python -m refinevad_jax.evaluate --workdir=runs/ucf --split=val --step=last
  python -m refinevad_jax.evaluate --workdir=runs/ucf --dataset=other --data_dir=data
  python -m refinevad_jax.evaluate --workdir=runs/ucf --split=val --stream
  python -m refinevad_jax.evaluate --workdir=runs/ucf --split=val --probes
Scores of another repository, which need no features, only the list and the truth of the videos:
  python -m refinevad_jax.evaluate --scores=theirs.npz --list=ucf_test.csv \
      --annotations=Temporal_Anomaly_Annotation.txt
The same on the split of a packaged data set:
  python -m refinevad_jax.evaluate --scores=theirs.npz --dataset=ucf --data_dir=data

A run remembers its data set and settings. If it has several seeds, each is evaluated, and mean and
deviation are printed. Results go to WORKDIR/eval/<dataset>-<split>-<step>/. Those of a published
run, as the detector that ships, go to a folder here; those of a file of scores to a new folder
here, or to --output. Results are metrics.json, report.html, scores.npz, videos.csv, events.json,
figures and score curves. docs/metrics.md says which shapes of scores are read. With --stream every
video is replayed as a stream: the folder ends in -stream, and WORKDIR/stream.json gets the
thresholds that detect --stream takes. --probes prints, as Markdown, what becomes of the scores if
one part of the trained network is changed, and writes nothing.
"""

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from absl import flags

from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import require_writable
from refinevad_jax.runtime import command_line, commands

if TYPE_CHECKING:
    from refinevad_jax.evaluation.run import Settings

WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run, as given to refinevad_jax.main.")
SCORES = flags.DEFINE_string(
    "scores",
    "",
    "Instead of a run: .npz or .json with an array per video under its id, .npy with one array "
    "over all videos in the order of the list, .csv with rows video,score or columns "
    "video,frame,score, or a folder with a file per video.",
)
LIST = flags.DEFINE_string(
    "list", "", "With --scores: list of the videos, in any released grammar; instead of --dataset."
)
ANNOTATIONS = flags.DEFINE_string(
    "annotations", "", "With --list: file or folder with the true spans, in any released grammar."
)
TAXONOMY = flags.DEFINE_string(
    "taxonomy",
    "",
    "With --list: categories, a JSON file or a built-in name as ucf_crime. If not given, those of "
    "the data set whose names the videos follow, else the labels of the list.",
)
FRAME_COUNTS = flags.DEFINE_string(
    "frame_counts",
    "",
    "With --list: file with the frames of each video, a line name@frames each, if the annotations "
    "do not state them. Needed for the same number of scores for all videos, and for an .npy.",
)
FPS = flags.DEFINE_float(
    "fps",
    None,
    "With --list: frames per second, for annotations in seconds that do not state it.",
    1e-3,
)
flags.register_validator("fps", lambda fps: fps is None or fps <= 1e5, "give a number up to 1e5")
UNIT = flags.DEFINE_enum(
    "unit",
    "",
    ["", "frames", "seconds"],
    "With --list: unit of the numbers in --annotations, if the file does not state it or is wrong.",
)
FRAMES_PER_SEGMENT = flags.DEFINE_integer(
    "frames_per_segment", 16, "With --list: frames that a segment of the scores covers.", 1, 10_000
)
OUTPUT = flags.DEFINE_string(
    "output", "", "With --scores: folder of the result; ./FILE-DATASET-SPLIT or ./FILE-LIST."
)
SPLIT = flags.DEFINE_string(
    "split", "test", "Split to evaluate; with --list its name in the report, if not the list's."
)
STEP = flags.DEFINE_string("step", "best", "Checkpoint: best, last, or a step number.")
DATASET = flags.DEFINE_string("dataset", "", "Data set; that of the run if not given.")
DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Folder of the data set; that of the run if not given, data with --scores."
)
RESAMPLED = (
    "Segments each video is resampled to, 0 for the full sequence; as in the run if not given."
)
NUM_SEGMENTS = flags.DEFINE_integer("num_segments", None, RESAMPLED, 0, 100_000)
FALSE_ALARM_RATE = flags.DEFINE_float(
    "false_alarm_rate",
    0.01,
    "Target share of the segments of normal videos that are flagged. Events are found at the "
    "matching threshold, which is stored for detect, as are those for 0.001, 0.01 and 0.05.",
    0.0,
    1.0,
)
STREAM = flags.DEFINE_bool(
    "stream",
    False,
    "Replay the videos as streams: what that costs against whole videos, and thresholds for "
    "detect --stream, from the selection split of the run.",
)
PROBES = flags.DEFINE_bool(
    "probes",
    False,
    "Change one part of the trained network at a time (prototypes, category, gate, context) and "
    "print what becomes of the scores.",
)
NUM_CURVES = flags.DEFINE_integer("num_curves", 12, "Score curves to draw.", 0)
REPORT = flags.DEFINE_bool("report", True, "Write report.html.")
ALLOW_MISMATCH = flags.DEFINE_bool(
    "allow_mismatch", False, "Accept another encoder, normalisation or taxonomy (zero-shot)."
)
CACHE = command_line.cache_flag()
OF_RUNS = (STEP, NUM_SEGMENTS, STREAM, PROBES, ALLOW_MISMATCH, CACHE)
OF_LISTS = (ANNOTATIONS, TAXONOMY, FRAME_COUNTS, FPS, UNIT, FRAMES_PER_SEGMENT)


def main() -> None:
    """Scores, measures and writes."""
    if bool(WORKDIR.value) == bool(SCORES.value):
        raise UserError("one of --workdir=FOLDER (a trained run) or --scores=FILE is needed")
    if WORKDIR.value:
        _refuse("--workdir", OUTPUT)
        _refuse("--workdir, which remembers its data set", LIST, *OF_LISTS)
        if PROBES.value:
            others = (DATASET, NUM_SEGMENTS, STREAM, ALLOW_MISMATCH)
            _refuse("--probes", *others, FALSE_ALARM_RATE, NUM_CURVES, REPORT)
        if STREAM.value:
            _refuse("--stream, which has its own resolution", NUM_SEGMENTS)
        _evaluate_run()
        return
    _refuse("--scores", *OF_RUNS)
    if bool(LIST.value) == bool(DATASET.value):
        raise UserError(
            "--scores needs the videos that they belong to: --list=FILE with --annotations=FILE, "
            "or --dataset=NAME of a packaged data set"
        )
    if LIST.value:
        _refuse("--list", DATA_DIR)
        if not ANNOTATIONS.value:
            raise UserError("--list needs --annotations=FILE, the true spans of its videos")
    else:
        _refuse("--dataset, which has its list and truth", *OF_LISTS)
    _evaluate_scores(pathlib.Path(SCORES.value))


def _refuse(why: str, *found: flags.FlagHolder) -> None:
    for flag in found:
        if flag.present:
            raise UserError(f"--{flag.name} has no effect with {why}")


def _evaluate_run() -> None:
    from refinevad_jax.evaluation.run import evaluate_seeds
    from refinevad_jax.runtime.compiler import enable_cache

    enable_cache(CACHE.value)
    workdir = pathlib.Path(WORKDIR.value)
    if PROBES.value:
        from refinevad_jax.evaluation.probed_seeds import probe_seeds

        found = probe_seeds(workdir, split=SPLIT.value, step=STEP.value, data_dir=DATA_DIR.value)
        print(found.markdown(), end="")
        return
    options: dict[str, Any] = {
        "split": SPLIT.value,
        "step": STEP.value,
        "dataset": DATASET.value,
        "data_dir": DATA_DIR.value,
        "allow_mismatch": ALLOW_MISMATCH.value,
        "settings": _settings(),
    }
    if STREAM.value:
        from refinevad_jax.evaluation.stream_cost import evaluate_stream_seeds

        contents = evaluate_stream_seeds(workdir, **options)
    else:
        contents = evaluate_seeds(workdir, num_segments=NUM_SEGMENTS.value, **options)
    print(next_lines(contents[0]))


def next_lines(content: Mapping[str, Any]) -> str:
    """The detection with a run, or its first seed, that has this metrics.json.

    With the rate of false alarms that the user chose, if detection can take it: see
    `Detector.threshold`. After --stream the same with a live source, if the run reads videos.
    """
    from refinevad_jax.detection.inputs import ENCODERS
    from refinevad_jax.runs.run import is_published, read_run, seed_workdirs

    workdir = seed_workdirs(pathlib.Path(WORKDIR.value))[0]
    run = read_run(workdir)
    of_video = run.info.encoder in ENCODERS
    streamed = STREAM.value and of_video
    words = [f"--workdir={workdir}", f"--input={'video.mp4' if of_video else 'features.npy'}"]
    words += ["--stream" if streamed else "--output=found"]
    words += [f"--step={STEP.value}"] * STEP.present
    rule = (run.config.data.dataset, run.config.eval.num_segments)
    own = streamed or (content["dataset"], content["num_segments"]) == rule
    rate = FALSE_ALARM_RATE.value
    if FALSE_ALARM_RATE.present and own and streamed == STREAM.value:
        points = content["operating_points"]
        (threshold,) = (p["threshold"] for p in points if p["target_false_alarm_rate"] == rate)
        if threshold is not None:
            stored = f"--false_alarm_rate={rate:g}"
            words.append(f"--threshold={threshold}" if is_published(workdir) else stored)
    what = "video.mp4: a video of yours" if of_video else "features.npy: those of a video of yours"
    what += ", or the address of a camera" * streamed
    return f"next: {commands.spell('detect', *words)}\n      {what}"


def _evaluate_scores(path: pathlib.Path) -> None:
    from data_prep.sources.listed import read_listed, video_keys
    from refinevad_jax.data.bags import read_info, read_split
    from refinevad_jax.evaluation.run import evaluate_scores, refuse_existing

    words = [path.stem, DATASET.value or pathlib.Path(LIST.value).stem]
    if DATASET.value or SPLIT.present:
        words.append(SPLIT.value)
    folder = pathlib.Path(OUTPUT.value or "-".join(words))
    refuse_existing(folder)
    require_writable("output", folder)
    if DATASET.value:
        data_dir = DATA_DIR.value or "data"
        bags = read_split(data_dir, DATASET.value, SPLIT.value)
        evaluate_scores(
            path,
            read_info(data_dir, DATASET.value),
            bags,
            split=SPLIT.value,
            folder=folder,
            key=video_keys({bag.video_id: bag.video_id for bag in bags}, str(path)),
            settings=_settings(),
        )
        return
    listed = read_listed(
        pathlib.Path(LIST.value),
        pathlib.Path(ANNOTATIONS.value),
        taxonomy=TAXONOMY.value,
        frame_counts=pathlib.Path(FRAME_COUNTS.value) if FRAME_COUNTS.value else None,
        fps=FPS.value,
        unit=UNIT.value,
        frames_per_segment=FRAMES_PER_SEGMENT.value,
    )
    for note in listed.notes:
        print(command_line.one_line(note))
    evaluate_scores(
        path,
        listed.info,
        listed.bags,
        split=words[-1],
        folder=folder,
        length_rules=listed.length_rules,
        key=video_keys(listed.paths, str(path)),
        provenance=listed.provenance,
        settings=_settings(),
    )


def _settings() -> "Settings":
    from refinevad_jax.evaluation.run import Settings

    return Settings(NUM_CURVES.value, FALSE_ALARM_RATE.value, REPORT.value, apart=True)


if __name__ == "__main__":
    command_line.run(main)
