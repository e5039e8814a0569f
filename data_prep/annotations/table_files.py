"""Files with tables: CSV and tab-separated text, with a header or without one.

Finds the header and the separator and gives the rows to tables.py, or to images.py if they are
about images.
"""

import csv
import dataclasses
import re
from collections.abc import Iterator, Sequence

from data_prep.annotations.columns import Columns, understand
from data_prep.annotations.images import Image, read_images
from data_prep.annotations.record import Annotations
from data_prep.annotations.rows import Row, label_of, read_counts
from data_prep.annotations.tables import read_rows
from data_prep.annotations.times import find_time, with_points
from data_prep.annotations.vectors import parse_values
from data_prep.catalogue.video_names import is_video_path
from refinevad_jax.errors import UserError

# A header has to be among the first lines: some tools write about the export above it.
_HEADER_LINES = 40
# A table with one of these per frame is not a truth.
_SCORES = frozenset(("score", "scores", "prob", "probability", "confidence", "pred", "prediction"))


def read_table(content: str, source: str, stem: str) -> Annotations | None:
    """Reads a table with a header, None if the content is not one.

    Args:
        content: of the file.
        source: the file.
        stem: the name of the video if no column has one.
    """
    lines = content.splitlines()
    for index, line in enumerate(lines[:_HEADER_LINES]):
        line = re.sub(r"^#\s*(CSV_HEADER\s*=\s*)?", "", line.strip())
        for delimiter in ("\t", ";", ",", "|", None):
            names = _split(line, delimiter)
            columns = understand(names)
            if len(names) > 1 and (found := _image_rows(lines, index, names, delimiter, source)):
                return read_images(found, source, f"{_kind(delimiter)} of images")
            if not _is_header(names, columns, delimiter):
                continue
            rows = list(_rows(lines, index + 1, names, delimiter, source))
            if columns.has_events or columns.frame:
                return read_rows(rows, names, source, _kind(delimiter), stem, skipped=index)
            return read_counts(rows, columns, source)
    return None


_IMAGE = re.compile(r".+\.(jpe?g|png|bmp|webp|tiff?)", re.IGNORECASE)


def _image_rows(
    lines: Sequence[str], index: int, names: Sequence[str], delimiter: str | None, source: str
) -> list[Image]:
    """The images of a table whose first column of file names has images; [] if it has none.

    `image,label`, or VIA 2's CSV, where a region is a mark.
    """
    first = _split(lines[index + 1], delimiter) if index + 1 < len(lines) else []
    column = next((n for n, f in zip(names, first, strict=False) if _IMAGE.fullmatch(f)), None)
    via = "region_attributes" in names and "region_count" in names
    columns = understand([name for name in names if name != column])
    if column is None or columns.has_events or not (via or columns.labels):
        return []
    if via:
        columns = dataclasses.replace(columns, labels=("region_attributes",))
    images = []
    for place, row in _rows(lines, index + 1, names, delimiter, source):
        label = label_of(row, columns) or ("1" if via else None)
        marked = label is not None and (not via or row.get("region_count") not in (None, "", "0"))
        images.append(Image(str(row[column]), (label,) if label and marked else (), place))
    return images


def _is_header(names: Sequence[str], columns: Columns, delimiter: str | None) -> bool:
    """Whether a line is the header of a table of events, of frames or of frame counts."""
    named = [name for name in names if name]
    if len(names) < 2 or len(named) > len(set(named)) or any(find_time(name) for name in named):
        return False
    if any(len(name.split()) > 6 for name in named):  # prose
        return False
    if delimiter is None and columns.used() != set(names):
        return False
    frames = columns.frame and (columns.labels or columns.video) and not _SCORES & set(names)
    return bool(columns.has_events or frames or (columns.video and columns.num_frames))


def read_unnamed(content: str, source: str, stem: str) -> Annotations | None:
    """Reads rows without header and without video: `start end label` of one video.

    Audacity writes `start, end, label`, and lines of frequencies that begin with a back-slash. ELAN
    writes `tier, participant, begin, end, duration, annotation`, each time in one to three formats.
    None if the content is something else.
    """
    lines = [
        line
        for line in content.splitlines()
        if line.strip() and line.lstrip()[:2] not in ('#"', '"#') and line[0] != "\\"
    ]
    delimiter = "\t" if lines and all("\t" in line for line in lines) else None
    fields = [_split(line, delimiter) for line in lines]
    width = max(map(len, fields), default=0)
    if width < 2 or all(parse_values(row) for row in fields):
        return None
    cells = [[*row, *[""] * (width - len(row))] for row in fields]
    timed = [i for i in range(width) if all(find_time(row[i]) for row in cells)]
    first_is_time = timed[:1] == [0]
    if not (first_is_time or (delimiter and len(timed) in (3, 4, 6, 9))) or len(timed) < 2:
        return None
    formats = 3 if len(timed) == 9 else 2 if len(timed) in (4, 6) else 1
    begin, end = timed[0], timed[formats]
    if len(timed) not in (2 * formats, 3 * formats) or not _fit(cells, timed, formats):
        return None
    words = [i for i in range(width) if i not in timed and any(row[i] for row in cells)]
    elan = not first_is_time and len(timed) == 3 * formats
    # ELAN has no frames: its whole numbers are milliseconds.
    whole = all("".join(row[i] for i in (begin, end)).isdigit() for row in cells)
    names = {begin: "start_ms", end: "end_ms"} if elan and whole else {begin: "start", end: "end"}
    if words and all(is_video_path(row[words[-1]]) for row in cells):
        names[words.pop()] = "file"
    if words:
        names[words[-1]] = "label"
        names |= {words[0]: "tier"} if len(words) > 1 else {}
    rows = [
        (f"{source}, row {number}", {name: row[i] for i, name in names.items()})
        for number, row in enumerate(cells, 1)
    ]
    return read_rows(rows, list(names.values()), source, "table without header", stem)


def _fit(cells: Sequence[Sequence[str]], timed: Sequence[int], formats: int) -> bool:
    """Whether start, end and, if it is there, duration agree in every row."""
    for row in cells:
        start, end, *rest = (find_time(row[i]) for i in timed[::formats])
        if start is None or end is None or start.value > end.value:
            return False
        if rest and rest[0] and abs(rest[0].value - (end.value - start.value)) > 0.02:
            return False
    return True


def _kind(delimiter: str | None) -> str:
    return {"\t": "tab-separated table", None: "table"}.get(delimiter, "CSV table")


def _split(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    try:
        fields = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [field.strip() for field in fields]


def _rows(
    lines: Sequence[str], first: int, names: Sequence[str], delimiter: str | None, source: str
) -> Iterator[Row]:
    """The rows below a header. Raises UserError for one that has more fields than the header."""
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip(f" {delimiter or ''}\t\r") or re.match(r'"?#', line):
            continue
        place = f"{source}, line {number}"
        fields = _split(line, delimiter)
        if not fields:
            raise UserError(f"{place}: {line[:60]!r} is not a row of the table; check its quotes")
        if delimiter in (";", "\t"):
            fields = [with_points(field) for field in fields]
        while len(fields) > len(names) and not fields[-1]:
            fields.pop()
        if len(fields) > len(names):
            raise UserError(
                f"{place}: {len(fields)} fields, but the header has {len(names)} columns; put "
                "names with the separator in quotes"
            )
        yield place, dict(zip(names, fields, strict=False))
