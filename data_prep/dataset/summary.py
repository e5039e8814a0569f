"""What a dataset folder holds, in lines for a person: read back from the folder itself."""

import pathlib
import shlex
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from data_prep.catalogue.lookup import built_in_taxonomies
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from refinevad_jax.data.bags import BagsInfo, read_info

SELECT_ON_VAL = ("demo", "ucf_text")  # configurations that choose the checkpoint on val


def summarize(data_dir: str, folder: pathlib.Path) -> str:
    """Reads every record once, one at a time, and describes the data set.

    Args:
        data_dir: as given to write_dataset.
        folder: what write_dataset returned.

    Returns the text: folder, channels, a table of splits, a table of categories, the next command.
    """
    name = folder.parent.name
    info = read_info(data_dir, name)
    rows = {split: _read(folder, split) for split in _splits(folder)}
    modalities = " + ".join(f"{m.name} {m.width}" for m in info.modalities)
    made_up = ", simulated" if info.simulated else ""
    lines = [
        f"data set {name} in {folder}{made_up}",
        f"D = {info.width} ({modalities}), {info.frames_per_segment} frames per segment",
        "",
        *_split_table(rows),
        "",
        *_category_table(rows, info),
        "",
        f"next: {_next_command(info, data_dir, list(rows))}",
    ]
    return "\n".join(lines)


def _next_command(info: BagsInfo, data_dir: str, splits: Sequence[str]) -> str:
    """The command that comes next: training, or evaluation if there is no train split."""
    place = shlex.quote(data_dir)
    if "train" not in splits:
        split = "test" if "test" in splits else splits[0]
        return (
            f"python -m refinevad_jax.evaluate --workdir=WORKDIR --split={split} "
            f"--dataset={info.name} --data_dir={place}"
        )
    config = _config(info)
    selection = "--config.data.selection_split=train "
    return (
        f"python -m refinevad_jax.main --config={config} "
        f"--config.data.dataset={info.name} --config.data.data_dir={place} "
        f"{selection if config in SELECT_ON_VAL and 'val' not in splits else ''}"
        f"--workdir=runs/{info.name}"
    )


def _config(info: BagsInfo) -> str:
    """The name of the configuration that fits the data."""
    if info.simulated:
        return "demo"
    if info.taxonomy.name == XD_VIOLENCE.name:
        return "xd"
    if [modality.name for modality in info.modalities] == ["text"]:
        return "ucf_text"
    return "ucf" if info.taxonomy.name in built_in_taxonomies() else "own"


def _splits(folder: pathlib.Path) -> list[str]:
    """Split names; train, val and test first."""
    order = ["train", "val", "test"]
    names = list(tfds.builder_from_directory(folder).info.splits)
    return sorted(names, key=lambda name: (order.index(name) if name in order else 3, name))


def _read(folder: pathlib.Path, split: str) -> tuple[np.ndarray, ...]:
    """Labels [V, C], whether the truth is known [V], crops [V] and segments [V] of a split."""
    source = tfds.builder_from_directory(folder).as_data_source(split)
    rows = [(r["labels"], r["has_truth"], *r["features"].shape[:2]) for r in source]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def _split_table(rows: dict[str, tuple[np.ndarray, ...]]) -> list[str]:
    heading = "split", "videos", "normal", "anomalous", "with truth", "crops", "T min/median/max"
    table: list[tuple[str, ...]] = [heading]
    for split, (labels, with_truth, crops, lengths) in rows.items():
        anomalous = labels.any(axis=1)
        counts = len(labels), (~anomalous).sum(), anomalous.sum(), with_truth.sum()
        length = f"{lengths.min()}/{np.median(lengths):g}/{lengths.max()}"
        table.append((split, *map(str, counts), "/".join(map(str, np.unique(crops))), length))
    return _aligned(table)


def _category_table(rows: dict[str, tuple[np.ndarray, ...]], info: BagsInfo) -> list[str]:
    counts = [labels.sum(axis=0) for labels, *_ in rows.values()]
    cells = zip(info.taxonomy.display_names, *counts, strict=True)
    return _aligned([("category", *rows), *(tuple(map(str, row)) for row in cells)])


def _aligned(table: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns of equal width, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(f"{cell:{'>' if i else '<'}{widths[i]}}" for i, cell in enumerate(row)).rstrip()
        for row in table
    ]
