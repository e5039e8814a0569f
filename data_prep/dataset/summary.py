"""What a dataset folder holds, in lines for a person: read back from the folder itself."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from refinevad_jax.data.bags import BagsInfo, read_info
from refinevad_jax.runtime import commands

SELECT_ON_VAL = ("demo", "ucf_text")  # configurations that choose the checkpoint on val
# Training videos from which the network of the paper, 5 million parameters at T = 200, is
# recommended: UCF-Crime has 1,610 and XD-Violence 3,954, the sets of own clips a few hundred.
BENCHMARK_VIDEOS = 500


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
        _next_line(info, data_dir, {split: len(labels) for split, (labels, *_) in rows.items()}),
    ]
    return "\n".join(lines)


def _next_line(info: BagsInfo, data_dir: str, sizes: Mapping[str, int]) -> str:
    """The training command; without a train split, words that say what to do.

    sizes: number of videos of every split.
    """
    if "train" not in sizes:
        split = "test" if "test" in sizes else next(iter(sizes))
        words = f"--dataset={info.name}", f"--data_dir={data_dir}", f"--split={split}"
        return (
            "no train split: evaluate a run that was trained on the same features, by its "
            f"--workdir and {' '.join(map(commands.quoted, words))}"
        )
    name = _config(info, sizes["train"])
    train = {"config": name, "config.data.dataset": info.name, "config.data.data_dir": data_dir}
    if name in SELECT_ON_VAL and "val" not in sizes:
        train["config.data.selection_split"] = "train"
    train["workdir"] = f"runs/{info.name}"
    return f"next: {commands.spell('train', *(f'--{key}={train[key]}' for key in train))}"


def _config(info: BagsInfo, num_training: int) -> str:
    """The configuration that fits the data and their number."""
    if info.simulated:
        return "demo"
    if info.provenance.get("source") == "survfight":  # the built-in set, under any name
        return "survfight"
    if info.taxonomy.name == UCF_CRIME.name and [m.name for m in info.modalities] == ["text"]:
        return "ucf_text"
    large = {UCF_CRIME.name: "ucf", XD_VIOLENCE.name: "xd"}
    return large.get(info.taxonomy.name, "own") if num_training >= BENCHMARK_VIDEOS else "own"


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
