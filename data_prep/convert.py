r"""Writes a data set in the file formats of another repository, for its code to read.

  python -m data_prep.convert --data_dir=data --dataset=ucf \
      --format=vadclip --output_dir=out/

Formats: vadclip (CSV, features per crop, gt arrays), ur_dmu (list, annotation text), lagovad (JSON
with shares of the video), activitynet (JSON with seconds, truth only). docs/data.md tells how each
is read back. Every split gets a folder in --output_dir.
"""

import pathlib

from absl import flags

from data_prep.writers import FORMATS, write
from refinevad_jax.data.bags import read_info, read_split, split_sizes
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import replace_folder, require_writable, staging_folder
from refinevad_jax.runtime.command_line import run

DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
DATASET = flags.DEFINE_string("dataset", None, "name of the data set", required=True)
FORMAT = flags.DEFINE_enum("format", None, list(FORMATS), "whose format to write", required=True)
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "folder to make, with one folder per split", required=True
)
SPLIT = flags.DEFINE_multi_string("split", [], "split to write; none: all of them")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace --output_dir if it exists")


def convert(final: pathlib.Path, splits: list[str]) -> None:
    """Writes the splits into a staged folder that takes its place at the end."""
    info = read_info(DATA_DIR.value, DATASET.value)
    with staging_folder(final) as staging:
        for split in splits:
            folder = staging / "out" / split
            folder.mkdir(parents=True)
            write(FORMAT.value, folder, read_split(DATA_DIR.value, DATASET.value, split), info)
        replace_folder(staging / "out", final)


def main() -> None:
    """Reads, writes and says what was written."""
    final = pathlib.Path(OUTPUT_DIR.value)
    require_writable("output_dir", final)
    if final.exists() and not OVERWRITE.value:
        raise UserError(f"--output_dir={final} exists; choose another or pass --overwrite")
    known = split_sizes(DATA_DIR.value, DATASET.value)
    foreign = [path for path in final.glob("*") if path.name not in known or not path.is_dir()]
    if foreign:
        raise UserError(
            f"{foreign[0]}: not a split of {DATASET.value!r}, so --overwrite does not remove "
            f"{final}; choose another --output_dir"
        )
    splits = list(dict.fromkeys(SPLIT.value or known))
    convert(final, splits)
    for split in splits:
        files = sorted(path.name for path in (final / split).iterdir())
        print(f"{final / split}: {', '.join(files)}")


if __name__ == "__main__":
    run(main)
