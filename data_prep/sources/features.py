"""Feature files in every released layout: found for the rows of a list, told apart, loaded.

One file is read by refinevad_jax.files.feature_files, whatever its format.

Layouts of a video: (T, D) in one file; (T, D) in a file per crop, `<video>__<k>.npy`, crop 0 with
or without number; (T, crops, D) or (crops, T, D) in one file; Sultani's text, 32 lines x D.
"""

import contextlib
import functools
import itertools
import pathlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import tqdm

from data_prep.catalogue.listed_names import VideoName, read_names, without_ending
from data_prep.catalogue.lookup import data_set_of, name_features
from data_prep.catalogue.video_names import (
    is_video_path,
    match_key,
    split_path,
    strip_video_path,
)
from data_prep.sources.faults import Fault, Weight, tell
from data_prep.sources.lists import TRAIN, ListEntry, VideoList
from data_prep.sources.truth import warn
from refinevad_jax.data.bags import Modality
from refinevad_jax.encoders.record import read_record
from refinevad_jax.encoders.video_files import folded
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import (
    CROP_COUNTS,
    SUFFIXES,
    UNSAFE,
    FeatureHeader,
    feature_paths,
    load_file,
    read_shape,
    transposed,
)

LAYOUTS = ("auto", "crops_first", "time_first")
Shapes = dict[pathlib.Path, tuple[int, ...]]


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


def crop_faults(
    files: Mapping[str, Sequence[pathlib.Path]], shapes: Shapes, layout: str, read: VideoList
) -> list[Fault]:
    """Videos of a list with another number of crops than most. files: of each video."""
    axis = 0 if layout == "crops_first" else 1
    counts = {
        video: shapes[paths[0]][axis] if len(shapes[paths[0]]) == 3 else len(paths)
        for video, paths in files.items()
        if video in read.videos
    }
    usual = max(counts.values(), key=list(counts.values()).count, default=0)
    odd = [f"{video}: {count} crops" for video, count in counts.items() if count != usual]
    weight = Weight.WARNED if read.split in ("", TRAIN) else Weight.NOTED
    advice = f"not {usual} crops, as most have; training needs the same number of all videos"
    return [Fault("crops differ", tuple(odd), advice, weight)]


def length_faults(
    segments: Mapping[str, int], num_frames: Mapping[str, int], frames_per_segment: int
) -> list[Fault]:
    """Videos whose T is two segments or more off: any rule of the field stays within that.

    segments: T, num_frames: n, of each video.
    """
    far = [
        f"{video}: T = {segments[video]}, {n} frames"
        for video, n in num_frames.items()
        if abs(segments[video] * frames_per_segment - n) >= 2 * frames_per_segment
    ]
    advice = f"{frames_per_segment} T is two segments or more off"
    return [Fault("lengths differ", tuple(far), advice, Weight.WARNED)]


def read_shapes(bags: Collection[Sequence[pathlib.Path]]) -> Shapes:
    """Shapes of all feature files, from their headers alone; a bag is one video's files.

    Says on stderr what had to be done to read them. Raises UserError as read_shape does, and if the
    crops of a video differ in shape.
    """
    shapes: Shapes = {}
    headers: dict[pathlib.Path, FeatureHeader] = {}
    # disable=None: no bar if stderr is a file.
    for files in tqdm.tqdm(bags, "reading headers", unit="video", leave=False, disable=None):
        for path in files:
            header = headers[path] = read_shape(path)
            if len(files) > 1 and len(header.shape) > 2:
                raise UserError(
                    f"{path}: {header.dtype} of shape {header.shape}; expected (T, D), since each "
                    "crop of this video has its own file"
                )
            shapes[path] = header.shape
        if len({shapes[path] for path in files}) > 1:
            differing = ", ".join(f"{path.name} {shapes[path]}" for path in files)
            raise UserError(
                f"{files[0]}: crops differ in shape: {differing}; extract the video again"
            )
    tell(reading_faults(headers))
    return shapes


def reading_faults(headers: Mapping[pathlib.Path, FeatureHeader]) -> list[Fault]:
    """What had to be done to read files; each is no more than a note."""
    found: dict[str, list[str]] = {}
    for path, header in headers.items():
        for what, detail in header.remarks.items():
            found.setdefault(what, []).append(f"{path.name} ({detail})" if detail else path.name)
    means = "docs/data_format.md says how feature files are read"
    return [Fault(what, tuple(files), means, Weight.NOTED, "file") for what, files in found.items()]


def name_release(
    video_id: str,
    files: Sequence[pathlib.Path],
    shapes: Shapes,
    frames_per_segment: float | None = None,
) -> str:
    """The feature releases that a video's files of one folder look like, see name_features."""
    shape = shapes[files[0]]
    stacked = len(shape) == 3
    return name_features(
        width=shape[-1],
        crops=min(shape[:2]) if stacked else len(files),
        stacked=stacked,
        ending=read_names([files[0].name])[0].ending,
        suffix=files[0].suffix.lower(),
        data_set=data_set_of(video_id),
        frames_per_segment=frames_per_segment,
    )


def choose_layout(layout: str, shapes: Mapping[pathlib.Path, tuple[int, ...]]) -> str:
    """Which of the first two axes of three-dimensional files is the crops.

    "auto" takes the axis that has the same size, 1, 5 or 10, in all files. Returns "crops_first" or
    "time_first"; "none" if no file has three axes. Raises UserError if it cannot be told.
    """
    stacked = [shape for shape in shapes.values() if len(shape) == 3]
    if not stacked:
        return "none"
    if layout != "auto":
        return layout
    sizes = [{shape[axis] for shape in stacked} for axis in (0, 1)]
    fits = [len(size) == 1 and min(size) in CROP_COUNTS for size in sizes]
    if fits[0] == fits[1]:
        example = next(path for path, shape in shapes.items() if len(shape) == 3)
        if not fits[0] and {shape[2] for shape in stacked} <= set(CROP_COUNTS):
            raise UserError(
                f"{example}: shape {shapes[example]}; the last axis looks like the crops; save "
                "them as (T, crops, D), in NumPy array.swapaxes(1, 2)"
            )
        problem = "both of the first two axes" if fits[0] else "neither of the first two axes"
        raise UserError(
            f"{example}: shape {shapes[example]}; {problem} can be the crops in all files; pass "
            "--layout=crops_first or --layout=time_first"
        )
    return "crops_first" if fits[0] else "time_first"


def num_segments(shape: tuple[int, ...], layout: str) -> int:
    """T of a feature file, from its shape."""
    return shape[1] if len(shape) == 3 and layout == "crops_first" else shape[0]


def parse_modalities(
    texts: Sequence[str],
    shapes: Mapping[pathlib.Path, tuple[int, ...]],
    name: str = "visual",
) -> tuple[Modality, ...]:
    """The modalities in the files of one folder.

    Args:
        texts: `name=width` each, in the order of the channels; none: one modality of all channels.
        shapes: of all files.
        name: of that one modality.

    Raises UserError if a text is malformed or a file has another D than the widths add up to.
    """
    modalities: list[Modality] = []
    for text in texts:
        match = re.fullmatch(r"(\w+)=([1-9]\d{0,5})", text)
        if not match:
            raise UserError(f"--modality={text}: expected name=width, as in visual=1024")
        if match[1] in [modality.name for modality in modalities]:
            raise UserError(f"--modality={text}: {match[1]} appears twice")
        modalities.append(Modality(match[1], int(match[2])))
    first = next(iter(shapes))
    if not texts and (why := transposed(shapes)):
        if len({shape[-1] for shape in shapes.values()}) > 1:
            raise UserError(why)
        warn([first.name], why)
    if not modalities:
        modalities = [Modality(name, shapes[first][-1])]
    width = sum(modality.width for modality in modalities)
    for path, shape in shapes.items():
        if shape[-1] != width:
            expected = (
                f"--modality adds up to {width}"
                if texts
                else f"{first} has D = {width}; give one folder per encoder"
            )
            raise UserError(f"{path}: shape {shape}, D = {shape[-1]}, but {expected}")
    return tuple(modalities)


def load_video(
    files: Sequence[Sequence[pathlib.Path]], layouts: Sequence[str], num_crops: int
) -> np.ndarray:
    """Reads one video: [N, T, D], the channels of all its folders side by side.

    Args:
        files: those of each feature folder, in crop order. A folder with one crop serves all crops
            of the others; if T differs by one segment, the longer is cut, as the field's loaders
            do.
        layouts: of each folder, see choose_layout.
        num_crops: how many crops to keep, from the first; 0: all.

    Raises UserError if T of two folders differs by more than one segment, or their crops differ.
    """
    parts = [
        load_crops(paths, layout, num_crops) for paths, layout in zip(files, layouts, strict=True)
    ]
    lengths = [part.shape[1] for part in parts]
    if max(lengths) - min(lengths) > 1:
        raise UserError(
            f"{files[lengths.index(min(lengths))][0]}: {min(lengths)} segments, "
            f"{files[lengths.index(max(lengths))][0]} has {max(lengths)}; extract the video again"
        )
    crops = max(part.shape[0] for part in parts)
    for paths, part in zip(files, parts, strict=True):
        if part.shape[0] not in (1, crops):
            raise UserError(
                f"{paths[0]}: {part.shape[0]} crops, another modality has {crops}; give it all or 1"
            )
    wide = [
        np.broadcast_to(part[:, : min(lengths)], (crops, min(lengths), part.shape[2]))
        for part in parts
    ]
    return np.concatenate(wide, axis=2) if len(wide) > 1 else wide[0]


def load_crops(files: Sequence[pathlib.Path], layout: str, num_crops: int = 0) -> np.ndarray:
    """One video's files of one folder as [N, T, D]; arguments as of load_video."""
    if len(files) > 1:  # of one shape, as read_shapes has seen
        return np.stack([load_file(path) for path in files[: num_crops or None]])
    return in_crops(load_file(files[0]), layout)[: num_crops or None]


def in_crops(features: np.ndarray, layout: str) -> np.ndarray:
    """A file of shape (T, D), or with crops on an axis as the layout says, as [N, T, D]."""
    if features.ndim == 2:
        return features[None]
    return features.swapaxes(0, 1) if layout == "time_first" else features
