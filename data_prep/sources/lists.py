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
from data_prep.catalogue.video_names import is_normal_label, parse_path
from data_prep.sources.list_grammars import is_file, read_rows
from refinevad_jax.errors import UserError

TRAIN = "train"  # the split that a network learns from
_FLAGS = "path and 0 (normal) or 1 per line"
_FLAG = re.compile(r"(?P<name>.*[^\s,;])(?P<mark>\s*[,;]\s*|\s+)(?P<flag>[01](?:\.0)?)[,;\s]*")
_HEADERS = {
    (name, label)
    for name in ("path", "video", "video_name", "video_path", "filename", "file", "name", "clip")
    for label in ("label", "class", "category")
}
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
        notes: how the file was read, if it could be meant in another way.
        split: which split it is, "" if nobody has said.
    """

    grammar: str
    source: str
    entries: tuple[ListEntry, ...]
    labels_stated: bool = False
    notes: tuple[str, ...] = ()
    split: str = ""

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


def split_of(text: str) -> tuple[str, pathlib.Path]:
    """The split and the path of `SPLIT=FILE`; "" and the path of a text that is a path alone."""
    split, _, path = text.partition("=")
    if path and re.fullmatch(r"\w+", split) and not pathlib.Path(text).is_file():
        return split, pathlib.Path(path)
    return "", pathlib.Path(text)


def read_list(path: pathlib.Path, split: str = "") -> VideoList:
    """Reads a list in any grammar.

    split: which it is, if it is known; a JSON file may hold several.

    Accepted everywhere: CRLF, a byte order mark, blank lines, `# comments`, a missing final
    newline, back-slashes and folders of other machines in paths, paths with and without suffix; in
    CSV also quotes, and `;` for the comma. Raises UserError naming file and line if the file is not
    a list.
    """
    return dataclasses.replace(_read(path, split), split=split)


def _read(path: pathlib.Path, split: str) -> VideoList:
    content = read_lines(path)
    numbered = enumerate((line.strip() for line in content.split("\n")), 1)
    lines = [(i, line) for i, line in numbered if not re.fullmatch(r"[\s,;]*|#\s.*", line)]
    if not lines:
        raise UserError(f"{path}: lists no video; check that this is the right file")
    if found := read_rows(content, lines, path, split):
        read = _build(found.grammar, path, found.rows, found.recordings)
        return dataclasses.replace(read, notes=found.notes)
    if content.lstrip()[:1] in ("{", "["):
        return _from_annotations(path)
    if flags := _read_flags(lines):
        return _build(_FLAGS, path, flags)
    unquoted = re.sub('"[^"]*"', "", lines[0][1])
    delimiter = next((mark for mark in ",;\t" if mark in unquoted), ",")
    first = _fields(*lines[0], path, delimiter)
    columns = [field.lower() for field in first[:2]]
    if columns[0] == "path" or columns == ["video-id"] or tuple(columns) in _HEADERS:
        return _read_csv(lines[1:], path, delimiter, first)
    if len(first) > 1 and is_file(first[0]) and delimiter != "\t":
        return _read_csv(lines, path, delimiter, ["path", "label"])
    if tuple(lines[0][1].lower().split()) in _HEADERS:
        parts = [(number, line.rsplit(None, 1)) for number, line in lines[1:]]
        if all(len(part) == 2 for _, part in parts):
            rows = [(number, name, label) for number, (name, label) in parts]
            return _build("name and label per line", path, rows)
    if all(_is_one_name(line) for _, line in lines):
        names = [(number, line, None) for number, line in lines]
        return _build("a path or name per line", path, names)
    return _from_annotations(path)


def _read_flags(lines: Sequence[tuple[int, str]]) -> list[_Row]:
    """Rows of a path or name and 0 or 1, if every line is one, below a header or not; else []."""
    parts = [_FLAG.fullmatch(line) for _, line in lines]
    if parts[0] is None and tuple(re.split(r"[\s,;]+", lines[0][1].lower())) in _HEADERS:
        lines, parts = lines[1:], parts[1:]
    rows: list[_Row] = []
    for (number, _), part in zip(lines, parts, strict=True):
        name = part["name"].strip('"') if part else ""
        # A comma may also part the columns of a CSV file of other labels.
        if part is None or not (is_file(name) or _is_one_name(name)) or "," in part["mark"]:
            return []
        rows.append((number, name, "Normal" if is_normal_label(part["flag"]) else "Abnormal"))
    return rows


def _fields(number: int, line: str, path: pathlib.Path, delimiter: str) -> list[str]:
    try:
        row = next(csv.reader([line], strict=True, delimiter=delimiter))
    except csv.Error as error:
        raise UserError(f"{path}:{number}: not a CSV row ({error})") from error
    return [field.strip() for field in row]


def _read_csv(
    lines: Sequence[tuple[int, str]], path: pathlib.Path, delimiter: str, header: Sequence[str]
) -> VideoList:
    """Rows of the path, and of the label if the header has a second column."""
    columns = ",".join(header[:2]).lower()
    rows: list[_Row] = []
    for number, line in lines:
        fields = _fields(number, line, path, delimiter)
        while len(fields) > len(header) and not fields[-1]:  # a comma at the end
            fields.pop()
        if len(fields) != len(header) or not all(fields[:2]):
            raise UserError(f"{path}:{number}: {line[:80]!r} is not '{columns}'")
        rows.append((number, fields[0], fields[1] if len(fields) > 1 else None))
    read = _build(f"CSV {columns}", path, rows)
    stated = {label for _, _, label in rows if label is not None} - {"0", "1", "0.0", "1.0"}
    if stated and all(re.fullmatch(r"[0-9.]+", label) for label in stated):
        note = "the numbers of the second column were read as labels, not as frames"
        return dataclasses.replace(read, notes=(note,))
    return read


def _is_one_name(line: str) -> bool:
    if is_file(line):
        return True
    # uws4vad's `name@frames` is not a name; `CLE@GSW` in an XD-Violence title is.
    return re.fullmatch(r"[^\s,|]+", line) is not None and not re.search(r"@\d+$", line)


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
    read = _build(f"annotation file, {annotations.grammar}", path, rows)
    if annotations.num_frames and not annotations.spans and None in read.labels.values():
        note = "its numbers were read as frames, not as labels, which only 0 and 1 are"
        return dataclasses.replace(read, notes=(note,))
    return read


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
