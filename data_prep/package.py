r"""Packages features, labels and truth into one data set, for training and evaluation to read.

From lists of feature files, one .npy per video or per crop (docs/data_format.md):
  python -m data_prep.package --source=features --name=ucf --data_dir=data \
      --list=train=train.csv --list=test=test.csv --features=features/ \
      --annotations=Temporal_Anomaly_Annotation.txt --taxonomy=ucf_crime
From a release of the field, lists and layout as published (docs/data.md):
  python -m data_prep.package --source=release --name=xd --data_dir=data \
      --list=train=rgb.list --list=test=rgb_test.list --features=i3d/ \
      --extra_features=audio=vggish/ --annotations=annotations.txt --taxonomy=xd_violence
From embedded sentences with times:
  python -m data_prep.package --source=timed_text --name=ucf_text --data_dir=data \
      --input=ucf_crime_text/ --taxonomy=ucf_crime
Any of them on Apache Beam, with the same result: --beam_runner=DirectRunner --beam_workers=8
"""

from absl import flags

from data_prep.catalogue.lookup import built_in_taxonomies
from data_prep.dataset.beam_packaging import record_maker
from data_prep.dataset.summary import summarize
from data_prep.dataset.write import write_dataset
from data_prep.sources.feature_arrays import LAYOUTS
from data_prep.sources.package import USED, read_source
from refinevad_jax.runtime.command_line import run

SOURCE = flags.DEFINE_enum(
    "source", None, list(USED), "lists of features or of a release, or timed text", required=True
)
flags.DEFINE_string("name", None, "name of the data set", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
flags.DEFINE_string(
    "taxonomy", None, f"JSON file, or built in: {', '.join(built_in_taxonomies())}", required=True
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")
flags.DEFINE_string("encoder", "", "what made the features, in words")
flags.DEFINE_string("source_note", "", "where the data came from, in words")
flags.DEFINE_string("input", "", "timed_text: folder of .npz and interval files")
flags.DEFINE_multi_string("list", [], "lists: SPLIT=FILE, once per split")
flags.DEFINE_string("features", "", "lists: folder with their files")
flags.DEFINE_string("annotations", "", "lists: file or folder with true spans")
flags.DEFINE_multi_string("modality", [], "features: NAME=WIDTH of a run of channels")
flags.DEFINE_multi_string("extra_features", [], "release: MODALITY=FOLDER to append")
flags.DEFINE_string("frame_counts", "", "release: file that states frame counts")
flags.DEFINE_enum("layout", "auto", LAYOUTS, "lists: axis of the crops, of three axes")
flags.DEFINE_integer("num_crops", 0, "lists: crops to keep, 0 for all", lower_bound=0)
flags.DEFINE_integer("frames_per_segment", 16, "lists: frames a row covers", 1)
flags.DEFINE_float("fps", None, "lists: frames per second, where not annotated", 1e-3)
RUNNER = flags.DEFINE_string("beam_runner", "", "Apache Beam runner that makes the records")
WORKERS = flags.DEFINE_integer("beam_workers", 1, "its processes or machines", lower_bound=1)
OPTIONS = flags.DEFINE_string("beam_options", "", "its further pipeline options, in one string")


def main() -> None:
    """Reads the input, writes the data set and says what is in it."""
    given = {name for name in flags.FLAGS if flags.FLAGS[name].present}
    make_records = None
    if given & {"beam_runner", "beam_workers", "beam_options"}:
        make_records = record_maker(RUNNER.value, workers=WORKERS.value, options=OPTIONS.value)
    info, videos = read_source(SOURCE.value, flags.FLAGS.flag_values_dict(), given)
    folder = write_dataset(
        DATA_DIR.value, info, videos, overwrite=OVERWRITE.value, make_records=make_records
    )
    print(summarize(DATA_DIR.value, folder))


if __name__ == "__main__":
    run(main)
