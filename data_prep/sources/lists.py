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
from data_prep.catalogue.video_names import is_normal_label
from data_prep.sources.faults import Fault, Weight
from data_prep.sources.list_grammars import HEADERS, Row, Rows, is_file, read_rows
from refinevad_jax.errors import UserError

TRAIN = "train"  # the split that a network learns from
_FLAGS = "path and 0 (normal) or 1 per line"
_FLAG = re.compile(r"(?P<name>.*[^\s,;])(?P<mark>\s*[,;]\s*|\s+)(?P<flag>[01](?:\.0)?)[,;\s]*")


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
        paths: of each video, without suffix, encoder's ending and crop.
        notes: how the file was read, if it could be meant in another way.
        split: which split it is, "" if nobody has said.
    """

    grammar: str
    source: str
    entries: tuple[ListEntry, ...]
    labels_stated: bool = False
    paths: Mapping[str, str] = dataclasses.field(default_factory=dict)
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
    return read_lists([path], [split])[0]


def read_lists(
    paths: Sequence[pathlib.Path], splits: Sequence[str] = (), *, crops: bool = True
) -> list[VideoList]:
    """Reads the lists of one data set, whose video ids differ across all of them.

    splits: of each list, "" if it is not known; none: of no list. crops: whether numbers at the end
    of names may be crops. Raises UserError as read_list.
    """
    splits = splits or [""] * len(paths)
    read = [_read_rows(path, split) for path, split in zip(paths, splits, strict=True)]
    names = read_names_of([[row[1] for row in one.rows] for one in read], crops=crops)
    return [
        dataclasses.replace(_build(one, path, found), split=split)
        for one, path, found, split in zip(read, paths, names, splits, strict=True)
    ]


def _read_rows(path: pathlib.Path, split: str) -> Rows:
    content = read_lines(path)
    numbered = [(i, line.strip()) for i, line in enumerate(content.split("\n"), 1)]
    numbered = [(i, line) for i, line in numbered if not re.fullmatch(r"[\s,;]*", line)]
    lines = [(i, line) for i, line in numbered if not is_comment(line)]
    if not lines:
        raise UserError(f"{path}: lists no video; check that this is the right file")
    notes = tuple(
        f"line {i} is a comment, not a video: {line[:80]}"
        for i, line in numbered
        if is_comment(line) and is_file(re.split("[,;]", line)[0].strip())
    )
    read = read_rows(content, lines, path, split) or _read_grammar(content, lines, path)
    return read._replace(notes=(*read.notes, *notes))


def _read_grammar(content: str, lines: Sequence[tuple[int, str]], path: pathlib.Path) -> Rows:
    if content.lstrip()[:1] in ("{", "["):
        return _from_annotations(path)
    if flags := _read_flags(lines):
        return Rows(_FLAGS, flags)
    unquoted = re.sub('"[^"]*"', "", lines[0][1])
    delimiter = next((mark for mark in ",;\t" if mark in unquoted), ",")
    first = _fields(*lines[0], path, delimiter)
    columns = [field.lower() for field in first[:2]]
    if columns[0] == "path" or columns == ["video-id"] or tuple(columns) in HEADERS:
        return _read_csv(lines[1:], path, delimiter, first)
    if len(first) > 1 and is_file(first[0]) and delimiter != "\t":
        return _read_csv(lines, path, delimiter, ["path", "label"])
    if tuple(lines[0][1].lower().split()) in HEADERS:
        parts = [(number, line.rsplit(None, 1)) for number, line in lines[1:]]
        if all(len(part) == 2 for _, part in parts):
            rows: list[Row] = [(number, name, label) for number, (name, label) in parts]
            return Rows("name and label per line", rows)
    if all(_is_one_name(line) for _, line in lines):
        names: list[Row] = [(number, _unquoted(line), None) for number, line in lines]
        return Rows("a path or name per line", names)
    return _from_annotations(path)


def is_comment(line: str) -> bool:
    """Whether a line is `#`, or begins with it and a blank: `#1.mp4` is a video."""
    return re.match(r"#(\s|$)", line) is not None


def _read_flags(lines: Sequence[tuple[int, str]]) -> list[Row]:
    """Rows of a path or name and 0 or 1, if every line is one, below a header or not; else []."""
    parts = [_FLAG.fullmatch(line) for _, line in lines]
    if parts[0] is None and tuple(re.split(r"[\s,;]+", lines[0][1].lower())) in HEADERS:
        lines, parts = lines[1:], parts[1:]
    rows: list[Row] = []
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
) -> Rows:
    """Rows of the path, and of the label if the header has a second column."""
    columns = ",".join(header[:2]).lower()
    rows: list[Row] = []
    for number, line in lines:
        fields = _fields(number, line, path, delimiter)
        while len(fields) > len(header) and not fields[-1]:  # a comma at the end
            fields.pop()
        if len(fields) != len(header) or not all(fields[:2]):
            raise UserError(f"{path}:{number}: {line[:80]!r} is not '{columns}'")
        rows.append((number, fields[0], fields[1] if len(fields) > 1 else None))
    stated = {label for _, _, label in rows if label is not None} - {"0", "1", "0.0", "1.0"}
    if stated and all(re.fullmatch(r"[0-9.]+", label) for label in stated):
        note = "the numbers of the second column were read as labels, not as frames"
        return Rows(f"CSV {columns}", rows, (note,))
    return Rows(f"CSV {columns}", rows)


def _unquoted(line: str) -> str:
    match = re.fullmatch(r'"([^"]+)"', line)
    return match[1] if match else line


def _is_one_name(line: str) -> bool:
    if is_file(_unquoted(line)):
        return True
    # uws4vad's `name@frames` is not a name; `CLE@GSW` in an XD-Violence title is.
    return re.fullmatch(r"[^\s,|]+", line) is not None and not re.search(r"@\d+$", line)


def _from_annotations(path: pathlib.Path) -> Rows:
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
    named = labels_from_names(annotations.video_ids)
    unlabelled = any({**named, **annotations.labels}[video] is None for video in named)
    notes: tuple[str, ...] = ()
    if annotations.num_frames and not annotations.spans and unlabelled:
        notes = ("its numbers were read as frames, not as labels, which only 0 and 1 are",)
    return Rows(f"annotation file, {annotations.grammar}", rows, notes)


def crop_row_faults(read: VideoList) -> list[Fault]:
    """Videos of a list that have other crops than most."""
    usual = ", ".join(map(str, read.usual_crops))
    advice = f"other crops than {usual}, which most have"
    return [Fault("crops", tuple(read.odd_crops), advice, Weight.WARNED)]


def _build(read: Rows, path: pathlib.Path, names: Sequence[VideoName]) -> VideoList:
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
                recording=read.recordings.get(number, ""),
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
