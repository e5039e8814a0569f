r"""Puts evaluated runs side by side in one page, with bootstrap differences on the same videos.

  python -m refinevad_jax.compare runs/base runs/full
  python -m refinevad_jax.compare base='runs/base/seed*/eval/ucf-test-best' theirs=theirs-ucf-test \
      --output=compare.html

A run is an evaluation folder, a workdir with one evaluation, a folder of several seeds with one
evaluation each, or a quoted pattern of these (* stands for any name). NAME=RUN gives it a name. The
others are compared with the first. With several seeds, intervals and p-values cover seeds and
videos; with one seed each they cover videos only.
"""

import pathlib

from absl import flags

from refinevad_jax.errors import UserError
from refinevad_jax.runtime import command_line, commands

OUTPUT = flags.DEFINE_string("output", "compare.html", "Page to write.")


def main(*arguments: str) -> None:
    """Reads, compares, prints and writes."""
    from refinevad_jax.evaluation import comparison
    from refinevad_jax.report import compare_page
    from refinevad_jax.runs.evaluations import find_evaluations

    if len(arguments) < 2:
        raise UserError(
            f"two runs or more are needed: {commands.spell('compare', 'RUN', 'RUN')} ..."
        )
    runs = []
    for text in arguments:
        name, _, path = text.rpartition("=")
        if not path:
            raise UserError(f"{text!r} names no run; give RUN or NAME=RUN")
        runs.append(comparison.read_compared(name or path, find_evaluations(path)))
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{name!r} names two runs; give names as NAME=FOLDER")
    content = comparison.comparison(runs)
    compare_page.write_page(pathlib.Path(OUTPUT.value), content)
    print(compare_page.table(content))
    print(OUTPUT.value)


if __name__ == "__main__":
    command_line.run(main, takes_arguments=True)
