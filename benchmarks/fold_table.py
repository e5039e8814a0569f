"""The folds of a data set, and the table over them that `benchmarks.folds` writes."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from refinevad_jax.data.bags import dataset_dir, read_info
from refinevad_jax.metrics import names
from refinevad_jax.report.tables import checkpoint_in_words, commits, markdown_table, spread


def folds_of(data_dir: str, name: str) -> list[str]:
    """The data sets NAME_0, NAME_1, ... that there are.

    Raises UserError if there is none.
    """
    every = (f"{name}_{fold}" for fold in itertools.count())
    found = list(itertools.takewhile(lambda fold: dataset_dir(data_dir, fold).is_dir(), every))
    if not found:
        read_info(data_dir, f"{name}_0")  # says what is missing
    return found


def table(contents: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Markdown: a line per row, mean and deviation over metrics.json of all folds and seeds."""
    shown = names.shown_in(names.RESULTS)
    cells = [
        [row, *(spread([metric.of(content) for content in found]) for metric in shown)]
        for row, found in contents.items()
    ]
    every = [content for found in contents.values() for content in found]
    folds, seeds = ({content[key] for content in every} for key in ("dataset", "seed"))
    note = (
        f"{len(folds)} folds ({min(folds)} to {max(folds)}), split {every[0]['split']}, seeds "
        f"{', '.join(map(str, sorted(seeds)))}; mean ± standard deviation over folds and seeds; "
        f"{checkpoint_in_words(every[0]['step_chosen_as'], every[0]['selection'])}; "
        f"trained by commit {commits(every)}."
    )
    lines = markdown_table(["row", *(metric.title for metric in shown)], cells)
    return "\n".join([*lines, "", note]) + "\n"
