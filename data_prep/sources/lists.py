"""Reads lists: which videos, which crops of them, and their labels.

Grammars: CSV with a header that begins with `path` (VadCLIP, DSANet, IEF-VAD, your own) or with
`video,label` (your own), or without a header if the paths end in a file suffix; CSV `video-id`
(S3R, GlanceVAD); one path or name per line (UR-DMU, PEL4VAD, XDVioDet, RTFM, MGFN, MSAD); `path 0`
or `path 1` (PEL4VAD ShanghaiTech); and every annotation file, read as the list of its videos (MIST,
UMIL, TAD, AnomalyCLIP, LaGoVAD).
"""

import csv
import dataclasses
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

from data_prep.annotations import read_annotations
from data_prep.annotations.reading import read_lines
from data_prep.catalogue.lookup import data_set_of_all, label_from_name
from data_prep.catalogue.video_names import is_normal_label, is_video_path, parse_path
from refinevad_jax.errors import UserError

_FILE = re.compile(r"\.(npy|txt)$", re.IGNORECASE)
# (line, path, label or None)
_Row = tuple[int, str, str | None]


@dataclasses.dataclass(frozen=True)
class ListEntry:
    """One row of a list.

    Attributes:
        path: as written.
        video_id: read from the path.
        crop: crop index, None if the name has none.
        label: label string, from the row or, if it has none, from the name; None if neither says.
            Never from the position in the list.
        line: 1-based line, or entry of a JSON file.
        recording: what a column `source` says that the video is a piece of; "" without one.
    """

    path: str
    video_id: str
    crop: int | None
    label: str | None
    line: int
    recording: str = ""


@dataclasses.dataclass(frozen=True)
class VideoList:
    """A list, read.

    Attributes:
        grammar: for people.
        source: the file.
        entries: in file order.
        labels_stated: whether the file states labels, not only the names.
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
        """The data set whose naming all ids follow, "" if they do not agree or none is known."""
        return data_set_of_all(self.videos)


def read_list(path: pathlib.Path) -> VideoList:
    """Reads a list in any grammar.

    Accepted everywhere: CRLF, a byte order mark, blank lines, `# comments`, a missing final
    newline, back-slashes and folders of other machines in paths, paths with and without suffix; in
    CSV also quotes, and `;` for the comma. Raises UserError naming file and line if the file is not
    a list.
    """
    content = read_lines(path)
    numbered = enumerate((line.strip() for line in content.split("\n")), 1)
    lines = [(i, line) for i, line in numbered if not re.fullmatch(r"[\s,;]*|#\s.*", line)]
    if not lines:
        raise UserError(f"{path}: lists no video; check that this is the right file")
    if content.lstrip()[:1] in ("{", "["):
        return _from_annotations(path)
    unquoted = re.sub('"[^"]*"', "", lines[0][1])
    delimiter = ";" if ";" in unquoted and "," not in unquoted else ","
    first = _fields(*lines[0], path, delimiter)
    columns = [field.lower() for field in first[:2]]
    if columns[0] == "path" or columns in (["video-id"], ["video", "label"]):
        return _read_csv(lines[1:], path, delimiter, first)
    if len(first) > 1 and _is_file(first[0]):
        return _read_csv(lines, path, delimiter, ["path", "label"])
    if all(_is_one_name(line) for _, line in lines):
        names = [(number, line, None) for number, line in lines]
        return _build("a path or name per line", path, names)
    if all(re.fullmatch(r"\S+\.npy\s+[01](\.0)?", line) for _, line in lines):
        rows = [
            (i, name, "Normal" if is_normal_label(flag) else "Abnormal")
            for i, line in lines
            for name, flag in [line.split()]
        ]
        return _build("path and 0 or 1 per line", path, rows)
    return _from_annotations(path)


def _fields(number: int, line: str, path: pathlib.Path, delimiter: str) -> list[str]:
    try:
        row = next(csv.reader([line], strict=True, delimiter=delimiter))
    except csv.Error as error:
        raise UserError(f"{path}:{number}: not a CSV row ({error})") from error
    return [field.strip() for field in row]


def _read_csv(
    lines: Sequence[tuple[int, str]], path: pathlib.Path, delimiter: str, header: Sequence[str]
) -> VideoList:
    """Rows of the path, a label in the second column, a `source`, and columns that are not read."""
    columns = ",".join(header[:2]).lower()
    rows: list[_Row] = []
    names = [name.lower() for name in header[2:]]
    recordings: dict[int, str] = {}
    for number, line in lines:
        fields = _fields(number, line, path, delimiter)
        if len(fields) != len(header) or not all(fields[:2]):
            raise UserError(f"{path}:{number}: {line[:80]!r} is not '{columns}'")
        rows.append((number, fields[0], fields[1] if len(fields) > 1 else None))
        recordings[number] = dict(zip(names, fields[2:], strict=True)).get("source", "")
    return _build(f"CSV {columns}", path, rows, recordings)


def _is_file(path: str) -> bool:
    return _FILE.search(path) is not None or is_video_path(path)


def _is_one_name(line: str) -> bool:
    if _is_file(line):
        return True
    # uws4vad's `name@frames` is not a name; `CLE@GSW` in an XD-Violence title is.
    return re.fullmatch(r"[^\s,]+", line) is not None and not re.search(r"@\d+$", line)


def _from_annotations(path: pathlib.Path) -> VideoList:
    try:
        annotations = read_annotations(path)
    except UserError as error:
        raise UserError(
            f"{error} (read as a list; lists of files begin with a header path,label)"
        ) from error
    rows = [
        (i, video, annotations.labels.get(video))
        for i, video in enumerate(annotations.video_ids, 1)
    ]
    return _build(f"annotation file, {annotations.grammar}", path, rows)


def _build(
    grammar: str,
    path: pathlib.Path,
    rows: Iterable[_Row],
    recordings: Mapping[int, str] | None = None,
) -> VideoList:
    """recordings: by line, for rows that state them."""
    entries, stated = [], False
    for number, written, label in rows:
        name = parse_path(written)
        if not name.video_id:
            raise UserError(f"{path}:{number}: {written[:80]!r} names no video")
        stated |= label is not None
        entries.append(
            ListEntry(
                path=written,
                video_id=name.video_id,
                crop=name.crop,
                label=label or label_from_name(name.video_id),
                line=number,
                recording=(recordings or {}).get(number, ""),
            )
        )
    if not entries:
        raise UserError(f"{path}: lists no video; check that this is the right file")
    return VideoList(grammar, str(path), tuple(entries), stated)
