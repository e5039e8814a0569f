r"""Describes videos in words: timed captions by InternVideo2.5, the paper's text modality.

  python -m data_prep.caption --videos=clips/ --output=captions/ --revision=COMMIT \
      --trust_remote_code
  python -m data_prep.extract --encoder=minilm --videos=clips/ --texts=captions/ --output=text/

Writes captions/<path of the video>.jsonl, a line {"start": s, "end": s, "text": "..."} for every
--segments x 16 frames, and a .json that says what made it. Run again, it does what is missing or
has changed. A model of 8 billion parameters needs a GPU of 24 GB; transformers fetches it, or
--model names a folder that holds it. Its repository brings Python code, which runs only with
--trust_remote_code; --revision names the commit that you have read.
"""

import pathlib

from absl import flags

from data_prep.extraction.captions import caption_work, check_frames
from data_prep.extraction.jobs import plan_jobs, read_videos, report, run
from refinevad_jax.encoders import captions
from refinevad_jax.files.staged import require_writable
from refinevad_jax.runtime import command_line, commands

VIDEOS = flags.DEFINE_string("videos", None, "folder, list of paths, or one video", required=True)
OUTPUT = flags.DEFINE_string("output", None, "folder of the captions", required=True)
MODEL = flags.DEFINE_string("model", captions.MODEL, "repository on the Hub, or a folder")
REVISION = flags.DEFINE_string("revision", "", "commit of that repository, 40 digits")
TRUST = flags.DEFINE_bool("trust_remote_code", False, "run the code that the model brings")
PROMPT = flags.DEFINE_string("prompt", captions.PROMPT, "what the model is asked")
SEGMENTS = flags.DEFINE_integer("segments", 1, "segments of 16 frames per caption", 1, 1000)
FRAMES = flags.DEFINE_integer("frames", 8, "how many of their frames the model sees", 4, 512)
TOKENS = flags.DEFINE_integer("max_new_tokens", 96, "longest caption, in tokens", 1, 4096)


def main() -> None:
    """Plans, captions, and says what failed."""
    require_writable("output", pathlib.Path(OUTPUT.value))
    videos = read_videos(pathlib.Path(VIDEOS.value))
    jobs = plan_jobs(videos, pathlib.Path(OUTPUT.value), suffix=".jsonl")
    check_frames(SEGMENTS.value, FRAMES.value)
    captioner = captions.load_captioner(
        MODEL.value, revision=REVISION.value, trust_code=TRUST.value, max_new_tokens=TOKENS.value
    )
    work = caption_work(captioner, PROMPT.value, SEGMENTS.value, FRAMES.value)
    report(run(jobs, work, title="captions"), OUTPUT.value)
    words = f"--videos={VIDEOS.value}", f"--texts={OUTPUT.value}", "--output=text"
    print(f"next: {commands.spell('extract', '--encoder=minilm', *words)}")


if __name__ == "__main__":
    command_line.run(main)
