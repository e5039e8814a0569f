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
"""

import pathlib
from typing import Any

from absl import flags

from data_prep.feature_arrays import LAYOUTS
from data_prep.feature_bags import Video, write_dataset
from data_prep.feature_lists import FeatureLists, read_feature_lists
from data_prep.list_files import parse_lists
from data_prep.releases import read_release
from data_prep.summary import summarize
from data_prep.timed_text import read_timed_text
from refinevad_jax.command_line import run
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.data.taxonomy import load_taxonomy
from refinevad_jax.errors import UserError

SOURCE = flags.DEFINE_enum(
    "source", None, ["features", "release", "timed_text"], "input", required=True
)
NAME = flags.DEFINE_string("name", None, "name of the data set", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
TAXONOMY = flags.DEFINE_string("taxonomy", None, "built-in name or JSON file", required=True)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")
ENCODER = flags.DEFINE_string("encoder", "", "what made the features, in words")
NOTE = flags.DEFINE_string("source_note", "", "where the data came from, in words")
INPUT = flags.DEFINE_string("input", "", "timed_text: folder of .npz and interval files")
LIST = flags.DEFINE_multi_string("list", [], "features: SPLIT=FILE.csv, once per split")
FEATURES = flags.DEFINE_string("features", "", "features: folder that the lists' paths are in")
ANNOTATIONS = flags.DEFINE_string("annotations", "", "features: file or folder with true spans")
MODALITY = flags.DEFINE_multi_string("modality", [], "features: NAME=WIDTH of a run of channels")
EXTRA = flags.DEFINE_multi_string("extra_features", [], "release: MODALITY=FOLDER to append")
COUNTS = flags.DEFINE_string("frame_counts", "", "release: file that states frame counts")
LAYOUT = flags.DEFINE_enum("layout", "auto", LAYOUTS, "features: axis of the crops, of three axes")
CROPS = flags.DEFINE_integer("num_crops", 0, "features: crops to keep, 0 for all", lower_bound=0)
FRAMES = flags.DEFINE_integer("frames_per_segment", 16, "features: frames a row covers", 1)
FPS = flags.DEFINE_float("fps", None, "features: frames per second, where not annotated", 1e-3)


def read_input() -> tuple[BagsInfo, list[Video]]:
    """Reads what --source names. Raises UserError for a flag that is missing or of no effect."""
    of_text: list[Any] = [INPUT]
    of_lists: list[Any] = [LIST, FEATURES, ANNOTATIONS, LAYOUT, CROPS, FRAMES, FPS]
    of_release: list[Any] = [EXTRA, COUNTS]
    is_text = SOURCE.value == "timed_text"
    without_effect = {
        "timed_text": [*of_lists, MODALITY, *of_release],
        "features": [*of_text, *of_release],
        "release": [*of_text, MODALITY],
    }
    for flag in of_text if is_text else of_lists[:2]:
        if not flag.value:
            raise UserError(f"--source={SOURCE.value} needs --{flag.name}; --help says more")
    for flag in without_effect[SOURCE.value]:
        if flag.present:
            raise UserError(f"--{flag.name} has no effect with --source={SOURCE.value}")
    words: dict[str, Any] = {"name": NAME.value, "taxonomy": load_taxonomy(TAXONOMY.value)}
    words |= {"encoder": ENCODER.value, "source_note": NOTE.value}
    if is_text:
        return read_timed_text(pathlib.Path(INPUT.value), **words)
    words |= {"layout": LAYOUT.value, "num_crops": CROPS.value}
    words |= {"frames_per_segment": FRAMES.value, "fps": FPS.value}
    words |= {"lists": parse_lists(LIST.value), "annotations": _path(ANNOTATIONS.value)}
    if SOURCE.value == "release":
        return read_release(features=_folders(), frame_counts=_path(COUNTS.value), **words)
    words |= {"modalities": MODALITY.value, "root": pathlib.Path(FEATURES.value)}
    return read_feature_lists(FeatureLists(**words))


def _folders() -> dict[str, pathlib.Path]:
    """--features is the visual modality; --extra_features follow in order."""
    folders = {"visual": pathlib.Path(FEATURES.value)}
    for text in EXTRA.value:
        modality, separator, folder = text.partition("=")
        if not (modality and separator and folder) or modality in folders:
            raise UserError(f"--extra_features={text}: expected MODALITY=FOLDER, each name once")
        folders[modality] = pathlib.Path(folder)
    return folders


def _path(text: str) -> pathlib.Path | None:
    return pathlib.Path(text) if text else None


def main() -> None:
    """Reads the input, writes the data set and says what is in it."""
    info, videos = read_input()
    folder = write_dataset(DATA_DIR.value, info, videos, overwrite=OVERWRITE.value)
    print(summarize(DATA_DIR.value, folder))


if __name__ == "__main__":
    run(main)
