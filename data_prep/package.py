r"""Packages features, labels and truth into one data set, for training and evaluation to read.

From lists and the features of data_prep.extract; encoder, frame rates and lengths come from the
records that lie beside them (docs/own-video.md). A list is a CSV file `video,label`:
  python -m data_prep.package --name=gate --data_dir=data --taxonomy=taxonomy.json \
      --list=train=train.csv --list=test=test.csv --features=features/
From lists and other feature files, one .npy per video or per crop, as the field has released them
(docs/data.md, docs/data_format.md):
  python -m data_prep.package --name=ucf --data_dir=data --taxonomy=ucf_crime \
      --list=train=train.csv --list=test=test.csv --features=features/ \
      --annotations=Temporal_Anomaly_Annotation.txt
With the files of a second modality joined to them, video by video:
  python -m data_prep.package --name=xd --data_dir=data --taxonomy=xd_violence \
      --list=train=rgb.list --list=test=rgb_test.list --features=i3d/ \
      --extra_features=audio=vggish/ --annotations=annotations.txt
From embedded sentences with times:
  python -m data_prep.package --name=ucf_text --data_dir=data --taxonomy=ucf_crime \
      --input=ucf_crime_text/
The data set that ships, features of surveillance fights, to begin with (docs/data.md):
  python -m data_prep.package --builtin=survfight --data_dir=data
Any of them on Apache Beam, with the same result: --beam_runner=DirectRunner --beam_workers=8
"""

import functools
import pathlib

from absl import flags

from data_prep.beam import make_pipeline
from data_prep.builtin import survfight
from data_prep.catalogue.lookup import built_in_taxonomies
from data_prep.dataset.beam_packaging import make_on_beam
from data_prep.dataset.summary import summarize
from data_prep.dataset.write import MakeRecords, make_here, write_dataset
from data_prep.sources.features import LAYOUTS
from data_prep.sources.package import OF_LISTS, OF_TEXT, SOURCES, read_source
from data_prep.sources.truth import UNITS
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import require_writable
from refinevad_jax.runtime.command_line import run

BUILTINS = {"survfight": survfight.read}
NOT_OF_BUILTIN = {*OF_LISTS, *OF_TEXT, "taxonomy", "source", "encoder", "source_note"}
NAME = flags.DEFINE_string("name", None, "name of the data set; that of --builtin if not given")
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
TAXONOMY = flags.DEFINE_string(
    "taxonomy", None, f"JSON file, or built in: {', '.join(built_in_taxonomies())}"
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")
BUILTIN = flags.DEFINE_enum(
    "builtin", None, list(BUILTINS), "instead of lists: a data set that ships with the project"
)
SOURCE = flags.DEFINE_enum(
    "source", None, SOURCES, "not needed: --list or --input says what is read"
)
flags.DEFINE_multi_string(
    "list", [], "SPLIT=FILE, once per split, of videos or feature files; needs --features"
)
flags.DEFINE_string("features", "", "with --list: folder of the feature files")
flags.DEFINE_multi_string("modality", [], "with --list: NAME=WIDTH of a run of channels, in order")
flags.DEFINE_multi_string("extra_features", [], "with --list: MODALITY=FOLDER, channels to append")
flags.DEFINE_string("annotations", "", "with --list: file or folder with the true spans")
flags.DEFINE_string(
    "frame_counts",
    "",
    "with --list: file with the frames of each video, for those that neither --annotations nor the "
    "records of data_prep.extract know",
)
flags.DEFINE_float(
    "fps",
    None,
    "with --list: frames per second of the videos for which neither --annotations nor the records "
    "of data_prep.extract state them, as 25",
    1e-3,
)
flags.register_validator("fps", lambda fps: fps is None or fps <= 1e5, "give a number up to 1e5")
flags.DEFINE_enum(
    "unit",
    "",
    ["", *UNITS],
    "with --list: unit of the numbers in --annotations, if the file does not state it or is wrong",
)
flags.DEFINE_enum(
    "layout", "auto", LAYOUTS, "with --list: axis of the crops in files of three axes"
)
flags.DEFINE_integer("num_crops", 0, "with --list: crops to keep of each video, 0 for all", 0)
flags.DEFINE_integer("frames_per_segment", 16, "with --list: frames that a feature row covers", 1)
flags.DEFINE_string("input", "", "timed text: folder of .npz and interval files")
flags.DEFINE_string(
    "encoder",
    "",
    "what made the features, in words; the names of data_prep.extract (i3d, clip, minilm, "
    "clip_text) stand for the full ones. Not needed beside the records of data_prep.extract",
)
flags.DEFINE_string("source_note", "", "where the data came from, in words")
RUNNER = flags.DEFINE_string(
    "beam_runner", "", "Apache Beam runner that makes the records, as DirectRunner"
)
WORKERS = flags.DEFINE_integer(
    "beam_workers", 1, "with --beam_runner: its processes or machines", lower_bound=1
)
OPTIONS = flags.DEFINE_string("beam_options", "", "with --beam_runner: its options, in one string")


def main() -> None:
    """Reads the input, writes the data set and says what is in it."""
    require_writable("data_dir", pathlib.Path(DATA_DIR.value).expanduser())
    given = {name for name in flags.FLAGS if flags.FLAGS[name].present}
    make_records: MakeRecords = make_here
    if given & {"beam_runner", "beam_workers", "beam_options"}:
        pipeline = make_pipeline(RUNNER.value, workers=WORKERS.value, options=OPTIONS.value)
        make_records = functools.partial(make_on_beam, pipeline=pipeline, runner=RUNNER.value)
    if BUILTIN.value:
        for name in sorted(given & NOT_OF_BUILTIN):
            raise UserError(f"--{name} has no effect with --builtin; leave it out")
        info, videos = BUILTINS[BUILTIN.value](NAME.value or BUILTIN.value)
    else:
        for needed in (NAME, TAXONOMY):
            if needed.value is None:
                words = flags.FLAGS[needed.name].help
                raise UserError(f"--{needed.name} ({words}) is needed; --help lists the flags")
        info, videos = read_source(SOURCE.value, flags.FLAGS.flag_values_dict(), given)
    folder = write_dataset(
        DATA_DIR.value, info, videos, overwrite=OVERWRITE.value, make_records=make_records
    )
    print(summarize(DATA_DIR.value, folder))


if __name__ == "__main__":
    run(main)
