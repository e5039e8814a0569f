r"""Packages a small set of real bags, on which a configuration can be tried without tuning it.

They are of another kind than the data that a configuration was chosen on, and a run takes seconds.

mitbih: ECG of the MIT-BIH Arrhythmia Database (PhysioNet, ODC-By 1.0) as bags of 32 segments of two
seconds, 256 random convolutions per segment, five categories. Whole records are held out: of the
sorted records every fourth from the first on is in val, every fourth from the third in test.

ped2: I3D features of UCSD Ped2, 12 anomalous and 16 normal videos, as ten data sets ped2_0 ..
ped2_9: five times the videos of either kind are cut into halves at random, and each half is once
trained on, by video labels, and once tested on. benchmarks.folds trains on all of them. The data
set ped2_all has all videos in train, with their frame truth, for cross-validation
(benchmarks.fields).

survfight: the training clips of the data set that ships with the project (data_prep.package
--builtin=survfight) as three data sets survfight_groups_0 .. survfight_groups_2: bags in five
groups, no source video in two, for cross-validation (benchmarks.fields).

  python -m benchmarks.small_sets --input=mitbih_ds1.npz --data_dir=data
  python -m refinevad_jax.ladder --config=configs/ucf_text.py --workdir=runs/mitbih \
      --config.data.dataset=mitbih --config.num_seeds=5 --rows=base,constant-shift
  python -m benchmarks.small_sets --set=ped2 --input=ped2_i3d_rgb.npz --data_dir=data
  python -m benchmarks.folds --config=configs/own.py --config.data.dataset=ped2 \
      --workdir=runs/ped2 --rows=base
  python -m benchmarks.small_sets --set=survfight --data_dir=data \
      --input=data_prep/builtin/survfight_i3d.npz
"""

import pathlib
from collections.abc import Iterator

import numpy as np
from absl import flags

from benchmarks.small_set_bags import (
    PED2_FOLDS,
    SURVFIGHT_DRAWS,
    read_mitbih,
    read_ped2,
    read_survfight,
)
from data_prep.dataset.summary import summarize
from data_prep.dataset.videos import Video
from data_prep.dataset.write import write_dataset
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.runtime.command_line import run

SET = flags.DEFINE_enum("set", "mitbih", ["mitbih", "ped2", "survfight"], "what the file holds")
INPUT = flags.DEFINE_string("input", None, "the .npz file", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "folder of all data sets", required=True)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "replace a data set of that name")


def main() -> None:
    """Reads the file, writes the data sets and says what is in the last one."""
    path = pathlib.Path(INPUT.value)
    try:
        made = list(_read(path, load_packed(path)))
    except KeyError as error:
        raise UserError(
            f"{path}: no array {error} in it; is it the file of --set={SET.value}?"
        ) from error
    for info, videos in made:
        folder = write_dataset(DATA_DIR.value, info, videos, overwrite=OVERWRITE.value)
        print(f"{info.name}: {folder}")
    print(summarize(DATA_DIR.value, folder))


def _read(
    path: pathlib.Path, arrays: dict[str, np.ndarray]
) -> Iterator[tuple[BagsInfo, list[Video]]]:
    if SET.value == "mitbih":
        yield read_mitbih(path, arrays)
    elif SET.value == "ped2":
        yield from (read_ped2(path, arrays, fold) for fold in [*range(PED2_FOLDS), None])
    else:
        yield from (read_survfight(path, arrays, draw) for draw in range(SURVFIGHT_DRAWS))


if __name__ == "__main__":
    run(main)
