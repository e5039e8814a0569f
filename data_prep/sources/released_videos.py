"""The videos of released lists with their feature files, and their features."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tqdm

from data_prep.catalogue.lookup import data_set_of, name_features
from data_prep.catalogue.video_names import match_key, parse_path
from data_prep.sources.feature_arrays import num_segments
from data_prep.sources.released_features import (
    FeatureFile,
    files_of_video,
    index_folder,
    load_crops,
    read_shape,
)
from data_prep.sources.released_lists import ListEntry, ReleasedList
from refinevad_jax.data.bags import Modality
from refinevad_jax.errors import UserError

Shapes = dict[pathlib.Path, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class ReleasedVideo:
    """One video of a list with its files of every modality, in the order of the modalities."""

    video_id: str
    split: str
    label: str
    files: tuple[tuple[pathlib.Path, ...], ...]


def find_videos(
    lists: Mapping[str, ReleasedList], features: Mapping[str, pathlib.Path]
) -> list[ReleasedVideo]:
    """Every video of the lists with its files.

    Raises UserError for a video without a label that can be read, or without a file in a folder.
    """
    indices = [index_folder(folder) for folder in features.values()]
    found = []
    for split, released in lists.items():
        for video, entries in released.videos.items():
            place = f"{released.source}, line {entries[0].line}"
            labels = {entry.label for entry in entries}
            label = labels.pop()
            if labels or label is None:
                raise UserError(
                    f"{place}: {video} has {'several labels' if labels else 'no label'}, and its "
                    "name states none; add a label column: path,label"
                )
            if len({entry.crop or 0 for entry in entries}) < len(entries):
                raise UserError(
                    f"{released.source}, line {entries[-1].line}: {video} stands twice with the "
                    "same crop; a video is known by its file name, whatever its folder"
                )
            files = tuple(_files(entries, index, released.source) for index in indices)
            for folder, paths in zip(features.values(), files, strict=True):
                if not paths:
                    raise UserError(
                        f"{place}: no file of {video} below {folder}; name the feature folder, or "
                        "leave the row out"
                    )
            found.append(ReleasedVideo(video, split, label, files))
    return found


def _files(
    entries: Sequence[ListEntry], index: Mapping[str, Sequence[FeatureFile]], source: str
) -> tuple[pathlib.Path, ...]:
    """Files of one modality; audio and text have one file for all crops of the list."""
    files = index.get(match_key(entries[0].video_id), ())
    if all(file.crop is None for file in files):
        entries = [dataclasses.replace(entries[0], crop=None)]
    return files_of_video(entries, index, source)


def read_shapes(videos: Sequence[ReleasedVideo]) -> Shapes:
    """Shapes of all files, from their headers."""
    paths = [path for video in videos for files in video.files for path in files]
    # disable=None: no bar where stderr is a file.
    bar = tqdm.tqdm(paths, desc="reading headers", unit="file", leave=False, disable=None)
    return {path: read_shape(path).shape for path in bar}


def modalities_of(
    names: Sequence[str], videos: Sequence[ReleasedVideo], shapes: Shapes
) -> tuple[Modality, ...]:
    """Name and width of each. Raises UserError where two files of one differ in width."""
    modalities = []
    for i, name in enumerate(names):
        first = videos[0].files[i][0]
        width = shapes[first][-1]
        for video in videos:
            for path in video.files[i]:
                if shapes[path][-1] != width:
                    raise UserError(
                        f"{path}: D = {shapes[path][-1]}, {first} has {width}; one folder per "
                        "encoder"
                    )
        modalities.append(Modality(name, width))
    return tuple(modalities)


def segments_of(video: ReleasedVideo, shapes: Shapes, layouts: Sequence[str]) -> int:
    """T of a video: of its shortest modality."""
    lengths = [
        num_segments(shapes[files[0]], layout)
        for files, layout in zip(video.files, layouts, strict=True)
    ]
    return min(lengths)


def load_release(
    files: Sequence[Sequence[pathlib.Path]], layouts: Sequence[str], num_crops: int
) -> np.ndarray:
    """Reads one video: [N, T, D], all modalities side by side.

    Raises UserError where T of two modalities differs by more than one segment, or their crops do.
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


def describe_features(videos: Sequence[ReleasedVideo], shapes: Shapes) -> str:
    """The releases that the files of the first video look like, a name per modality."""
    names = []
    for files in videos[0].files:
        shape = shapes[files[0]]
        stacked = len(shape) == 3
        name = name_features(
            width=shape[-1],
            crops=len(files) if not stacked else min(shape[:2]),
            stacked=stacked,
            ending=parse_path(files[0].name).ending,
            suffix=files[0].suffix.lower(),
            data_set=data_set_of(videos[0].video_id),
        )
        names.append(name)
    return " + ".join(names)
