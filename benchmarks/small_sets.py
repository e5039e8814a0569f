r"""Packages a small set of real bags, on which a configuration can be tried without tuning it.

They are of another kind than the data that a configuration was chosen on, and a run takes seconds:
ECG of the MIT-BIH Arrhythmia Database (PhysioNet, ODC-By 1.0) as bags of 32 segments of two
seconds, 256 random convolutions per segment, five categories. Whole records are held out: of the
sorted records every fourth from the first on is in val, every fourth from the third in test.
Another small set ships with the project: data_prep.package --builtin=survfight.

  python -m benchmarks.small_sets --input=mitbih_ds1.npz --data_dir=data
  python -m refinevad_jax.ladder --config=configs/ucf_text.py --workdir=runs/mitbih \
      --config.data.dataset=mitbih --config.num_seeds=5 --rows=base,constant-shift
"""

import pathlib

from absl import flags

from benchmarks.small_set_bags import read_mitbih
from data_prep.dataset.summary import summarize
from data_prep.dataset.write import write_dataset
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.runtime.command_line import run

INPUT = flags.DEFINE_string("input", None, "the .npz file", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")


def main() -> None:
    """Reads the file, writes the data set and says what is in it."""
    path = pathlib.Path(INPUT.value)
    try:
        info, videos = read_mitbih(path, load_packed(path))
    except KeyError as error:
        raise UserError(f"{path}: no array {error} in it; is it the file of the ECG?") from error
    folder = write_dataset(DATA_DIR.value, info, videos, overwrite=OVERWRITE.value)
    print(summarize(DATA_DIR.value, folder))


if __name__ == "__main__":
    run(main)
