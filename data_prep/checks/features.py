"""Checks of feature files: presence, crops, shapes, lengths against frame counts, and values."""

import collections
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tqdm

from data_prep.catalogue.known_features import name_features
from data_prep.catalogue.length_rules import fit_rule
from data_prep.catalogue.video_names import data_set_of, match_key, parse_path
from data_prep.checks.findings import Section, counted
from data_prep.checks.values import check_values
from data_prep.sources.features import (
    FeatureFolder,
    Shapes,
    choose_layout,
    num_segments,
    read_shape,
)
from data_prep.sources.lists import ReleasedList
from refinevad_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class CheckedFeatures:
    """What later checks need: T of every video, keyed by match_key."""

    section: Section
    segments: dict[str, int]


def check_features(
    root: pathlib.Path,
    lists: Sequence[ReleasedList],
    counts: Mapping[str, int],
    *,
    frames_per_segment: int = 16,
    values: str = "sample",
) -> CheckedFeatures:
    """Everything that the files below a folder say by themselves and beside lists.

    Args:
        root: the feature folder.
        lists: whose videos are looked for; all files are checked where there is none.
        counts: frames by match_key.
        frames_per_segment: frames that a row should cover.
        values: "none" reads headers only, "sample" some rows of each file, "all" everything.

    Raises UserError where the folder holds no feature file.
    """
    section = Section(f"features {root}")
    videos = _find_files(root, lists, section)
    shapes = _read_shapes(videos, section)
    videos = {
        video: kept
        for video, files in videos.items()
        if (kept := tuple(path for path in files if path in shapes))
    }
    if not videos:
        section.problem("no usable file", "not one feature file could be read")
        return CheckedFeatures(section, {})
    layout = _find_layout(shapes, section)
    _compare_shapes(videos, shapes, section)
    segments = {
        match_key(video): num_segments(shapes[files[0]], layout) for video, files in videos.items()
    }
    _compare_lengths(videos, segments, counts, frames_per_segment, section)
    _name_release(videos, shapes, segments, counts, section)
    if values != "none":
        check_values(videos, section, whole=values == "all")
    return CheckedFeatures(section, segments)


def _find_files(
    root: pathlib.Path, lists: Sequence[ReleasedList], section: Section
) -> dict[str, tuple[pathlib.Path, ...]]:
    folder = FeatureFolder(root)
    index = folder.index
    section.facts.append(("files", f"{sum(map(len, index.values())):,}"))
    if not lists:
        return {files[0].video_id: tuple(file.path for file in files) for files in index.values()}
    found: dict[str, tuple[pathlib.Path, ...]] = {}
    missing, ambiguous, incomplete = [], [], []
    for released in lists:
        for video, entries in released.videos.items():
            try:
                files = folder.find(entries, released.source)
            except UserError as error:
                ambiguous.append(str(error))
                continue
            if not files:
                missing.append(video)
                continue
            if len(files) < len(entries):
                incomplete.append(f"{video}: {len(files)} of {counted(len(entries), 'file')}")
            found[video] = files
    listed = {match_key(video) for released in lists for video in released.videos}
    extra = [files[0].video_id for key, files in index.items() if key not in listed]
    for kind, message, videos in (
        ("missing videos", "in the list, without a file", missing),
        ("missing crops", "fewer files than rows in the list", incomplete),
        ("ambiguous files", "several files that fit", ambiguous),
    ):
        if videos:
            section.problem(kind, f"{counted(len(videos), 'video')}: {message}", videos)
    if extra:
        section.remark(
            "extra videos", f"{counted(len(extra), 'video')}: files, but no list row", extra
        )
    return found


def _read_shapes(videos: Mapping[str, Sequence[pathlib.Path]], section: Section) -> Shapes:
    paths = [path for files in videos.values() for path in files]
    shapes: Shapes = {}
    dtypes: collections.Counter[str] = collections.Counter()
    damaged = []
    for path in tqdm.tqdm(paths, desc="reading headers", unit="file", disable=len(paths) < 200):
        try:
            header = read_shape(path)
        except UserError as error:
            damaged.append(str(error))
            continue
        shapes[path] = header.shape
        dtypes[str(header.dtype)] += 1
    if damaged:
        section.problem("damaged files", f"{counted(len(damaged), 'file')} of no use", damaged)
    section.facts += [
        ("videos", f"{len(videos):,}"),
        ("dtype", ", ".join(f"{name} ({count:,})" for name, count in dtypes.most_common())),
    ]
    if len(dtypes) > 1:
        section.remark("dtypes differ", "files of several number types; all become float16")
    return shapes


def _find_layout(shapes: Shapes, section: Section) -> str:
    try:
        layout = choose_layout("auto", shapes)
    except UserError as error:
        section.problem("layout", str(error))
        layout = "time_first"
    words = {"none": "(T, D)", "time_first": "(T, crops, D)", "crops_first": "(crops, T, D)"}
    section.facts.append(("shape of a file", words[layout]))
    return layout


def _compare_shapes(
    videos: Mapping[str, Sequence[pathlib.Path]], shapes: Shapes, section: Section
) -> None:
    widths = collections.Counter(shape[-1] for shape in shapes.values())
    crops = collections.Counter(len(files) for files in videos.values())
    section.facts += [
        ("D", ", ".join(f"{width} ({count:,} files)" for width, count in widths.most_common())),
        ("files a video", ", ".join(f"{n} ({count:,} videos)" for n, count in crops.most_common())),
    ]
    width, usual = widths.most_common(1)[0][0], crops.most_common(1)[0][0]
    odd_width = [f"{path}: D = {s[-1]}" for path, s in shapes.items() if s[-1] != width]
    odd_crops = [
        f"{video}: {counted(len(f), 'file')}" for video, f in videos.items() if len(f) != usual
    ]
    unequal = [
        f"{video}: {', '.join(f'{path.name} {shapes[path]}' for path in files)}"
        for video, files in videos.items()
        if len({shapes[path] for path in files}) > 1
    ]
    if odd_width:
        section.problem(
            "widths differ", f"{counted(len(odd_width), 'file')}: not D = {width}", odd_width
        )
    if odd_crops:
        section.problem(
            "crops differ", f"{counted(len(odd_crops), 'video')}: not {usual} files", odd_crops
        )
    if unequal:
        section.problem(
            "shapes differ", f"{counted(len(unequal), 'video')}: between crops", unequal
        )


def _compare_lengths(
    videos: Mapping[str, Sequence[pathlib.Path]],
    segments: Mapping[str, int],
    counts: Mapping[str, int],
    frames_per_segment: int,
    section: Section,
) -> None:
    """T against n: any rule of the field stays within two segments."""
    total = sum(segments.values())
    section.facts.append(("segments", f"{total:,} in {len(segments):,} videos"))
    names = {match_key(video): video for video in videos}
    known = {names[key]: counts[key] for key in segments if key in counts}
    if not known:
        section.remark("lengths not compared", "no frame counts; --frame_counts=FILE states them")
        return
    found = {names[key]: count for key, count in segments.items()}
    fit = fit_rule(known, found, frames_per_segment=frames_per_segment)
    section.facts.append(
        ("length rule", f"{fit.rule}, {fit.followers:,} of {fit.num_compared:,} videos")
    )
    far = [
        f"{video}: T = {found[video]}, {n} frames"
        for video, n in known.items()
        if abs(found[video] * frames_per_segment - n) >= 2 * frames_per_segment
    ]
    if far:
        section.problem(
            "lengths differ",
            f"{counted(len(far), 'video')}: {frames_per_segment} T two segments or more off",
            far,
        )
    elif fit.deviants:
        section.remark(
            "length rule",
            f"{counted(len(fit.deviants), 'video')}: not {fit.rule}",
            [f"{video}: T = {t}, expected {e}" for video, (t, e) in fit.deviants.items()],
        )


def _name_release(
    videos: Mapping[str, Sequence[pathlib.Path]],
    shapes: Shapes,
    segments: Mapping[str, int],
    counts: Mapping[str, int],
    section: Section,
) -> None:
    video, files = next(iter(videos.items()))
    shape = shapes[files[0]]
    ratios = [counts[key] / t for key, t in segments.items() if key in counts]
    name = name_features(
        width=shape[-1],
        crops=min(shape[:2]) if len(shape) == 3 else len(files),
        stacked=len(shape) == 3,
        ending=parse_path(files[0].name).ending,
        suffix=files[0].suffix.lower(),
        data_set=data_set_of(video),
        frames_per_segment=float(np.median(ratios)) if ratios else None,
    )
    section.facts.append(("looks like", name))
