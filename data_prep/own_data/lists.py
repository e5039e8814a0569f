"""The lists of both splits and the taxonomy: written once, kept if a user has edited them."""

import csv
import dataclasses
import hashlib
import io
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from data_prep.catalogue.lookup import load_taxonomy
from data_prep.own_data.splits import NORMAL, TEST, TRAIN, Member, split
from data_prep.own_data.videos import OwnVideo, key_of
from data_prep.sources.lists import read_list
from refinevad_jax.encoders.record import read_record
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import write_json, write_text

HEADER = ("video", "label", "source")
_STATED = re.compile(r"^# test fraction (?P<fraction>[\d.e-]+), SHA-256 (?P<digest>\w+)\n", re.M)


@dataclasses.dataclass(frozen=True)
class Lists:
    """The lists on the disk.

    Attributes:
        files: the list of each split that has videos.
        labels: {key of the video: label} of each split.
        edited: the lists that a user has edited, and that were therefore kept.
        unlisted: videos that no list names, if lists were kept.
    """

    files: dict[str, pathlib.Path]
    labels: dict[str, dict[str, str]]
    edited: tuple[pathlib.Path, ...]
    unlisted: tuple[str, ...]

    @property
    def categories(self) -> list[str]:
        """The labels of both splits without the normal one."""
        labels = {label for found in self.labels.values() for label in found.values()}
        return sorted(labels - {NORMAL, ""})


def write_lists(
    folder: pathlib.Path, videos: Sequence[OwnVideo], fraction: float, *, asked: bool
) -> Lists:
    """Writes train.csv and test.csv, or keeps both if one was edited.

    Args:
        folder: of the lists.
        videos: all of them.
        fraction: share of the videos of each label in the test split.
        asked: whether the user stated the fraction.

    Raises UserError if the lists were made with another fraction than the one asked for, or if an
    edited list cannot be read.
    """
    paths = {name: folder / f"{name}.csv" for name in (TRAIN, TEST)}
    there = {name: path for name, path in paths.items() if path.is_file()}
    written = {path: _written(path) for path in there.values()}
    fractions = {found for found in written.values() if found is not None}
    edited = tuple(path for path, found in written.items() if found is None)
    if fractions:
        before = max(fractions)
        if asked and fraction != before:
            raise UserError(
                f"--test_fraction={fraction:g}: the lists in {folder} were made with {before:g}; "
                "remove them to split all videos again, or leave the flag out"
            )
        fraction = before
    kept = {
        key_of(entry.path): name
        for name, path in there.items()
        for entry in read_list(path).entries
    }
    if not edited:
        members = [Member(video.key, video.label, video.source) for video in videos]
        splits = split(members, fraction, kept)
        for name, path in paths.items():
            rows = [video for video in videos if splits[video.key] == name]
            _write(path, rows, name, fraction)
        there = {name: path for name, path in paths.items() if path.is_file()}
    labels = {
        name: {key_of(entry.path): _label(entry.label) for entry in read_list(path).entries}
        for name, path in there.items()
    }
    _check_edited(folder, labels)
    listed = {video for found in labels.values() for video in found}
    unlisted = tuple(video.path for video in videos if video.key not in listed)
    return Lists(there, labels, edited, unlisted)


def _check_edited(folder: pathlib.Path, labels: dict[str, dict[str, str]]) -> None:
    """Raises UserError for what only a user can have written into lists, or removed."""
    if TRAIN not in labels:
        raise UserError(
            f"{folder / TRAIN}.csv: is missing, and {TEST}.csv was edited; write it, or remove "
            "both lists to split anew"
        )
    lowered: dict[str, str] = {}
    for label in sorted({label for found in labels.values() for label in found.values()}):
        other = lowered.setdefault(label.lower(), label)
        if other != label:
            raise UserError(
                f"{folder}: labels {other!r} and {label!r} differ in case only; write one of them"
            )


def _label(label: str | None) -> str:
    """A label of a list; packaging refuses an empty one."""
    return NORMAL if label and label.lower() == NORMAL.lower() else label or ""


def _write(path: pathlib.Path, videos: Sequence[OwnVideo], name: str, fraction: float) -> None:
    if not videos:
        path.unlink(missing_ok=True)
        return
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((video.name, video.label, video.source) for video in videos)
    text = (
        f"# The {name} videos, chosen by label and recording (source). You may edit this file:\n"
        "# both lists are then kept as they are. To split anew, remove both and call again.\n"
        f"# test fraction {fraction}, SHA-256 {_digest(str(fraction), rows.getvalue())}\n"
        f"{rows.getvalue()}"
    )
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _written(path: pathlib.Path) -> float | None:
    """The test fraction that a list was made with; None if it is not as it was written."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    match = _STATED.search(text)
    if match is None or match["digest"] != _digest(match["fraction"], text[match.end() :]):
        return None
    return float(match["fraction"])


def _digest(fraction: str, rows: str) -> str:
    return hashlib.sha256(f"{fraction}\n{rows}".encode()).hexdigest()[:16]


def write_taxonomy(path: pathlib.Path, name: str, categories: Sequence[str]) -> bool:
    """Writes the taxonomy, unless the one there has just these categories.

    The display names of categories that it knew stay. Returns whether it was written.
    """
    shown = {category: category for category in categories}
    if path.is_file():
        there = load_taxonomy(str(path))
        if sorted(there.categories) == sorted(categories):
            return False
        shown |= {
            category: display
            for category, display in zip(there.categories, there.display_names, strict=True)
            if category in shown
        }
    content: dict[str, Any] = {"name": name, "categories": list(categories)}
    write_json(path, content | {"display_names": [shown[one] for one in categories]})
    return True


def fingerprint(lists: Lists, taxonomy: pathlib.Path, features: pathlib.Path) -> Any:
    """What decides a packaged data set, as a JSON value: lists, taxonomy, features.

    features: folder of all feature files. Raises UserError for a listed video without them.
    """
    digests = {}
    for name, found in lists.labels.items():
        for video in found:
            record = read_record(features / f"{video}.npy")
            if record is None:
                raise UserError(
                    f"{lists.files[name]}: {video} is not among the videos; remove the row"
                )
            digests[video] = record.features_sha256
    return {
        "lists": {name: path.read_text(encoding="utf-8") for name, path in lists.files.items()},
        "taxonomy": taxonomy.read_text(encoding="utf-8"),
        "features": digests,
    }
