r"""What each field that the paper does not state gives: cross-validation on training videos alone.

Whole recordings are left out in turn. Video-level AUC, categories, and, if something says where in
training videos events are (frame truth, or --moments), how well these places are found.
docs/learned.md says what was found. The same command goes on where it was stopped.

  python -m benchmarks.fields --config=configs/ucf_text.py --workdir=runs/fields_text \
      --moments=ucf_glance_annotations.csv
  python -m benchmarks.fields --config=configs/own.py --config.data.dataset=mitbih \
      --workdir=runs/fields_ecg --repeats=3
  python -m benchmarks.small_sets --set=survfight --data_dir=data \
      --input=data_prep/builtin/survfight_i3d.npz
  python -m benchmarks.fields --config=configs/survfight.py --workdir=runs/fields_survfight \
      --config.train.min_steps=60 --config.data.dataset=survfight_groups
  python -m benchmarks.small_sets --set=ped2 --data_dir=data --input=ped2_i3d_rgb.npz
  python -m benchmarks.fields --config=configs/own.py --workdir=runs/fields_ped2 --repeats=6 \
      --config.train.batch_size=16 --config.data.dataset=ped2_all

A data set NAME that is not there stands for NAME_0, NAME_1 and so on. Writes WORKDIR/fields.md.
"""

import pathlib

from absl import flags

from refinevad_jax.runtime import command_line

CONFIG = command_line.config_flag()
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the rows; made if needed.", required=True)
ROWS = flags.DEFINE_list("fields", [], "Fields to ask; all of benchmarks.field_rows if not given.")
FOLDS = flags.DEFINE_integer("folds", 5, "Parts that are left out in turn.", lower_bound=2)
REPEATS = flags.DEFINE_integer("repeats", 1, "Times that folds are drawn.", lower_bound=1)
MOMENTS = flags.DEFINE_string("moments", "", "CSV video-id,glance: frames that lie in events.")
CACHE = command_line.cache_flag()
BASE = "as given"


def main() -> None:
    """Runs the rows and prints the table."""
    from benchmarks import field_rows
    from benchmarks.fold_table import folds_of
    from refinevad_jax import config as config_lib
    from refinevad_jax.data.bags import dataset_dir
    from refinevad_jax.errors import UserError
    from refinevad_jax.files.staged import require_writable, write_text
    from refinevad_jax.runtime.compiler import enable_cache

    config = CONFIG.value
    config_lib.validate(config)
    fields = ROWS.value or list(field_rows.FIELDS)
    unknown = sorted(set(fields) - set(field_rows.FIELDS))
    if unknown:
        raise UserError(
            f"--fields: no field {unknown[0]!r}; there are {', '.join(field_rows.FIELDS)}"
        )
    if idle := field_rows.unread(config, fields):
        print(f"left out: {', '.join(idle)}; a linear scorer (model.scorer_width=0) reads neither")
        fields = [field for field in fields if field not in idle]
    folder = pathlib.Path(WORKDIR.value)
    require_writable("workdir", folder)
    enable_cache(CACHE.value)
    moments = field_rows.read_moments(pathlib.Path(MOMENTS.value)) if MOMENTS.value else {}
    data_dir, name = config.data.data_dir, config.data.dataset
    names = [name] if dataset_dir(data_dir, name).is_dir() else folds_of(data_dir, name)
    sets = [field_rows.TrainingVideos.read(config, own, moments) for own in names]
    rows: dict[str, list[field_rows.Columns]] = {}
    for row in [BASE, *fields]:
        changes = {} if row == BASE else field_rows.other_value(config, row)
        rows[row] = []
        for videos in sets:
            path = folder / videos.info.name / f"{row.replace(' ', '-')}.json"
            rows[row] += field_rows.run_row(
                config, changes, videos, path, num_folds=FOLDS.value, num_repeats=REPEATS.value
            )
        text = field_rows.table(config, rows, BASE)
        write_text(folder / "fields.md", text)
    print(f"\n{text}", end="")


if __name__ == "__main__":
    command_line.run(main)
