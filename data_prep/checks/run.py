"""Checks whatever is given of a release: each input by itself, and all against each other."""

import pathlib
from collections.abc import Sequence

from data_prep.annotations import Annotations
from data_prep.catalogue.truths import official
from data_prep.catalogue.video_names import match_key
from data_prep.checks.arrays import check_gt
from data_prep.checks.features import check_features
from data_prep.checks.findings import Section
from data_prep.checks.lists import check_list, check_overlap
from data_prep.checks.truth import check_truth, known_frames
from data_prep.sources.lists import ReleasedList, read_released_list
from data_prep.sources.truth import read_frame_counts, read_truth


def run_checks(
    *,
    lists: Sequence[pathlib.Path] = (),
    features: pathlib.Path | None = None,
    annotations: Sequence[pathlib.Path] = (),
    gt: Sequence[pathlib.Path] = (),
    frame_counts: pathlib.Path | None = None,
    frames_per_segment: int = 16,
    fps: float | None = None,
    values: str = "sample",
) -> list[Section]:
    """Runs every check that the inputs allow.

    Args:
        lists: list files in any grammar.
        features: a feature folder.
        annotations: annotation files or folders; the first is the truth that arrays are compared
            with.
        gt: foreign ground-truth arrays.
        frame_counts: a file that states frames per video.
        frames_per_segment: frames that a feature row covers.
        fps: frames per second for annotations in seconds.
        values: "none", "sample" or "all", how much of the features is read.

    Returns a section per input. Raises UserError where an input cannot be read at all.
    """
    counts = read_frame_counts(frame_counts)
    read = [read_released_list(path) for path in lists]
    truths = [read_truth(path, counts, fps) for path in annotations]
    frames = _frames(read, truths, counts)
    sections = [check_list(released) for released in read]
    overlap = check_overlap(read)
    if overlap is not None:
        sections.append(overlap)
    sections += [check_truth(truth, read, frames) for truth in truths]
    segments: dict[str, int] = {}
    if features is not None:
        checked = check_features(
            features, read, frames, frames_per_segment=frames_per_segment, values=values
        )
        sections.append(checked.section)
        segments = checked.segments
    for path in gt:
        truth = truths[0] if truths else None
        sections.append(
            check_gt(path, read, truth, segments, frames, frames_per_segment=frames_per_segment)
        )
    return sections


def _frames(
    lists: Sequence[ReleasedList], truths: Sequence[Annotations], counts: dict[str, int]
) -> dict[str, int]:
    """n by match_key from every input that states it; the file given for it wins."""
    frames: dict[str, int] = {}
    for released in lists:
        reference = official(released.data_set)
        if reference is not None:
            frames |= {match_key(video): n for video, n in reference.num_frames.items()}
    for truth in truths:
        frames |= known_frames(truth, "", {})
    return frames | counts
