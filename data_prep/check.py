r"""Says what a list, feature folder, annotation or truth array is, and what is wrong with it.

Give what you will give to data_prep.package: what stops it or makes it warn is a problem here too.
At least one of --list, --features, --annotations and --gt is needed; several are compared with each
other, and features of data_prep.extract with the records beside them. All other flags are optional.
Grammars and layouts are detected. The report names the release, counts classes, tells the official
truth from edited ones, counts frames under every length rule, and lists every disagreement by
video. Exit code 0: clean; 1: there are problems; 2: an input cannot be read.

  python -m data_prep.check --list=ucf_CLIP_rgbtest.csv \
      --annotations=UCF_Annotation.txt --gt=gt.npy
  python -m data_prep.check --list=train=train.csv --list=test=test.csv \
      --taxonomy=mine.json --features=features/ --values=all --output=report.json
"""

import pathlib
import sys

from absl import flags

from data_prep.catalogue.lookup import built_in_taxonomies, load_taxonomy
from data_prep.checks.findings import num_problems, render, to_dict
from data_prep.checks.run import run_checks
from data_prep.sources.features import LAYOUTS
from data_prep.sources.lists import split_of
from data_prep.sources.package import parse_named
from data_prep.sources.truth import UNITS
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import require_writable, write_json
from refinevad_jax.runtime.command_line import run

LIST = flags.DEFINE_multi_string(
    "list",
    [],
    "list file, in any released grammar; SPLIT=FILE, as for "
    "data_prep.package, says which split it is",
)
TAXONOMY = flags.DEFINE_string(
    "taxonomy",
    "",
    f"as for data_prep.package, reads the labels: JSON file, or {', '.join(built_in_taxonomies())}",
)
FEATURES = flags.DEFINE_string("features", "", "folder of feature files")
EXTRA = flags.DEFINE_multi_string(
    "extra_features", [], "with --list and --features: MODALITY=FOLDER, as for data_prep.package"
)
ANNOTATIONS = flags.DEFINE_multi_string(
    "annotations", [], "file or folder with true spans; arrays are compared with the first"
)
GT = flags.DEFINE_multi_string(
    "gt",
    [],
    "0/1 array of all test videos, end to end; it is read with the help of --list, and of "
    "--annotations if no official ones are kept here",
)
FRAME_COUNTS = flags.DEFINE_string(
    "frame_counts",
    "",
    "file with frames per video, one line name@frames each; not needed for "
    "features of data_prep.extract",
)
FRAMES = flags.DEFINE_integer("frames_per_segment", 16, "frames that a feature row covers", 1)
FPS = flags.DEFINE_float(
    "fps",
    None,
    "frames per second for spans in seconds, if neither the annotations nor the records of "
    "data_prep.extract state them",
    1e-3,
)
flags.register_validator("fps", lambda fps: fps is None or fps <= 1e5, "give a number up to 1e5")
UNIT = flags.DEFINE_enum(
    "unit",
    "",
    ["", *UNITS],
    "unit of the numbers in --annotations, if the file does not state it or is wrong",
)
VALUES = flags.DEFINE_enum(
    "values", "sample", ["none", "sample", "all"], "how many rows of each feature file to read"
)
LAYOUT = flags.DEFINE_enum(
    "layout", "auto", LAYOUTS, "axis of the crops in feature files of three axes"
)
OUTPUT = flags.DEFINE_string("output", "", "JSON file for the whole report")


def main() -> None:
    """Checks, prints the report and ends with the exit code that it deserves."""
    if not (LIST.value or FEATURES.value or ANNOTATIONS.value or GT.value):
        raise UserError("nothing to check: give --list, --features, --annotations or --gt")
    if UNIT.value and not ANNOTATIONS.value:
        raise UserError("--unit has no effect without --annotations; leave it out")
    if EXTRA.value and not (LIST.value and FEATURES.value):
        raise UserError("--extra_features has no effect without --list and --features")
    extra = parse_named(EXTRA.value, "extra_features", "MODALITY=FOLDER", ("visual",))
    if OUTPUT.value:
        require_writable("output", pathlib.Path(OUTPUT.value).parent)
    named = [split_of(text) for text in LIST.value]
    sections = run_checks(
        lists=[path for _, path in named],
        splits=[split for split, _ in named],
        taxonomy=load_taxonomy(TAXONOMY.value) if TAXONOMY.value else None,
        features=pathlib.Path(FEATURES.value) if FEATURES.value else None,
        extra_features=list(extra.values()),
        annotations=[pathlib.Path(path) for path in ANNOTATIONS.value],
        gt=[pathlib.Path(path) for path in GT.value],
        frame_counts=pathlib.Path(FRAME_COUNTS.value) if FRAME_COUNTS.value else None,
        frames_per_segment=FRAMES.value,
        fps=FPS.value,
        unit=UNIT.value,
        values=VALUES.value,
        layout=LAYOUT.value,
    )
    if OUTPUT.value:
        write_json(pathlib.Path(OUTPUT.value), to_dict(sections))
    print(render(sections))
    sys.exit(1 if num_problems(sections) else 0)


if __name__ == "__main__":
    run(main)
