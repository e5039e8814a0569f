r"""Packages two small sets of real bags, on which a configuration can be tried without tuning it.

They are of another kind than the data that a configuration was chosen on, and a run takes seconds.

mitbih: ECG of the MIT-BIH Arrhythmia Database (PhysioNet, ODC-By 1.0) as bags of 32 segments of two
seconds, 256 random convolutions per segment, five categories. Whole records are held out: of the
sorted records every fourth from the first on is in val, every fourth from the third in test.
survfight: I3D features of two-second surveillance clips (Akti et al., IPTA 2019) put together into
bags of 32 snippets. Features are real, the arrangement is made up; one category. No val split.

  python -m benchmarks.small_sets --set=mitbih --input=mitbih_ds1.npz --data_dir=data
  python -m benchmarks.small_sets --set=survfight --input=survfight_i3d_rgb.npz --data_dir=data
  python -m refinevad_jax.ladder --config=configs/ucf_text.py --workdir=runs/mitbih \
      --config.data.dataset=mitbih --config.num_seeds=5 --rows=base,constant-shift
"""

import pathlib

from absl import flags

from benchmarks.small_set_bags import read_mitbih, read_survfight
from data_prep.dataset.summary import summarize
from data_prep.dataset.write import write_dataset
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.runtime.command_line import run

SET = flags.DEFINE_enum("set", None, ["mitbih", "survfight"], "which of the two", required=True)
INPUT = flags.DEFINE_string("input", None, "its .npz file", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")


def main() -> None:
    """Reads the file, writes the data set and says what is in it."""
    path = pathlib.Path(INPUT.value)
    read = {"mitbih": read_mitbih, "survfight": read_survfight}[SET.value]
    try:
        info, videos = read(path, load_packed(path))
    except KeyError as error:
        raise UserError(f"{path}: no array {error} in it; is it --set={SET.value}?") from error
    folder = write_dataset(DATA_DIR.value, info, videos, overwrite=OVERWRITE.value)
    print(summarize(DATA_DIR.value, folder))


if __name__ == "__main__":
    run(main)
