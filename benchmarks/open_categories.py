r"""Asks runs for categories that were held out of training, by their names; several draws.

Each draw takes --held_out categories of a text data set. Their videos leave training and selection,
their names the taxonomy. A run with config.model.category_names=sentences is trained on the rest
and its last step is taken. It is asked for names as `detect --categories` asks, on the videos of
the held-out categories: those of the train split, which it has not seen either, and those of the
selection split. Beside it: the nearest name by cosine of sentence embeddings without any training,
over all segments with a sentence or the highest fifth of them for each name; and always the most
frequent category of the draw.

  python -m data_prep.package --source=timed_text --input=FOLDER --name=ucf_text \
      --taxonomy=ucf_crime --data_dir=data
  python -m benchmarks.open_categories --config=configs/ucf_text.py --workdir=runs/open

Prints the table, and writes it to WORKDIR/open_categories.md. The same command goes on where it was
stopped.
"""

import pathlib

from absl import flags

from refinevad_jax.runtime import command_line

CONFIG = command_line.config_flag()
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of data and runs.", required=True)
DRAWS = flags.DEFINE_integer("draws", 5, "Draws of categories.", 1, 1000)
HELD_OUT = flags.DEFINE_integer("held_out", 3, "Categories held out in each.", 2, 100)
CACHE = command_line.cache_flag()


def main() -> None:
    """Trains and asks each draw, and prints the table."""
    from benchmarks.held_out_categories import HeldOut, table
    from refinevad_jax.files.staged import write_text
    from refinevad_jax.runtime.compiler import enable_cache

    enable_cache(CACHE.value)
    workdir = pathlib.Path(WORKDIR.value)
    task = HeldOut(CONFIG.value, workdir)
    found = [task.asked(draw, HELD_OUT.value) for draw in range(DRAWS.value)]
    text = table(found)
    write_text(workdir / "open_categories.md", text)
    print(f"\n{text}", end="")


if __name__ == "__main__":
    command_line.run(main)
