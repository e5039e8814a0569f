"""Checks whatever is given of a release: each input by itself, and all against each other."""

import contextlib
import functools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from data_prep.annotations import Annotations, read_annotations
from data_prep.annotations.truths import official
from data_prep.catalogue.lookup import data_set_of_all
from data_prep.catalogue.video_names import match_key
from data_prep.checks.arrays import check_array, read_vector
from data_prep.checks.features import CheckedFolder, check_features
from data_prep.checks.findings import Section
from data_prep.checks.lists import check_list
from data_prep.checks.truth import check_truth
from data_prep.sources.feature_folder import FeatureFolder
from data_prep.sources.features import join_faults
from data_prep.sources.labels import Taxonomy, in_classes_of, in_words_of, split_faults
from data_prep.sources.lists import VideoList, read_lists
from data_prep.sources.recorded import clocks_of, overruled_flags, read_records
from data_prep.sources.truth import (
    count_faults,
    read_frame_counts,
    settle_truth,
)
from refinevad_jax.encoders.record import FeatureRecord
from refinevad_jax.errors import UserError


def run_checks(
    *,
    lists: Sequence[pathlib.Path] = (),
    features: pathlib.Path | None = None,
    extra_features: Sequence[pathlib.Path] = (),
    annotations: Sequence[pathlib.Path] = (),
    gt: Sequence[pathlib.Path] = (),
    frame_counts: pathlib.Path | None = None,
    frames_per_segment: int = 16,
    fps: float | None = None,
    unit: str = "",
    values: str = "sample",
    layout: str = "auto",
    splits: Sequence[str] = (),
    taxonomy: Taxonomy | None = None,
) -> list[Section]:
    """Runs every check that the inputs allow; arguments as the flags of data_prep.check.

    splits: of each list, "" if it is not known; none: of no list. taxonomy: reads the labels; None:
    the words of the released lists do.

    Arrays of `gt` are compared with the first of `annotations`. A file of `gt` that does not hold
    one array is checked as an annotation.

    Returns a section per input. Raises UserError if an input cannot be read at all.
    """
    folder = None if features is None else FeatureFolder(features)
    read = read_lists(lists, splits, crops=folder is None or not folder.recorded)
    if taxonomy is not None:
        read = [in_words_of(one, taxonomy) for one in read]
    paths = {video: path for released in read for video, path in released.paths.items()}
    counts = read_frame_counts(frame_counts, paths)
    recorded = _recorded(folder, read)
    lengths = counts | {key: record.num_frames for key, record in recorded.items()}
    truths = [read_annotations(path).called(paths) for path in annotations]
    arrays: dict[pathlib.Path, Annotations | np.ndarray] = {}
    for path in gt:
        vector = read_vector(path)
        arrays[path] = read_annotations(path).called(paths) if vector is None else vector
    others = [array for array in arrays.values() if isinstance(array, Annotations)]
    frames = _frames(read, [*truths, *others], counts, recorded)
    segments: dict[str, int] = {}
    of_features: list[Section] = []
    if folder is not None:
        look = functools.partial(
            check_features, frames_per_segment=frames_per_segment, values=values, layout=layout
        )
        own = look(folder, read, frames)
        extra = [look(FeatureFolder(path), read, {}, extra=True) for path in extra_features]
        section, segments = own.section, own.segments
        for other in extra:
            segments |= {k: min(n, other.segments.get(k, n)) for k, n in segments.items()}
        for what, videos in overruled_flags(recorded, counts, fps).items():
            section.remark_of("flag overruled", videos, what)
        for annotated in truths:
            section.add(count_faults(annotated, lengths, segments, frames_per_segment))
        of_features = [section, *(other.section for other in extra), *_joined([own, *extra])]

    def settled(truth: Annotations) -> Annotations:
        return settle_truth(
            truth,
            lengths,
            fps,
            clocks_of(recorded),
            unit=unit,
            segments=segments,
            frames_per_segment=frames_per_segment,
        )

    truths = [in_classes_of(settled(truth), taxonomy) for truth in truths]
    sections = [check_list(released, taxonomy) for released in read]
    together = Section("all lists")
    together.add(split_faults(read, taxonomy))
    sections += [together] if together.findings else []
    sections += [
        check_truth(truth, read, frames, segments, frames_per_segment, taxonomy) for truth in truths
    ]
    sections += of_features
    truth = next(iter(truths), None)
    for path, array in arrays.items():
        if isinstance(array, Annotations):
            sections.append(
                check_truth(settled(array), read, frames, segments, frames_per_segment, taxonomy)
            )
        else:
            sections.append(
                check_array(
                    path, array, read, truth, segments, frames, frames_per_segment, taxonomy
                )
            )
    return sections


def _joined(folders: Sequence[CheckedFolder]) -> list[Section]:
    """A section of what several feature folders say of the same videos, if that is amiss."""
    files = {
        video: [one.videos[video] for one in folders]
        for video in folders[0].videos
        if all(video in one.videos for one in folders)
    }
    shapes = {path: shape for one in folders for path, shape in one.shapes.items()}
    section = Section("all features")
    section.add(join_faults(files, shapes, [one.layout for one in folders]))
    return [section] if section.findings else []


def _recorded(folder: FeatureFolder | None, lists: Sequence[VideoList]) -> dict[str, FeatureRecord]:
    """What extraction recorded of each video with features, by match_key."""
    if folder is None:
        return {}
    files: dict[str, Sequence[pathlib.Path]] = {
        key: [file.path for file in found] for key, found in folder.index.items()
    }
    for released in lists:
        for video, rows in released.videos.items():
            with contextlib.suppress(UserError):  # several that fit: check_features says it
                files[match_key(video)] = folder.find(rows, released.source)
    found: dict[str, FeatureRecord] = {}
    for key, paths in files.items():
        records, _ = read_records(paths)
        if records:
            found[key] = next(iter(records.values()))
    return found


def _frames(
    lists: Sequence[VideoList],
    truths: Sequence[Annotations],
    counts: dict[str, int],
    recorded: Mapping[str, FeatureRecord],
) -> dict[str, int]:
    """n by match_key from every input that states it; the file given for it wins."""
    data_sets = [released.data_set for released in lists]
    data_sets += [data_set_of_all(truth.video_ids) for truth in truths]
    kept = [truth for name in data_sets if (truth := official(name)) is not None]
    frames = {
        match_key(video): n
        for truth in (*kept, *truths)
        if not truth.frames_from_segments
        for video, n in truth.num_frames.items()
    }
    return {key: record.num_frames for key, record in recorded.items()} | frames | counts
