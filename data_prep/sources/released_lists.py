"""Reads the lists that the field's repositories have released: which videos, crops and labels.

Grammars: CSV with `path,label` (VadCLIP, DSANet, IEF-VAD) or `video-id` (S3R, GlanceVAD); a path or
name per line (UR-DMU, PEL4VAD, XDVioDet, RTFM, MGFN, MSAD); `path label` (PEL4VAD ShanghaiTech);
and every annotation file, read as the list of its videos (MIST, UMIL, TAD, AnomalyCLIP, LaGoVAD).
"""

import csv
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Sequence

from data_prep.annotations import read_annotations
from data_prep.annotations.reading import read_lines
from data_prep.catalogue.lookup import data_set_of, label_from_name
from data_prep.catalogue.video_names import is_normal_label, parse_path
from refinevad_jax.errors import UserError

_FILE = re.compile(r"\.(npy|txt|mp4|avi|mkv|mov)$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class ListEntry:
    """One row of a list.

    Attributes:
        path: as written.
        video_id: read from the path.
        crop: crop index, None where the name has none.
        ending: the encoder's ending, see VideoName.
        label: label string, from the row or, where it has none, from the name; None where neither
            says. Never from the position in the list.
        line: 1-based line, or entry of a JSON file.
    """

    path: str
    video_id: str
    crop: int | None
    ending: str
    label: str | None
    line: int


@dataclasses.dataclass(frozen=True)
class ReleasedList:
    """A list, read.

    Attributes:
        grammar: for people.
        source: the file.
        entries: in file order.
        labels_stated: whether the labels stand in the file, not only in the names.
    """

    grammar: str
    source: str
    entries: tuple[ListEntry, ...]
    labels_stated: bool = False

    @property
    def videos(self) -> dict[str, tuple[ListEntry, ...]]:
        """Rows of each video, the videos in the order of their first row."""
        rows: dict[str, list[ListEntry]] = {}
        for entry in self.entries:
            rows.setdefault(entry.video_id, []).append(entry)
        return {video: tuple(entries) for video, entries in rows.items()}

    @property
    def labels(self) -> dict[str, str | None]:
        """Label string of each video, the first row's."""
        return {video: entries[0].label for video, entries in self.videos.items()}

    @property
    def data_set(self) -> str:
        """The data set whose naming all ids follow, "" where they do not agree or none is known."""
        names = {data_set_of(video) for video in self.videos}
        return names.pop() if len(names) == 1 else ""


def read_released_list(path: pathlib.Path) -> ReleasedList:
    """Reads a list in any grammar of the field.

    CRLF, back-slashes, a byte order mark, blank lines and a missing final newline are accepted.
    Raises UserError naming file and line where the file is no list.
    """
    content = read_lines(path)
    lines = [(i, line.strip()) for i, line in enumerate(content.splitlines(), 1) if line.strip()]
    if not lines:
        raise UserError(f"{path}: empty; check that this is the right file")
    if content.lstrip()[:1] in ("{", "["):
        return _from_annotations(path)
    header = lines[0][1].lower()
    if header == "path,label":
        return _read_path_label_csv(lines[1:], path)
    if header == "video-id":
        return _read_names(lines[1:], path, "CSV of video ids")
    if all(_is_one_name(line) for _, line in lines):
        return _read_names(lines, path, "a path or name per line")
    if all(re.fullmatch(r"\S+\.npy\s+[01](\.0)?", line) for _, line in lines):
        rows = [(i, line.split()[0], _binary_label(line.split()[1])) for i, line in lines]
        return _build("path and 0 or 1 per line", path, rows)
    return _from_annotations(path)


def _is_one_name(line: str) -> bool:
    if _FILE.search(line):
        return True
    # uws4vad's `name@frames` is no name; `CLE@GSW` in an XD-Violence title is.
    return re.fullmatch(r"[^\s,]+", line) is not None and not re.search(r"@\d+$", line)


def _binary_label(field: str) -> str:
    return "Normal" if is_normal_label(field) else "Abnormal"


def _read_path_label_csv(lines: Sequence[tuple[int, str]], path: pathlib.Path) -> ReleasedList:
    rows = []
    for number, line in lines:
        try:
            fields = next(csv.reader([line], strict=True))
        except (csv.Error, StopIteration) as error:
            raise UserError(f"{path}, line {number}: not a CSV row ({error})") from error
        if len(fields) != 2 or not all(field.strip() for field in fields):
            raise UserError(f"{path}, line {number}: {line[:80]!r} is not 'path,label'")
        rows.append((number, fields[0].strip(), fields[1].strip()))
    return _build("CSV path,label", path, rows)


def _read_names(lines: Sequence[tuple[int, str]], path: pathlib.Path, grammar: str) -> ReleasedList:
    return _build(grammar, path, [(number, name, None) for number, name in lines])


def _from_annotations(path: pathlib.Path) -> ReleasedList:
    try:
        annotations = read_annotations(path)
    except UserError as error:
        raise UserError(f"{error} (read as a list)") from error
    rows = [
        (i, video, annotations.labels.get(video))
        for i, video in enumerate(annotations.video_ids, 1)
    ]
    return _build(f"annotation file, {annotations.grammar}", path, rows)


def _build(
    grammar: str, path: pathlib.Path, rows: Iterable[tuple[int, str, str | None]]
) -> ReleasedList:
    entries = []
    stated = False
    for number, written, label in rows:
        name = parse_path(written)
        if not name.video_id:
            raise UserError(f"{path}, line {number}: {written[:80]!r} names no video")
        stated = stated or label is not None
        entries.append(
            ListEntry(
                path=written,
                video_id=name.video_id,
                crop=name.crop,
                ending=name.ending,
                label=label or label_from_name(name.video_id),
                line=number,
            )
        )
    if not entries:
        raise UserError(f"{path}: no video in the list; check that this is the right file")
    return ReleasedList(grammar, str(path), tuple(entries), stated)
