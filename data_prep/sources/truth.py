"""The truth of listed videos: read in frames, given to the videos, named."""

import dataclasses
import pathlib
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from data_prep.annotations import Annotations, read_annotations
from data_prep.annotations.record import Clock
from data_prep.annotations.truths import name_truth, official, span_hash
from data_prep.catalogue.lookup import data_set_of, data_set_of_all
from data_prep.catalogue.video_names import match_key
from data_prep.dataset.videos import Video, read_label
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.errors import UserError


def read_frame_counts(
    path: pathlib.Path | None, videos: Mapping[str, str] = MappingProxyType({})
) -> dict[str, int]:
    """Frame counts of a file by match_key, of None none. Raises UserError if it states none.

    videos: path of each listed video, by its id.
    """
    if path is None:
        return {}
    read = read_annotations(path).called(videos)
    if not read.num_frames or read.frames_from_segments:
        raise UserError(
            f"{path}: states no frame counts; 'name@frames' per line does, or 'name frames'"
        )
    return _by_key(read.num_frames)


def read_truth(
    path: pathlib.Path,
    counts: Mapping[str, int],
    fps: float | None = None,
    clocks: Mapping[str, Clock] | None = None,
    videos: Mapping[str, str] = MappingProxyType({}),
) -> Annotations:
    """Annotations in frames.

    Args:
        path: what read_annotations reads.
        counts: frames by match_key, for shares of the video; UCF-Crime's test videos are known.
        fps: frames per second, for seconds of which neither the file nor clocks tell the frame.
        clocks: by match_key, of the videos whose times are known.
        videos: path of each listed video, by its id; the annotations are given these ids.
    """
    truth = read_annotations(path).called(videos)
    known = official(data_set_of(next(iter(truth.stretches), "")))
    return truth.in_frames({**(known.num_frames if known else {}), **counts}, fps, clocks)


def describe_truth(truth: Annotations) -> dict[str, str]:
    """Grammar, version by name, and hash of the spans, for the provenance of a data set."""
    lengths = truth.num_frames if truth.frames_from_segments else None
    return {
        "grammar": truth.grammar,
        "version": name_truth(truth.spans, data_set_of_all(truth.spans), lengths),
        "span_sha256": span_hash(truth.spans),
    }


def add_truth(videos: Sequence[Video], annotations: Annotations, info: BagsInfo) -> list[Video]:
    """Gives the videos their spans, and the frame counts and rates that the annotations state.

    The truth of a video is known if the annotations name it, and for a normal video also if they
    name any other of its split: some files list anomalous videos only. Warns on stderr of what is
    odd but usable. Raises UserError if not one video is annotated.
    """
    if not annotations.spans:
        raise UserError(f"--annotations: no spans in it ({annotations.grammar}); leave it out")
    annotated = {v.video_id for v in videos if annotations.spans_of(v.video_id) is not None}
    if not annotated:
        raise UserError(
            f"--annotations: none of its {len(annotations.spans)} videos "
            f"({_names(list(annotations.spans))}) is in a list ({videos[0].video_id}, ...)"
        )
    annotated_splits = {video.split for video in videos if video.video_id in annotated}
    # The segments of another feature release say nothing about these files.
    counts = {} if annotations.frames_from_segments else _by_key(annotations.num_frames)
    rates = _by_key(annotations.fps)
    for note in annotations.notes:
        print(f"note: {annotations.source}: {note}", file=sys.stderr)
    complete, lengths, spanless, spanned = [], [], [], []
    for video in videos:
        name, key = video.video_id, match_key(video.video_id)
        normal = not read_label(video, info.taxonomy).any()
        spans = annotations.spans_of(name, normal=normal and video.split in annotated_splits)
        frames, fps = counts.get(key, video.num_frames), rates.get(key, video.fps)
        complete.append(dataclasses.replace(video, spans=spans, num_frames=frames, fps=fps))
        # Releases count floor(n/16), ceil(n/16) or one less; two segments are no longer that.
        length = video.num_frames or frames or 0  # of the features, if they are there
        if abs(length - (frames or 0)) >= 2 * info.frames_per_segment:
            lengths.append(name)
        if spans == () and not normal:
            spanless.append(name)
        if spans and normal:
            spanned.append(name)
    known = {match_key(video.video_id) for video in videos}
    unlisted = [name for name in annotations.spans if match_key(name) not in known]
    warn(unlisted, "annotated, but in no list")
    warn(lengths, "features and annotated frames differ by two segments or more")
    warn(spanless, "labelled anomalous, annotated without an anomalous span")
    warn(spanned, "labelled normal, annotated with an anomalous span")
    return complete


_Number = TypeVar("_Number", int, float)


def _by_key(table: Mapping[str, _Number]) -> dict[str, _Number]:
    return {match_key(video_id): value for video_id, value in table.items()}


def warn(video_ids: Sequence[str], problem: str) -> None:
    """Says on stderr which videos, if any, have a problem that does not stop the work."""
    if video_ids:
        found = f"{_names(video_ids)} ({len(video_ids)} in all)"
        print(f"warning: {problem}: {found}", file=sys.stderr)


def _names(video_ids: Sequence[str]) -> str:
    return ", ".join([*video_ids[:3], *(["..."] if len(video_ids) > 3 else [])])
