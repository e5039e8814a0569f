"""Reads lists: which videos, which crops of them, and their labels.

Grammars: CSV with a header that begins with `path` (VadCLIP, DSANet, IEF-VAD, your own) or with
`video,label` (your own), or without a header if the paths end in a file suffix; CSV `video-id`
(S3R, GlanceVAD); one path or name per line (UR-DMU, PEL4VAD, XDVioDet, RTFM, MGFN, MSAD); `path 0`
or `path 1` (PEL4VAD ShanghaiTech); and every annotation file, read as the list of its videos (MIST,
UMIL, TAD, AnomalyCLIP, LaGoVAD).
"""

import collections
import csv
import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence

from data_prep.annotations import read_annotations
from data_prep.annotations.reading import read_lines
from data_prep.catalogue.listed_names import VideoName, merged_note, read_names_of
from data_prep.catalogue.lookup import data_set_of_all, labels_from_names
from data_prep.catalogue.video_names import is_normal_label, is_video_path
from refinevad_jax.errors import UserError

_FILE = re.compile(r"\.(npy|txt)$", re.IGNORECASE)
# (line, path, label or None)
_Row = tuple[int, str, str | None]


@dataclasses.dataclass(frozen=True)
class ListEntry:
    """One row of a list.

    Attributes:
        path: as written.
        video_id: see listed_names.VideoName.
        crop: crop index, None if the name has none.
        label: label string, from the row or, if it has none, from the name; None if neither says.
            Never from the position in the list.
        line: 1-based line, or entry of a JSON file.
    """

    path: str
    video_id: str
    crop: int | None
    label: str | None
    line: int


@dataclasses.dataclass(frozen=True)
class VideoList:
    """A list, read.

    Attributes:
        grammar: for people.
        source: the file.
        entries: in file order.
        labels_stated: whether the file states labels, not only the names.
        paths: of each video, without suffix, encoder's ending and crop.
        notes: what a reader should know, one line each.
    """

    grammar: str
    source: str
    entries: tuple[ListEntry, ...]
    labels_stated: bool = False
    paths: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

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
    def crops(self) -> dict[str, tuple[int, ...]]:
        """Crops of each video, in the order of the rows; 0 for a row that names none."""
        return {video: tuple(row.crop or 0 for row in rows) for video, rows in self.videos.items()}

    @property
    def usual_crops(self) -> tuple[int, ...]:
        """Those that most videos have."""
        return collections.Counter(self.crops.values()).most_common(1)[0][0]

    @property
    def odd_crops(self) -> list[str]:
        """Videos with other crops than most, and which."""
        usual = sorted(self.usual_crops)
        return [
            f"{video}: crops {', '.join(map(str, found))}"
            for video, found in self.crops.items()
            if sorted(found) != usual
        ]

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
    return read_lists([path])[0]


def read_lists(paths: Sequence[pathlib.Path], *, crops: bool = True) -> list[VideoList]:
    """Reads the lists of one data set, whose video ids differ across all of them.

    crops: whether numbers at the end of names may be crops. Raises UserError as read_list.
    """
    read = [_read_rows(path) for path in paths]
    names = read_names_of([[row[1] for row in one.rows] for one in read], crops=crops)
    return [_build(one, path, found) for one, path, found in zip(read, paths, names, strict=True)]


@dataclasses.dataclass(frozen=True)
class _Rows:
    """A list whose names are not read yet."""

    grammar: str
    rows: Sequence[_Row]
    notes: tuple[str, ...] = ()


def _read_rows(path: pathlib.Path) -> _Rows:
    content = read_lines(path)
    numbered = [(i, line.strip()) for i, line in enumerate(content.split("\n"), 1)]
    numbered = [(i, line) for i, line in numbered if not re.fullmatch(r"[\s,;]*", line)]
    lines = [(i, line) for i, line in numbered if not is_comment(line)]
    if not lines:
        raise UserError(f"{path}: lists no video; check that this is the right file")
    notes = tuple(
        f"line {i} is a comment, not a video: {line[:80]}"
        for i, line in numbered
        if is_comment(line) and _is_video_or_array(line)
    )
    return dataclasses.replace(_read_grammar(content, lines, path), notes=notes)


def _read_grammar(content: str, lines: Sequence[tuple[int, str]], path: pathlib.Path) -> _Rows:
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
        names = [(number, _unquoted(line), None) for number, line in lines]
        return _Rows("a path or name per line", names)
    if all(re.fullmatch(r"\S+\.npy\s+[01](\.0)?", line) for _, line in lines):
        rows = [
            (i, name, "Normal" if is_normal_label(flag) else "Abnormal")
            for i, line in lines
            for name, flag in [line.split()]
        ]
        return _Rows("path and 0 or 1 per line", rows)
    return _from_annotations(path)


def _is_video_or_array(comment: str) -> bool:
    """Whether a comment looks like a row."""
    first = re.split("[,;]", comment)[0].strip()
    return is_video_path(first) or first.lower().endswith(".npy")


def is_comment(line: str) -> bool:
    """Whether a line is `#`, or begins with it and a blank: `#1.mp4` is a video."""
    return re.match(r"#(\s|$)", line) is not None


def _fields(number: int, line: str, path: pathlib.Path, delimiter: str) -> list[str]:
    try:
        row = next(csv.reader([line], strict=True, delimiter=delimiter))
    except csv.Error as error:
        raise UserError(f"{path}:{number}: not a CSV row ({error})") from error
    return [field.strip() for field in row]


def _read_csv(
    lines: Sequence[tuple[int, str]], path: pathlib.Path, delimiter: str, header: Sequence[str]
) -> _Rows:
    """Rows of the path, the label if the header has a second column, and what is not read here."""
    columns = ",".join(header[:2]).lower()
    rows: list[_Row] = []
    for number, line in lines:
        fields = _fields(number, line, path, delimiter)
        if len(fields) != len(header) or not all(fields[:2]):
            raise UserError(f"{path}:{number}: {line[:80]!r} is not '{columns}'")
        rows.append((number, fields[0], fields[1] if len(fields) > 1 else None))
    return _Rows(f"CSV {columns}", rows)


def _is_file(path: str) -> bool:
    return _FILE.search(path) is not None or is_video_path(path)


def _unquoted(line: str) -> str:
    match = re.fullmatch(r'"([^"]+)"', line)
    return match[1] if match else line


def _is_one_name(line: str) -> bool:
    if _is_file(_unquoted(line)):
        return True
    # uws4vad's `name@frames` is not a name; `CLE@GSW` in an XD-Violence title is.
    return re.fullmatch(r"[^\s,]+", line) is not None and not re.search(r"@\d+$", line)


def _from_annotations(path: pathlib.Path) -> _Rows:
    try:
        annotations = read_annotations(path)
    except UserError as error:
        raise UserError(
            f"{error} (read as a list; lists of files begin with a header path,label)"
        ) from error
    rows = [
        (i, annotations.paths.get(video, video), annotations.labels.get(video))
        for i, video in enumerate(annotations.video_ids, 1)
    ]
    return _Rows(f"annotation file, {annotations.grammar}", rows)


def _build(read: _Rows, path: pathlib.Path, names: Sequence[VideoName]) -> VideoList:
    entries, stated = [], False
    from_names = labels_from_names(name.video_id for name in names)
    for (number, written, label), name in zip(read.rows, names, strict=True):
        if not name.video_id:
            raise UserError(f"{path}:{number}: {written[:80]!r} names no video")
        stated |= label is not None
        entries.append(
            ListEntry(
                path=written,
                video_id=name.video_id,
                crop=name.crop,
                label=label or from_names[name.video_id],
                line=number,
            )
        )
    if not entries:
        raise UserError(f"{path}: lists no video; check that this is the right file")
    merged = merged_note([row[1] for row in read.rows], names)
    return VideoList(
        read.grammar,
        str(path),
        tuple(entries),
        stated,
        {name.video_id: name.path for name in names},
        (*read.notes, *([merged] if merged else [])),
    )
