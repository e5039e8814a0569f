"""What a dataset folder holds, in lines for a person: read back from the folder itself."""

import collections
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from refinevad_jax.data.bags import BagsInfo, read_info


def summarize(data_dir: str, folder: pathlib.Path) -> str:
    """Reads every record once, one at a time, and describes the data set.

    Args:
        data_dir: as given to write_dataset.
        folder: what write_dataset returned.

    Returns the text: folder, channels, a table of splits, a table of categories, the next command.
    """
    name = folder.parent.name
    info = read_info(data_dir, name)
    rows = {split: _count(folder, split, info) for split in _splits(folder)}
    modalities = " + ".join(f"{m.name} {m.width}" for m in info.modalities)
    config = _config(info)
    made_up = ", simulated" if info.simulated else ""
    lines = [
        f"data set {name} in {folder}{made_up}",
        f"D = {info.width} ({modalities}), {info.frames_per_segment} frames a segment",
        "",
        *_split_table(rows),
        "",
        *_category_table(rows, info),
        "",
        f"next: python -m refinevad_jax.main --config={config} --config.data.dataset={name} "
        f"--config.data.data_dir={shlex.quote(data_dir)}",
    ]
    return "\n".join(lines)


def _config(info: BagsInfo) -> str:
    """The configuration that fits the data."""
    if info.simulated:
        return "configs/demo.py"
    if info.taxonomy.name == XD_VIOLENCE.name:
        return "configs/xd.py"
    text_only = [modality.name for modality in info.modalities] == ["text"]
    return "configs/ucf_text.py" if text_only else "configs/ucf.py"


def _splits(folder: pathlib.Path) -> list[str]:
    """Split names; train, val and test first."""
    order = ["train", "val", "test"]
    names = list(tfds.builder_from_directory(folder).info.splits)
    return sorted(names, key=lambda name: (order.index(name) if name in order else 3, name))


def _count(folder: pathlib.Path, split: str, info: BagsInfo) -> dict[str, Any]:
    """Counts of one split: categories, truth, segments and crops of each video."""
    categories = np.zeros(info.taxonomy.num_categories, int)
    normal = with_truth = 0
    lengths: list[int] = []
    crops: collections.Counter[int] = collections.Counter()
    for record in tfds.builder_from_directory(folder).as_data_source(split):
        categories += record["labels"]
        normal += not record["labels"].any()
        with_truth += bool(record["has_truth"])
        lengths.append(record["features"].shape[1])
        crops[record["features"].shape[0]] += 1
    return {
        "categories": categories,
        "normal": normal,
        "with_truth": with_truth,
        "lengths": lengths,
        "crops": crops,
    }


def _split_table(rows: dict[str, dict[str, Any]]) -> list[str]:
    table = [("split", "videos", "normal", "anomalous", "with truth", "crops", "T min/median/max")]
    for split, row in rows.items():
        lengths = row["lengths"]
        table.append(
            (
                split,
                str(len(lengths)),
                str(row["normal"]),
                str(len(lengths) - row["normal"]),
                str(row["with_truth"]),
                "/".join(str(count) for count in sorted(row["crops"])),
                f"{min(lengths)}/{np.median(lengths):g}/{max(lengths)}",
            )
        )
    return _aligned(table)


def _category_table(rows: dict[str, dict[str, Any]], info: BagsInfo) -> list[str]:
    table = [("category", *rows)]
    for index, display_name in enumerate(info.taxonomy.display_names):
        table.append((display_name, *(str(row["categories"][index]) for row in rows.values())))
    return _aligned(table)


def _aligned(table: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns of equal width, the first to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
