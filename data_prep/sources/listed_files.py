"""The videos of lists with their feature files, and what headers and records say of these."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from data_prep.catalogue.lookup import recording_from_name
from data_prep.catalogue.video_names import match_key
from data_prep.sources.faults import tell
from data_prep.sources.feature_folder import FeatureFolder, find_listed, naming_faults
from data_prep.sources.features import (
    Shapes,
    choose_layout,
    crop_faults,
    num_segments,
    read_shapes,
)
from data_prep.sources.labels import twin_faults
from data_prep.sources.lists import VideoList
from data_prep.sources.recorded import (
    Records,
    agreeing_records,
    content_of,
    digests_of,
)
from refinevad_jax.encoders.record import FeatureRecord


@dataclasses.dataclass(frozen=True)
class ListedVideo:
    """One video of a list with its files in every feature folder, in the order of the folders."""

    video_id: str
    split: str
    label: str
    recording: str
    files: tuple[tuple[pathlib.Path, ...], ...]


@dataclasses.dataclass(frozen=True)
class ListedFiles:
    """The files of all lists, with what their headers and records say.

    Attributes:
        lists: by split.
        videos: of all lists, each with its files.
        shapes: of each file of a folder, by folder.
        layouts: of each folder.
        digests: SHA-256 of the files of each folder.
        records: of each folder, what lies beside its files.
    """

    lists: Mapping[str, VideoList]
    videos: Sequence[ListedVideo]
    shapes: Sequence[Shapes]
    layouts: list[str]
    digests: Sequence[Mapping[pathlib.Path, str]]
    records: Sequence[Records]

    @property
    def all_shapes(self) -> Shapes:
        """Of the files of all folders."""
        return {path: shape for of_one in self.shapes for path, shape in of_one.items()}

    def recorded(self) -> dict[str, FeatureRecord]:
        """Records by match_key of the video; those of the first folder win."""
        return {
            match_key(video.video_id): of_one[path]
            for i, of_one in reversed(list(enumerate(self.records)))
            for video in self.videos
            for path in video.files[i]
            if path in of_one
        }

    def segments(self) -> dict[str, int]:
        """T of each video, of its shortest modality."""
        shapes = self.all_shapes
        return {
            video.video_id: min(
                num_segments(shapes[files[0]], layout)
                for files, layout in zip(video.files, self.layouts, strict=True)
            )
            for video in self.videos
        }


def find_files(
    folders: Sequence[FeatureFolder],
    lists: Mapping[str, VideoList],
    layout: str,
    frames_per_segment: int,
) -> ListedFiles:
    """The files of all rows, with headers, digests and records; says what is odd in them.

    lists: by split; layout: one of LAYOUTS. Raises UserError for a row without a file, and for
    files or records that contradict each other.
    """
    listed = [video for read in lists.values() for video in _find(read, folders)]
    for i, folder in enumerate(folders):
        tell(naming_faults(folder, {video.video_id: video.files[i] for video in listed}))
    shapes = read_shapes([files for video in listed for files in video.files])
    of_folders = [
        {path: shapes[path] for video in listed for path in video.files[i]}
        for i in range(len(folders))
    ]
    layouts = [choose_layout(layout, of_one) for of_one in of_folders]
    digests = [digests_of(of_one) for of_one in of_folders]
    sources = {path: lists[video.split].source for video in listed for path in video.files[0]}
    contents = {path: content_of(path, digest) for path, digest in digests[0].items()}
    tell(twin_faults(contents, sources))
    for read in lists.values():
        files = {video.video_id: video.files[0] for video in listed if video.split == read.split}
        tell(crop_faults(files, shapes, layouts[0], read))
    records = [
        agreeing_records(
            folder.root,
            {path: num_segments(shape, chosen) for path, shape in of_one.items()},
            digest,
            frames_per_segment,
        )
        for folder, of_one, digest, chosen in zip(
            folders, of_folders, digests, layouts, strict=True
        )
    ]
    return ListedFiles(lists, listed, of_folders, layouts, digests, records)


def _find(read: VideoList, folders: Sequence[FeatureFolder]) -> list[ListedVideo]:
    """The videos of a list with their files. Raises UserError for a row without a file."""
    of_folders = []
    for i, folder in enumerate(folders):
        files, faults = find_listed(folder, read, every_row=not i)
        tell(faults)
        of_folders.append(files)
    data_set = read.data_set
    return [
        ListedVideo(
            video,
            read.split,
            rows[0].label or "",
            rows[0].recording or recording_from_name(video, data_set),
            tuple(files[video] for files in of_folders),
        )
        for video, rows in read.videos.items()
    ]
