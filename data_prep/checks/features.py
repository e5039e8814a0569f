"""Checks of feature files: presence, crops, shapes, lengths against frame counts, and values."""

import collections
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tqdm

from data_prep.catalogue.lookup import fit_rule
from data_prep.catalogue.video_names import match_key
from data_prep.checks.findings import Section
from data_prep.checks.values import check_values
from data_prep.sources.feature_folder import FeatureFolder, find_listed, naming_faults
from data_prep.sources.features import (
    Shapes,
    choose_layout,
    crop_faults,
    length_faults,
    name_release,
    num_segments,
    reading_faults,
)
from data_prep.sources.lists import VideoList
from data_prep.sources.recorded import (
    compared,
    digests_of,
    find_changed,
    find_disagreements,
    read_records,
)
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import FeatureHeader, read_shape, transposed

Files = dict[str, tuple[pathlib.Path, ...]]  # of each video
LAYOUT_WORDS = {
    "none": "(T, D)",
    "time_first": "(T, crops, D)",
    "crops_first": "(crops, T, D)",
}


@dataclasses.dataclass(frozen=True)
class CheckedFolder:
    """A feature folder: what was found, the usable files of each video, their shapes and layout."""

    section: Section
    videos: Files
    shapes: Shapes
    layout: str = "auto"

    @property
    def segments(self) -> dict[str, int]:
        """T of every video by match_key."""
        return {
            match_key(video): num_segments(self.shapes[files[0]], self.layout)
            for video, files in self.videos.items()
        }


def check_features(
    folder: FeatureFolder,
    lists: Sequence[VideoList],
    frames: Mapping[str, int],
    *,
    frames_per_segment: int,
    values: str,
    layout: str = "auto",
    extra: bool = False,
) -> CheckedFolder:
    """Everything that the files below a folder say by themselves and beside lists.

    folder: whose files; lists: whose videos are looked for; without a list all files are checked.
    frames: n by match_key. values: "none" reads headers only, "sample" some rows of each file,
    "all" everything. layout: one of sources.features.LAYOUTS. extra: the channels are to be put
    beside those of another folder, which decide lengths and crops.

    Raises UserError if the folder holds no feature file.
    """
    section = Section(f"features {folder.root}")
    videos = _find_files(folder, lists, section, every_row=not extra)
    shapes = _read_shapes(videos, section)
    videos = {
        video: usable
        for video, files in videos.items()
        if (usable := tuple(path for path in files if path in shapes))
    }
    if not videos:
        return CheckedFolder(section, {}, {})
    try:
        layout = choose_layout(layout, shapes)
    except UserError as error:
        section.problem("layout", str(error))
        layout = "time_first"
    section.facts.append(("shape of a file", LAYOUT_WORDS[layout]))
    _compare_shapes(videos, shapes, section)
    segments = {video: num_segments(shapes[files[0]], layout) for video, files in videos.items()}
    known = {video: frames[match_key(video)] for video in videos if match_key(video) in frames}
    if not extra:
        for released in lists:
            section.add(crop_faults(videos, shapes, layout, released))
        _compare_lengths(segments, known, frames_per_segment, section)
    first, files = next(iter(videos.items()))
    ratios = [n / segments[video] for video, n in known.items()]
    frames_per_row = float(np.median(ratios)) if ratios else None
    section.facts.append(("looks like", name_release(first, files, shapes, frames_per_row)))
    paths = [path for files in videos.values() for path in files]
    _compare_records(paths, shapes, layout, section)
    if values != "none":
        sources = _sources(videos, lists)
        check_values(paths, layout, sources, section, whole=values == "all", twins=not extra)
    return CheckedFolder(section, videos, shapes, layout)


def _sources(videos: Files, lists: Sequence[VideoList]) -> dict[pathlib.Path, str]:
    """The list that names each file."""
    return {
        path: released.source
        for released in lists
        for video in released.videos
        for path in videos.get(video, ())
    }


def _find_files(
    folder: FeatureFolder, lists: Sequence[VideoList], section: Section, *, every_row: bool
) -> Files:
    index = folder.index
    section.facts.append(("files", f"{sum(map(len, index.values())):,}"))
    if not lists:
        return {
            files[0].name.video_id: tuple(file.path for file in files) for files in index.values()
        }
    found: Files = {}
    for released in lists:
        files, faults = find_listed(folder, released, every_row=every_row)
        section.add(faults)
        found |= files
    section.add(naming_faults(folder, found))
    used = {path for files in found.values() for path in files}
    listed = {match_key(video) for released in lists for video in released.videos}
    extra = [
        files[0].name.video_id
        for key, files in index.items()
        if key not in listed and not used.intersection(file.path for file in files)
    ]
    section.remark_of("extra videos", extra, "files, but no list row")
    return found


def _read_shapes(videos: Files, section: Section) -> Shapes:
    paths = [path for files in videos.values() for path in files]
    headers: dict[pathlib.Path, FeatureHeader] = {}
    dtypes: collections.Counter[str] = collections.Counter()
    damaged = []
    for path in tqdm.tqdm(paths, desc="reading headers", unit="file", disable=len(paths) < 200):
        try:
            headers[path] = read_shape(path)
        except UserError as error:
            damaged.append(str(error))
            continue
        dtypes[str(headers[path].dtype)] += 1
    section.problem_of("damaged files", damaged, "cannot be used", "file")
    section.facts += [
        ("videos", f"{len(videos):,}"),
        ("dtype", _counts(dtypes)),
    ]
    if len(dtypes) > 1:
        section.remark("dtypes differ", "files of several number types; all become float16")
    section.add(reading_faults(headers))
    return {path: header.shape for path, header in headers.items()}


def _compare_shapes(videos: Files, shapes: Shapes, section: Section) -> None:
    widths = collections.Counter(shape[-1] for shape in shapes.values())
    crops = collections.Counter(len(files) for files in videos.values())
    section.facts += [
        ("D", _counts(widths, " files")),
        ("files per video", _counts(crops, " videos")),
    ]
    width = widths.most_common(1)[0][0]
    odd_width = [f"{path}: D = {s[-1]}" for path, s in shapes.items() if s[-1] != width]
    unequal = [
        f"{video}: {', '.join(f'{path.name} {shapes[path]}' for path in files)}"
        for video, files in videos.items()
        if len({shapes[path] for path in files}) > 1
    ]
    if why := transposed(shapes):
        section.problem("looks transposed", why)
    stacked = [
        f"{path}: {shapes[path]}"
        for files in videos.values()
        for path in files
        if len(files) > 1 and len(shapes[path]) > 2
    ]
    section.problem_of("crops in files of crops", stacked, "(T, D) is expected", "file")
    section.problem_of("widths differ", odd_width, f"not D = {width}", "file")
    section.problem_of("shapes differ", unequal, "between crops")


def _compare_records(
    paths: Sequence[pathlib.Path], shapes: Shapes, layout: str, section: Section
) -> None:
    """What extraction recorded beside the files, against the files and each other."""
    records, damaged = read_records(paths)
    section.problem_of("damaged records", damaged, "cannot be used", "record")
    if not records:
        return
    digests = digests_of(records)
    segments = {path: num_segments(shapes[path], layout) for path in records}
    changed = find_changed(records, digests, segments)
    encoders = dict.fromkeys(record.encoder for record in records.values())
    section.facts += [
        ("records", f"{len(records):,} of {len(paths):,} files, compared by {compared(digests)}"),
        ("encoder", ", ".join(encoders)),
    ]
    missing = [str(path) for path in paths if path not in records]
    section.problem_of("changed files", changed, "extract the videos again", "file")
    section.problem_of(
        "other settings", find_disagreements(records), "give one folder per encoder", "file"
    )
    section.problem_of("without record", missing, "other files there have one", "file")


def _counts(counter: collections.Counter[Any], noun: str = "") -> str:
    return ", ".join(f"{value} ({count:,}{noun})" for value, count in counter.most_common())


def _compare_lengths(
    segments: Mapping[str, int], known: Mapping[str, int], frames_per_segment: int, section: Section
) -> None:
    """T against n."""
    section.facts.append(("segments", f"{sum(segments.values()):,} in {len(segments):,} videos"))
    if not known:
        section.remark("lengths not compared", "no frame counts; --frame_counts=FILE states them")
        return
    fit = fit_rule(known, segments, frames_per_segment=frames_per_segment)
    section.facts.append(
        ("length rule", f"{fit.rule}, {fit.followers:,} of {fit.num_compared:,} videos")
    )
    faults = length_faults(segments, known, frames_per_segment)
    section.add(faults)
    if not any(fault.places for fault in faults):
        others = [f"{video}: T = {t}, expected {e}" for video, (t, e) in fit.deviants.items()]
        section.remark_of("length rule", others, f"not {fit.rule}")
