"""Says what a list, feature folder, annotation or ground-truth array is, and what is wrong with it.

Give any of them; the more, the more is compared. Grammars and layouts are detected. Names the
release, counts classes, tells the official truth from edited ones, counts frames under every length
rule, and lists every disagreement by video. Exit code 0: clean, 1: problems, 2: cannot be read.

  python -m data_prep.check --list=ucf_CLIP_rgbtest.csv --annotations=UCF_Annotation.txt --gt=gt.npy
  python -m data_prep.check --list=train.csv --list=test.csv --features=features/ --values=all
"""

import json
import pathlib
import sys

from absl import flags

from data_prep.checks.findings import num_problems, render, to_dict
from data_prep.checks.run import run_checks
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import write_bytes
from refinevad_jax.runtime.command_line import run

LIST = flags.DEFINE_multi_string("list", [], "list file, in any released grammar")
FEATURES = flags.DEFINE_string("features", "", "folder of feature files")
ANNOTATIONS = flags.DEFINE_multi_string("annotations", [], "file or folder with true spans")
GT = flags.DEFINE_multi_string("gt", [], "0/1 array of all test videos, end to end")
FRAME_COUNTS = flags.DEFINE_string("frame_counts", "", "file with frames per video, name@frames")
FRAMES = flags.DEFINE_integer("frames_per_segment", 16, "frames a feature row covers", 1)
FPS = flags.DEFINE_float("fps", None, "frames per second, for spans in seconds", 1e-3)
VALUES = flags.DEFINE_enum("values", "sample", ["none", "sample", "all"], "feature rows to read")
OUTPUT = flags.DEFINE_string("output", "", "JSON file for the whole report")


def main() -> None:
    """Checks, prints the report and ends with the exit code that it deserves."""
    if not (LIST.value or FEATURES.value or ANNOTATIONS.value or GT.value):
        raise UserError("nothing to check: give --list, --features, --annotations or --gt")
    sections = run_checks(
        lists=[pathlib.Path(path) for path in LIST.value],
        features=pathlib.Path(FEATURES.value) if FEATURES.value else None,
        annotations=[pathlib.Path(path) for path in ANNOTATIONS.value],
        gt=[pathlib.Path(path) for path in GT.value],
        frame_counts=pathlib.Path(FRAME_COUNTS.value) if FRAME_COUNTS.value else None,
        frames_per_segment=FRAMES.value,
        fps=FPS.value,
        values=VALUES.value,
    )
    if OUTPUT.value:
        write_report(pathlib.Path(OUTPUT.value), json.dumps(to_dict(sections), indent=1) + "\n")
    print(render(sections))
    sys.exit(1 if num_problems(sections) else 0)


def write_report(path: pathlib.Path, text: str) -> None:
    """Lets the file appear whole. Raises UserError where it cannot be written."""
    try:
        write_bytes(path, text.encode())
    except OSError as error:
        raise UserError(f"--output={path}: cannot be written ({error.strerror})") from error


if __name__ == "__main__":
    run(main)
