"""The feature files of a folder, and which of them the rows of a list mean."""

import contextlib
import functools
import itertools
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from data_prep.catalogue.listed_names import VideoName, read_names, without_ending
from data_prep.catalogue.video_names import (
    is_video_path,
    match_key,
    split_path,
    strip_video_path,
)
from data_prep.sources.faults import Fault, Weight
from data_prep.sources.lists import ListEntry, VideoList
from refinevad_jax.encoders.record import read_record
from refinevad_jax.encoders.video_files import folded
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import (
    SUFFIXES,
    UNSAFE,
    feature_paths,
)


class FeatureFile(NamedTuple):
    """A file below the feature folder, and its name, read."""

    path: pathlib.Path
    name: VideoName


class FeatureFolder:
    """A folder of feature files, and which of them the rows of a list mean.

    One file with an array per video is such a folder too, and each of its arrays a file. A row that
    names a feature file means the one at its path below the folder, or else the one
    at the longest ending of its path that exists there. A row that names a video file means the
    features of that video: the file at its path without the suffix, found in the same way, or else
    the file of that name in another folder. Other rows are found by the video's name: a
    row with a crop means that crop's file, a row without means all crops that are there, and files
    without crops (audio, text) serve all rows of the video. What is found in none of these ways may
    differ in the ending of an encoder or in letter case, if one file alone does: `notes` says so.
    """

    def __init__(self, root: pathlib.Path) -> None:
        if not root.exists():
            raise UserError(f"{root}: no such folder or file; name that of the features")
        self.root = root
        self.notes: list[str] = []

    @functools.cached_property
    def _paths(self) -> dict[pathlib.Path, bool]:
        """Every feature file below the folder, in path order: whether it has a record.

        Raises UserError if there is none.
        """
        found = {path: _record_beside(path) for path in feature_paths(self.root)}
        if not found:
            raise UserError(
                f"{self.root}: no feature file below it ({', '.join(SUFFIXES)}); name the feature "
                "folder"
            )
        return found

    @property
    def recorded(self) -> bool:
        """Whether extraction made most files here: a video has one then, whatever its name."""
        return 2 * sum(self._paths.values()) > len(self._paths)

    @functools.cached_property
    def files(self) -> list[FeatureFile]:
        """The files with their names, in path order. Raises UserError if there is none."""
        names = {
            path.name if path == self.root else path.relative_to(self.root).as_posix(): path
            for path in self._paths
        }
        recorded = {name for name, path in names.items() if self._paths[path]}
        read = read_names(list(names), recorded=recorded)
        return [FeatureFile(path, name) for path, name in zip(self._paths, read, strict=True)]

    @functools.cached_property
    def index(self) -> dict[str, list[FeatureFile]]:
        """The files of each video, by match_key of its id."""
        return _grouped(self.files, lambda file: match_key(file.name.video_id))

    @functools.cached_property
    def _by_name(self) -> dict[str, list[FeatureFile]]:
        """The same by the last part of the video's name alone."""
        return _grouped(self.files, lambda file: _last(file.name.path))

    @functools.cached_property
    def _by_stem(self) -> dict[str, list[FeatureFile]]:
        """The same by their whole name without suffixes."""
        return _grouped(self.files, lambda file: _last(strip_video_path(file.path.name)))

    @functools.cached_property
    def _by_loose_name(self) -> dict[str, list[FeatureFile]]:
        """The same by what is left without any ending of an encoder and letter case."""
        return _grouped(
            self.files,
            lambda file: folded(without_ending(_last(strip_video_path(file.path.name)))),
        )

    def find(self, entries: Sequence[ListEntry], source: str) -> tuple[pathlib.Path, ...]:
        """The files of one video, in crop order; () if there is none.

        Args:
            entries: the video's rows, one per crop.
            source: the list, for errors.

        Raises UserError naming both files if two fit a row equally well.
        """
        if len(entries) == 1 and is_video_path(entries[0].path):
            path = self._of_video(entries[0], source)
            if path:
                return (path,)
        rows = {entry.crop or 0: entry for entry in entries}
        found = {crop: path for crop, row in rows.items() if (path := self._at_path(row.path))}
        if len(found) < len(rows):
            files = self._by_name.get(_last(entries[0].video_id), ())
            if all(file.name.crop is None for file in files):
                rows = {0: entries[0]}
            elif len(entries) == 1 and entries[0].crop is None:
                rows |= {file.name.crop or 0: entries[0] for file in files}
            for crop, row in rows.items():
                named = self._by_stem.get(_last(strip_video_path(row.path)), ())
                of_crop = [file for file in files if (file.name.crop or 0) == crop]
                # The array of another file may be called as the video whose crop the row names.
                first, second = (named, of_crop) if row.crop == crop else (of_crop, named)
                fitting = [file.path for file in first or second]
                if crop not in found and fitting:
                    found[crop] = _most_alike(fitting, row, source)
        if not found and (path := self._similar(entries[0], source)):
            return (path,)
        return tuple(found[crop] for crop in sorted(found))

    def _of_video(self, row: ListEntry, source: str) -> pathlib.Path | None:
        """The one file of a video, None if there is none, or if it is only one of several crops."""
        stem = strip_video_path(row.path)
        at_path = filter(None, (self._at_path(stem + suffix) for suffix in SUFFIXES))
        path = next(at_path, None)
        named = [file.path for file in self._by_stem.get(_last(stem), ())]
        if path is None and named:
            path = _most_alike(named, row, source)
        # Roc-Ng's crop 0 carries no number: what looks like the file of a video is a crop of it.
        others = self._by_name.get(_last(row.video_id), ())
        crops = any(file.name.crop is not None for file in others)
        return None if path is None or crops else path

    def _similar(self, row: ListEntry, source: str) -> pathlib.Path | None:
        """The only file whose name differs in an encoder's ending or in letter case."""
        wanted = _last(strip_video_path(row.path))
        near = self._by_loose_name.get(folded(without_ending(wanted)), ())
        fitting = [
            file.path for file in near if _alike(wanted, _last(strip_video_path(file.path.name)))
        ]
        if not fitting:
            return None
        path = _most_alike(fitting, row, source)
        self.notes.append(f"{path.relative_to(self.root)} for {row.path}")
        return path

    def like(self, row: ListEntry) -> str:
        """A file whose name or folder begins with the name of a row, in words; "" without one."""
        stem = folded(_last(strip_video_path(row.path)))
        begins = re.compile(rf"{re.escape(stem)}(?![^\W_])").match
        for file in self.files:
            if begins(folded(file.path.name)) or folded(file.path.parent.name) == stem:
                return (
                    f" (but {file.path.relative_to(self.root)})" if file.path != self.root else ""
                )
        return ""

    def _at_path(self, written: str) -> pathlib.Path | None:
        """The file at a path, or at its longest ending: lists hold their authors' folders."""
        parts = [part for part in re.split(r"[/\\]", written) if part not in ("", ".")]
        if not parts or not parts[-1].lower().endswith((*SUFFIXES, *UNSAFE)):
            return None
        for first in range(len(parts)):
            candidate = self.root.joinpath(*parts[first:])
            with contextlib.suppress(OSError):  # longer than a name may be
                if candidate.is_file() and not (first and parts[first] == ".."):
                    return candidate
        return None


_T = TypeVar("_T")


def _grouped(files: Iterable[_T], key: Callable[[_T], str]) -> dict[str, list[_T]]:
    groups: dict[str, list[_T]] = {}
    for file in files:
        groups.setdefault(key(file), []).append(file)
    return groups


def _record_beside(path: pathlib.Path) -> bool:
    """Whether extraction wrote a record of a file; one that is damaged counts, too."""
    try:
        return read_record(path) is not None
    except UserError:
        return True


def _alike(one: str, other: str) -> bool:
    """Whether names are the same but for letter case and an ending that one of them has."""
    whole = folded(one), folded(other)
    return whole[0] == whole[1] or (
        folded(without_ending(one)) == whole[1] or whole[0] == folded(without_ending(other))
    )


def _last(path: str) -> str:
    return match_key(path.rpartition("/")[2])


def _most_alike(paths: Sequence[pathlib.Path], row: ListEntry, source: str) -> pathlib.Path:
    """The path whose folders end most like the row's: RGB/ lies beside Flow/."""
    folders = re.split(r"[/\\]", row.path)[-2::-1]

    def common(path: pathlib.Path) -> int:
        pairs = zip(path.parts[-2::-1], folders, strict=False)
        return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))

    best = max(map(common, paths))
    first, *others = [path for path in paths if common(path) == best]
    if others:
        raise UserError(
            f"{source}:{row.line}: {row.path} may be {first} or {others[0]}; write its path as it "
            "is below the feature folder, and name the folder of one encoder only"
        )
    return first


def find_listed(
    folder: FeatureFolder, read: VideoList, *, every_row: bool = True
) -> tuple[dict[str, tuple[pathlib.Path, ...]], list[Fault]]:
    """The files of every video of a list that has any, and what is wrong.

    every_row: whether each row has to have its own file, one per crop.
    """
    found = {}
    ambiguous: list[str] = []
    missing: list[str] = []
    incomplete: list[str] = []
    for video, rows in read.videos.items():
        try:
            files = folder.find(rows, read.source)
        except UserError as error:
            ambiguous.append(str(error))
            continue
        row = _without_file(rows, files) if every_row else None if files else rows[0]
        if row is not None:
            place = f"{read.source}:{row.line}: no file of {row.path} below {folder.root}"
            place += "" if files or missing else folder.like(row)
            (incomplete if files else missing).append(place)
        if files:
            found[video] = files
    advice = "name the feature folder, or leave the row out"
    return found, [
        Fault("ambiguous files", tuple(ambiguous), "several files fit", Weight.REFUSED),
        Fault("missing videos", tuple(missing), advice, Weight.REFUSED),
        Fault("missing crops", tuple(incomplete), advice, Weight.REFUSED),
    ]


def _without_file(rows: Sequence[ListEntry], files: Sequence[pathlib.Path]) -> ListEntry | None:
    """The first row that has no file, None if all have; a file without crop may serve all rows."""
    if not files:
        return rows[0]
    there = {split_path(strip_video_path(path.name))[1] for path in files}
    missing = [row for row in rows if split_path(strip_video_path(row.path))[1] not in there]
    if len(files) >= len(rows) or (len(files) == 1 and len(missing) == len(rows)):
        return None
    return next(iter(missing), rows[-1])


def naming_faults(
    folder: FeatureFolder, files: Mapping[str, Sequence[pathlib.Path]]
) -> list[Fault]:
    """Files that were found for several videos, and those found by similar names.

    files: of each video of all lists.
    """
    videos: dict[pathlib.Path, list[str]] = {}
    for video, paths in files.items():
        for path in paths:
            videos.setdefault(path, []).append(video)
    shared = [f"{path}: {' and '.join(found)}" for path, found in videos.items() if len(found) > 1]
    advice = "they share this file; keep the folders of the list below the feature folder"
    similar = tuple(dict.fromkeys(folder.notes))
    return [
        Fault("shared files", tuple(shared), advice, Weight.REFUSED, "file"),
        Fault("similar names", similar, "found although the name differs", Weight.NOTED, "file"),
    ]
