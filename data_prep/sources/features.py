"""Feature files in every released layout, told apart and loaded (found: feature_folder.py).

One file is read by refinevad_jax.files.feature_files, whatever its format.

Layouts of a video: (T, D) in one file; (T, D) in a file per crop, `<video>__<k>.npy`, crop 0 with
or without number; (T, crops, D) or (crops, T, D) in one file; Sultani's text, 32 lines x D.
"""

import pathlib
import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import tqdm

from data_prep.catalogue.listed_names import read_names
from data_prep.catalogue.lookup import data_set_of, name_features
from data_prep.sources.faults import Fault, Weight, tell
from data_prep.sources.lists import TRAIN, VideoList
from data_prep.sources.truth import warn
from refinevad_jax.data.bags import Modality
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import (
    CROP_COUNTS,
    FeatureHeader,
    load_file,
    read_shape,
    transposed,
)

LAYOUTS = ("auto", "crops_first", "time_first")
Shapes = dict[pathlib.Path, tuple[int, ...]]


def crop_faults(
    files: Mapping[str, Sequence[pathlib.Path]], shapes: Shapes, layout: str, read: VideoList
) -> list[Fault]:
    """Videos of a list with another number of crops than most. files: of each video."""
    counts = {
        video: _count_crops(paths, shapes, layout)
        for video, paths in files.items()
        if video in read.videos
    }
    usual = max(counts.values(), key=list(counts.values()).count, default=0)
    odd = [f"{video}: {count} crops" for video, count in counts.items() if count != usual]
    weight = Weight.WARNED if read.split in ("", TRAIN) else Weight.NOTED
    advice = f"not {usual} crops, as most have; training needs the same number of all videos"
    return [Fault("crops differ", tuple(odd), advice, weight)]


def _count_crops(paths: Sequence[pathlib.Path], shapes: Shapes, layout: str) -> int:
    """N of one video's files of one folder."""
    shape = shapes[paths[0]]
    return shape[0 if layout == "crops_first" else 1] if len(shape) == 3 else len(paths)


def join_faults(
    files: Mapping[str, Sequence[Sequence[pathlib.Path]]],
    shapes: Shapes,
    layouts: Sequence[str],
    num_crops: int = 0,
) -> list[Fault]:
    """Videos whose modalities cannot be put side by side, see load_video.

    files: of each video, those of each feature folder; layouts: of each folder; num_crops: how many
    crops are kept, 0 for all.
    """
    lengths, crops = [], []
    for video, of_folders in files.items():
        pairs = list(zip(of_folders, layouts, strict=True))
        rows = [num_segments(shapes[paths[0]], layout) for paths, layout in pairs]
        if max(rows) - min(rows) > 1:
            lengths.append(f"{video}: T = {', '.join(map(str, rows))}")
        counts = [_count_crops(paths, shapes, layout) for paths, layout in pairs]
        counts = [min(count, num_crops or count) for count in counts]
        if not set(counts) <= {1, max(counts)}:
            crops.append(f"{video}: {', '.join(map(str, counts))} crops")
    advice = "T of two may differ by one segment; extract the video again", "give it all or 1"
    return [
        Fault("lengths of modalities differ", tuple(lengths), advice[0], Weight.REFUSED),
        Fault("crops of modalities differ", tuple(crops), advice[1], Weight.REFUSED),
    ]


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

    The folders must fit each other, as join_faults has seen.
    """
    parts = [
        load_crops(paths, layout, num_crops) for paths, layout in zip(files, layouts, strict=True)
    ]
    lengths = [part.shape[1] for part in parts]
    crops = max(part.shape[0] for part in parts)
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
