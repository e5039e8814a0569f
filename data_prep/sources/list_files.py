"""List files of the field: `path,label` rows that name feature files and video-level labels.

Crops in files of their own carry `__<crop>` behind the video's name, as in VadCLIP's and Roc-Ng's
releases; their rows make one video.
"""

import contextlib
import csv
import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence

from data_prep.catalogue.video_names import parse_path
from refinevad_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class ListedVideo:
    """One video of a list and its files.

    Attributes:
        video_id: the name without folder, suffix, crop and encoder ending.
        split: the split of its list.
        label: raw label string.
        files: one file, or one per crop in crop order.
        source: list and line, for errors.
    """

    video_id: str
    split: str
    label: str
    files: tuple[pathlib.Path, ...]
    source: str


def parse_lists(texts: Sequence[str]) -> dict[str, pathlib.Path]:
    """Reads `split=file` texts of the command line. Raises UserError for a malformed one."""
    lists: dict[str, pathlib.Path] = {}
    for text in texts:
        split, separator, path = text.partition("=")
        if not (split and separator and path):
            raise UserError(f"--list={text}: expected SPLIT=FILE.csv, as in train=train.csv")
        if split in lists:
            raise UserError(f"--list={text}: split {split} stands twice; join the lists")
        lists[split] = pathlib.Path(path)
    return lists


def read_lists(lists: Mapping[str, pathlib.Path], root: pathlib.Path) -> list[ListedVideo]:
    """Reads {split: list file} in order and finds every file below root.

    Raises UserError naming list and line for a damaged row, a missing file, a crop that stands
    twice or one with another label than its video.
    """
    if not root.is_dir():
        raise UserError(f"--features={root}: no such folder; give the one the lists' paths are in")
    return [video for split, path in lists.items() for video in _read_list(path, split, root)]


def _read_list(path: pathlib.Path, split: str, root: pathlib.Path) -> list[ListedVideo]:
    crops: dict[str, dict[int, pathlib.Path]] = {}
    labels: dict[str, tuple[str, str]] = {}
    for source, listed, label in read_rows(path):
        if not listed.endswith(".npy"):
            raise UserError(f"{source}: {listed!r} is no .npy file; a row is path,label")
        name = parse_path(listed)
        first_label, first_source = labels.setdefault(name.video_id, (label, source))
        if label != first_label:
            raise UserError(
                f"{source}: video {name.video_id} is {label!r} here, {first_label!r} in "
                f"{first_source}; correct one"
            )
        files = crops.setdefault(name.video_id, {})
        crop = name.crop or 0  # crop 0 of Roc-Ng's files carries no number
        if crop in files:
            raise UserError(f"{source}: video {name.video_id}, crop {crop} stands twice")
        files[crop] = find_file(root, listed, source=source)
    if not crops:
        raise UserError(f"{path}: no rows; a row is path,label")
    return [
        ListedVideo(
            video_id=video_id,
            split=split,
            label=labels[video_id][0],
            files=tuple(files[crop] for crop in sorted(files)),
            source=labels[video_id][1],
        )
        for video_id, files in crops.items()
    ]


def read_rows(path: pathlib.Path) -> list[tuple[str, str, str]]:
    """Rows of a `path,label` CSV file as (file:line, path, label).

    A header row `path,label`, CRLF, a byte-order mark and blank lines are accepted.
    """
    rows: list[tuple[str, str, str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                fields = [field.strip() for field in row]
                if not any(fields) or (not rows and [f.lower() for f in fields[:1]] == ["path"]):
                    continue
                source = f"{path}:{reader.line_num}"
                if len(fields) != 2 or not all(fields):
                    raise UserError(f"{source}: {','.join(row)[:80]!r} is not path,label")
                rows.append((source, fields[0], fields[1]))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file of path,label rows ({error})") from error
    return rows


def find_file(root: pathlib.Path, listed: str, *, source: str) -> pathlib.Path:
    """The file of a list entry below root.

    Released lists hold absolute paths of their authors' machines, with `/` or back-slashes: of such
    a path the longest ending that exists below root is taken.
    """
    path = listed.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    absolute = path.startswith("/") or re.match(r"[A-Za-z]:/", path) is not None
    for first in range(len(parts) if absolute else 1):
        candidate = root.joinpath(*parts[first:])
        with contextlib.suppress(OSError):  # longer than a name may be
            if candidate.is_file():
                return candidate
    raise UserError(
        f"{source}: {listed} is not below {root}; --features names the folder that the list's "
        "paths are in"
    )
