r"""Writes a table of results from evaluated runs: a row per model, mean and spread over seeds.

  python -m refinevad_jax.results --row='full=runs/ladder/full/seed*/eval/ucf_text-val-best' \
      --row='base=runs/ladder/base/seed*/eval/ucf_text-val-best'
  python -m refinevad_jax.results --row=ucf=runs/ucf/eval/ucf-test-best --output=table.md \
      --before=notes.md

The folders of a row are the evaluations of its seeds, workdirs with one evaluation each, or a
folder of several seeds.
"""

import pathlib

from absl import flags

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.runtime import command_line

ROW = flags.DEFINE_multi_string(
    "row",
    None,
    "NAME=PATTERN of evaluation folders, workdirs or a folder of seeds, once per row; * stands for "
    "any name.",
    required=True,
)
OUTPUT = flags.DEFINE_string("output", "", "Markdown file to write; printed if not given.")
BEFORE = flags.DEFINE_string("before", "", "Markdown file that is put before the table.")


def main() -> None:
    """Reads metrics.json files and writes the page."""
    from refinevad_jax.files.staged import write_text
    from refinevad_jax.report.tables import result_table
    from refinevad_jax.runs.evaluations import find_evaluations, read_metrics

    rows = {}
    for row in ROW.value:
        name, _, pattern = row.partition("=")
        if not (name and pattern):
            raise UserError(f"--row={row}: expected NAME=PATTERN, as in 'full=runs/ucf/eval/*'")
        if name in rows:
            raise UserError(f"--row={row}: there is a row {name!r} already")
        rows[name] = {folder: read_metrics(folder) for folder in find_evaluations(pattern)}
    text = ""
    if BEFORE.value:
        with as_damaged(f"--before={BEFORE.value}: not UTF-8 text"):
            text = pathlib.Path(BEFORE.value).read_text(encoding="utf-8").rstrip() + "\n\n"
    text += result_table(rows)
    if OUTPUT.value:
        write_text(pathlib.Path(OUTPUT.value), text)
        print(f"{OUTPUT.value}: {len(rows)} rows")
    else:
        print(text, end="")


if __name__ == "__main__":
    command_line.run(main)
