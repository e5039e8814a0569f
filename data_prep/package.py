r"""Packages features, labels and truth into one data set that training and evaluation read.

From lists of feature files (one .npy per video or crop, docs/data_format.md):
  python -m data_prep.package --source=features --name=ucf --data_dir=data \
      --list=train=train.csv --list=test=test.csv --features=features/ \
      --annotations=Temporal_Anomaly_Annotation.txt --taxonomy=ucf_crime
From embedded sentences with times:
  python -m data_prep.package --source=timed_text --name=ucf_text --data_dir=data \
      --input=ucf_crime_text/ --taxonomy=ucf_crime
"""

import pathlib

from absl import flags

from data_prep.feature_arrays import LAYOUTS
from data_prep.feature_bags import Video, write_dataset
from data_prep.feature_lists import read_feature_lists
from data_prep.list_files import parse_lists
from data_prep.summary import summarize
from data_prep.timed_text import read_timed_text
from refinevad_jax.command_line import run
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.data.taxonomy import load_taxonomy
from refinevad_jax.errors import UserError

# Flags of one source only, and which of them it cannot do without.
OWN_FLAGS = {
    "timed_text": ("input",),
    "features": (
        *("list", "features", "annotations", "modality", "layout", "num_crops"),
        *("frames_per_segment", "fps"),
    ),
}
REQUIRED = {"timed_text": ("input",), "features": ("list", "features")}

SOURCE = flags.DEFINE_enum("source", None, list(OWN_FLAGS), "what the input is", required=True)
NAME = flags.DEFINE_string("name", None, "name of the data set", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
TAXONOMY = flags.DEFINE_string(
    "taxonomy", None, "ucf_crime, xd_violence or a JSON file", required=True
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")
ENCODER = flags.DEFINE_string("encoder", None, "what made the features, in words")
SOURCE_NOTE = flags.DEFINE_string("source_note", "", "where the data came from, in words")
INPUT = flags.DEFINE_string("input", None, "timed_text: folder of .npz and interval files")
LIST = flags.DEFINE_multi_string("list", [], "features: SPLIT=FILE.csv, once per split")
FEATURES = flags.DEFINE_string("features", None, "features: folder that the lists' paths are in")
ANNOTATIONS = flags.DEFINE_string("annotations", None, "features: file or folder of true spans")
MODALITY = flags.DEFINE_multi_string(
    "modality", [], "features: NAME=WIDTH of a run of channels, in order (default: visual)"
)
LAYOUT = flags.DEFINE_enum("layout", "auto", LAYOUTS, "features: which axis of 3 is the crops")
NUM_CROPS = flags.DEFINE_integer("num_crops", 0, "features: crops to keep, 0 for all", 0)
FRAMES = flags.DEFINE_integer("frames_per_segment", 16, "features: frames that a row covers", 1)
FPS = flags.DEFINE_float("fps", None, "features: frames per second, where not annotated", 0.001)
