"""The labelled videos of a user: found, named and checked, with all problems in one go."""

import collections
import csv
import dataclasses
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from data_prep.catalogue.video_names import is_video_path, match_key, strip_video_path
from data_prep.own_data.splits import MIN_TRAIN, NORMAL, recording
from data_prep.sources.lists import is_comment
from refinevad_jax.data.taxonomy import fault_of_name, shown
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.video import Video, import_av
from refinevad_jax.encoders.video_files import (
    find_videos,
    folded,
    holds_video,
    is_video_file,
    left_out_note,
    some,
    spelled,
)
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

_SPLIT = re.compile("train(ing)?|val(id|idation)?|dev|test(ing)?", re.IGNORECASE)
_NO = re.compile(r"no[nt]?[\s_-]*(?P<what>\w.*)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Row:
    """A video as the user has it.

    Attributes:
        file: where it is.
        path: what names it, with slashes; relative to --videos or to the CSV file.
        inner: the same without the folder of its label.
        label: as the user writes it.
        source: the recording that it is from, if the user states one.
    """

    file: pathlib.Path
    path: str
    inner: str
    label: str
    source: str = ""


@dataclasses.dataclass(frozen=True)
class OwnVideo:
    """A video as lists and features name it.

    Attributes:
        file: where it is.
        path: as of Row.
        name: `fight-day-0001.mp4` for fight/day/0001.mp4: links to all videos lie in one folder.
        label: NORMAL, or the user's label.
        source: the recording that it is from; if none is known, its name.
        num_frames: as the header states them, 0 if it does not.
    """

    file: pathlib.Path
    path: str
    name: str
    label: str
    source: str
    num_frames: int

    @property
    def key(self) -> str:
        """What lists and feature files call it, whatever their suffix."""
        return key_of(self.name)


def key_of(path: str) -> str:
    """The key of a video, from a path in a list: without folders, and without the file's suffix."""
    return strip_video_path(path).rpartition("/")[2]


@dataclasses.dataclass
class Found:
    """What was found: the videos, what is wrong, and what is worth knowing; a line each."""

    videos: list[OwnVideo] = dataclasses.field(default_factory=list)
    normal: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def find(videos: pathlib.Path | None, labels: pathlib.Path | None, normal: str) -> Found:
    """Finds and checks all videos.

    Args:
        videos: a folder, whose subfolders are the labels if there is no CSV file.
        labels: a CSV file with the header `video,label` or `video,label,source`.
        normal: the label that means "no anomaly"; "" if its name tells.

    Raises UserError if the folder or the file cannot be read.
    """
    import_av()  # one error if it is missing, and not one per video
    found = Found()
    if videos is not None and not videos.is_dir():
        raise UserError(f"--videos={videos}: no such folder; name the one that holds the videos")
    if labels is None:
        assert videos is not None
        rows = list(_in_folders(videos, found))
    else:
        rows = list(_in_csv(labels, videos, found))
    if not rows:
        found.problems.append(
            "no labelled video; the videos of a label lie in the folder of its name"
            if labels is None
            else f"no labelled video in {labels}; its rows are video,label"
        )
        return found
    found.normal = _choose_normal(rows, normal, found)
    names = _names(rows, found)
    frames = [_num_frames(row, found) for row in rows]
    _refuse_twins(rows, found)
    for row, name, count in zip(rows, names, frames, strict=True):
        label = NORMAL if row.label in found.normal else row.label
        source = row.source or recording(row.inner) or name
        found.videos.append(OwnVideo(row.file, row.path, name, label, source, count))
    _note_numbers(rows, found)
    return found


def _note_numbers(rows: Sequence[Row], found: Found) -> None:
    """Names that may tell recordings, but that may as well count them: a_0, a_1, b_0, b_1."""
    names: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        match = re.fullmatch(r"(.*\w)[_-]\d+", strip_video_path(row.inner))
        if match and not row.source and not recording(row.inner):
            names.setdefault((row.label, match[1]), []).append(row.path)
    several = {key: paths for key, paths in names.items() if len(paths) > 1}
    if any(count > 1 for count in collections.Counter(label for label, _ in several).values()):
        first, second, *_ = next(iter(several.values()))
        found.notes.append(
            f"names such as {first} and {second} may be pieces of one recording; if so, say it in "
            "a column source of --labels: pieces of a training video make a test too easy"
        )


def _in_folders(root: pathlib.Path, found: Found) -> Iterator[Row]:
    searched = find_videos(root)
    if searched.left_out:
        found.notes.append(left_out_note(searched.left_out, root))
    labels = {path.relative_to(root).parts[0] for path in searched.videos}
    for path in sorted(root.iterdir()):
        if path.is_dir() and not path.name.startswith(".") and path.name not in labels:
            found.notes.append(f"{path}: no video in this folder, so it is not a label")
    for file in searched.videos:
        label, *inner = file.relative_to(root).parts
        if inner:
            yield Row(file, "/".join([label, *inner]), "/".join(inner), label)
        else:
            found.problems.append(f"{file}: has no label; move it into the folder of its label")


def _in_csv(path: pathlib.Path, root: pathlib.Path | None, found: Found) -> Iterator[Row]:
    seen: dict[pathlib.Path, int] = {}
    for line, (written, label, source) in _csv_rows(path, found):
        written = written.replace("\\", "/")
        forms = dict.fromkeys((written, spelled(written), unicodedata.normalize("NFD", written)))
        folders = [folder for folder in (path.parent, root) if folder is not None]
        places = [folder / form for form in forms for folder in folders]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            tried = " and not ".join(str(folder / written) for folder in dict.fromkeys(folders))
            found.problems.append(f"{path}:{line}: no video {written!r} (not {tried}); correct it")
            continue
        if not label:
            found.problems.append(f"{path}:{line}: {written!r} has no label; add it")
            continue
        if not (is_video_file(file) or holds_video(file)):
            found.problems.append(f"{path}:{line}: {written!r} is not a video; remove the row")
            continue
        real = file.resolve()
        if real in seen:
            found.problems.append(
                f"{path}:{line}: {written!r} is also in line {seen[real]}; remove one"
            )
            continue
        seen[real] = line
        parts = [part for part in pathlib.PurePosixPath(written).parts if part not in ("/", "..")]
        named = parts[-1] if written.startswith("/") else "/".join(parts)
        yield Row(file, named, named, label, source)
    if root is not None:
        unlisted = [file for file in find_videos(root).videos if file.resolve() not in seen]
        if unlisted:
            found.notes.append(
                f"not in {path}: {len(unlisted)} left out: {some(list(map(str, unlisted)))}"
            )


def _csv_rows(path: pathlib.Path, found: Found) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Line number and video, label, source. Raises UserError if the file is not such a table."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"--labels={path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--labels={path}: not UTF-8 text; save it as CSV in UTF-8") from error
    first = text.lstrip().partition("\n")[0]
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    header: list[str] = []
    for fields in reader:
        cells = [field.strip() for field in fields]
        if not any(cells):
            continue
        if is_comment(cells[0]):
            if is_video_path(cells[0]):
                found.notes.append(
                    f"{path}:{reader.line_num}: a comment, not a video: {cells[0][:80]!r}"
                )
            continue
        if not header:
            header = [cell.lower() for cell in cells]
            if not {"video", "label"} <= set(header):
                raise UserError(
                    f"--labels={path}: the first line is {first.strip()[:80]!r}; expected the "
                    "header video,label or video,label,source"
                )
            unread = [cell for cell in header if cell not in ("", "video", "label", "source")]
            if unread:
                found.notes.append(f"{path}: columns that are not read: {', '.join(unread)}")
        elif len(cells) != len(header):
            found.problems.append(
                f"{path}:{reader.line_num}: {len(cells)} columns, the header has {len(header)}"
            )
        else:
            row = dict(zip(header, cells, strict=True))
            yield reader.line_num, (row["video"], row["label"], row.get("source", ""))
    if not header:
        raise UserError(f"--labels={path}: is empty; expected the header video,label")


def normal_words(labels: Iterable[str]) -> list[str]:
    """The labels that mean "no anomaly" by their name: `normal`, `Normal_Videos`, `no_anomaly`.

    `no_fight` and `NonViolence` do if there is a `fight` or a `Violence`: `no_helmet` alone is an
    anomaly, and `nose` denies nothing.
    """
    labels = list(labels)

    def is_normal(label: str) -> bool:
        if re.match(r"normal(?![a-z])|normals\b", label, re.IGNORECASE):
            return True
        match = _NO.fullmatch(label)
        if not match:
            return False
        denied = _letters(match["what"])
        others = [_letters(other) for other in labels if other != label]
        return bool(re.match("anomal|abnormal", denied)) or any(
            other.startswith(denied) or denied.startswith(other) for other in others if other
        )

    return [label for label in labels if is_normal(label)]


def _letters(label: str) -> str:
    return re.sub(r"[\s_-]", "", label).lower()


def _choose_normal(rows: Sequence[Row], given: str, found: Found) -> list[str]:
    """The labels that mean "no anomaly"; what is wrong with the labels goes to the problems."""
    counts = collections.Counter(row.label for row in rows)
    labels = sorted(counts)
    listed = ", ".join(map(shown, labels))
    if len(labels) > 1 and all(map(_SPLIT.fullmatch, labels)):
        found.problems.append(
            f"{listed} are splits, not labels; give the folder of one of them, which is then "
            "divided anew, or a table of all videos: --labels=FILE"
        )
        return []
    lowered: dict[str, str] = {}
    for label in labels:
        if fault := _fault(label):
            found.problems.append(f"label {shown(label)} {fault}")
        other = lowered.setdefault(label.lower(), label)
        if other != label:
            found.problems.append(f"labels {other!r} and {label!r} differ in case only; rename one")
    normal = normal_words(labels)
    if given:
        normal = [label for label in labels if label.lower() == given.lower()]
        if not normal:
            found.problems.append(f"--normal={given}: no such label; there are {listed}")
        for label in labels:
            if label.lower() == NORMAL.lower() and label not in normal:
                found.problems.append(f"label {label!r} cannot be an anomaly; rename it")
    if not normal and not given:
        found.problems.append(
            f"no label is normal by its name; there are {listed}; name the one without anomalies: "
            "--normal=LABEL"
        )
    if len(normal) == len(labels):
        found.problems.append(
            f"all videos are normal (labels: {listed}); training needs videos of both kinds, with "
            "and without an anomaly"
        )
    elif normal:
        num_normal = sum(counts[label] for label in normal)
        for kind, count in (("normal", num_normal), ("anomalous", len(rows) - num_normal)):
            if count < MIN_TRAIN:
                found.problems.append(
                    f"{count} {kind} video; training needs {MIN_TRAIN}, since it holds one out"
                )
    for label in labels:
        if counts[label] == 1:
            found.notes.append(f"label {label!r} has one video; it is for training, so no test")
    return normal


def _fault(name: str, *, of_file: bool = False) -> str:
    """What is wrong with a field of a list, in words; "" if nothing is. See fault_of_name."""
    if name != name.strip():
        return "begins or ends with a space; rename it"
    return fault_of_name(name, of_file=of_file)


def _names(rows: Sequence[Row], found: Found) -> list[str]:
    """The name of each video, see OwnVideo."""
    names = []
    seen: dict[str, str] = {}
    for row in rows:
        path = pathlib.PurePosixPath(row.path)
        name = "-".join(path.parts)
        if fault := _fault(name, of_file=True):
            found.problems.append(f"{shown(row.path)} {fault}")
        key = folded(match_key(key_of(name)))
        if key in seen:
            found.problems.append(
                f"{shown(seen[key])} and {shown(row.path)} would have one name in the data set; "
                "rename one"
            )
        seen.setdefault(key, row.path)
        names.append(name)
    return names


def _num_frames(row: Row, found: Found) -> int:
    """Frames as the header states them, 0 if it does not; opens the file."""
    try:
        with Video(row.file) as video:
            count = video.stated_frames
    except UserError as error:
        found.problems.append(str(error))
        return 0
    if 0 < count < FRAMES_PER_SEGMENT:
        found.problems.append(
            f"{row.file}: {count} frames, fewer than the {FRAMES_PER_SEGMENT} of one segment; "
            "leave it out"
        )
    return count


def _refuse_twins(rows: Sequence[Row], found: Found) -> None:
    """Videos with the same content: one could be trained on and the other tested."""
    sizes: dict[int, list[Row]] = {}
    for row in rows:
        sizes.setdefault(row.file.stat().st_size, []).append(row)
    for size, alike in sizes.items():
        if len(alike) < 2 or not size:
            continue
        seen: dict[str, Row] = {}
        for row in alike:
            first = seen.setdefault(file_sha256(row.file), row)
            if first is not row:
                labels = "" if first.label == row.label else ", with different labels"
                found.problems.append(
                    f"{first.file} and {row.file} are the same video{labels}; remove one"
                )
