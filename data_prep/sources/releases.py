"""The data set that a release of the field makes: its lists, feature archives and annotations.

`read_release` is what `data_prep.package --source=release` calls. Lists are read by
released_lists, files found by released_features, truth read by annotations, in every grammar and
layout that they know.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence

from data_prep.annotations import Annotations, read_annotations
from data_prep.annotations.truths import name_truth, official, span_hash
from data_prep.catalogue.lookup import data_set_of, fit_rule
from data_prep.catalogue.video_names import match_key
from data_prep.dataset.videos import Video
from data_prep.sources.feature_arrays import choose_layout
from data_prep.sources.feature_lists import add_truth
from data_prep.sources.file_hashes import hash_files, hash_input
from data_prep.sources.released_lists import read_released_list
from data_prep.sources.released_videos import (
    ReleasedVideo,
    Shapes,
    describe_features,
    find_videos,
    load_release,
    modalities_of,
    read_shapes,
    segments_of,
)
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Release:
    """What to read, and how.

    Attributes:
        lists: {split: list file in any grammar of released_lists}.
        features: {modality: folder with its files}, channels are joined in this order. A modality
            without crops (audio, text) is repeated for every crop; where T differs by one segment,
            the longer is cut, as the field's loaders do.
        name: the data set's name.
        taxonomy: reads the labels.
        annotations: a file or folder that data_prep.annotations reads; None: no truth.
        frame_counts: an annotation file whose frame counts are to be used, for annotations in
            shares of the video, or for lengths that the annotations do not state.
        layout: one of feature_arrays.LAYOUTS.
        num_crops: crops to keep of each video; 0: all that the list names.
        frames_per_segment: frames that a row of a feature file covers.
        fps: frames per second where the annotations do not state them.
        encoder: what made the features, in words; "": what width, crops and names tell.
        source_note: where the data came from, in words.
    """

    lists: Mapping[str, pathlib.Path]
    features: Mapping[str, pathlib.Path]
    name: str
    taxonomy: Taxonomy
    annotations: pathlib.Path | None = None
    frame_counts: pathlib.Path | None = None
    layout: str = "auto"
    num_crops: int = 0
    frames_per_segment: int = 16
    fps: float | None = None
    encoder: str = ""
    source_note: str = ""


def read_release(release: Release) -> tuple[BagsInfo, list[Video]]:
    """Reads a release: metadata and videos, ready for write_dataset.

    Raises UserError naming file and cure for whatever is missing, damaged or contradictory.
    """
    read = {split: read_released_list(path) for split, path in release.lists.items()}
    videos = find_videos(read, release.features)
    shapes = read_shapes(videos)
    layouts = _layouts(release, videos, shapes)
    files = ", ".join(path.name for path in release.lists.values())
    info = BagsInfo(
        name=release.name,
        taxonomy=release.taxonomy,
        modalities=modalities_of(list(release.features), videos, shapes),
        frames_per_segment=release.frames_per_segment,
        encoder=release.encoder or describe_features(videos, shapes),
        source=release.source_note or f"released lists {files}",
    )
    counts = read_frame_counts(release.frame_counts)
    segments = {video.video_id: segments_of(video, shapes, layouts) for video in videos}
    bags = [_bag(video, segments[video.video_id], counts, layouts, release) for video in videos]
    truth = None
    if release.annotations is not None:
        truth = read_truth(release.annotations, counts, release.fps)
        bags = add_truth(bags, truth, info)
    provenance = {
        **_provenance(info, truth),
        **_provenance_of_files(release, videos),
        "length_rule": _length_rule(truth, counts, segments, release.frames_per_segment),
        "layouts": layouts,
        "list_grammars": {split: released.grammar for split, released in read.items()},
    }
    return dataclasses.replace(info, provenance=provenance), bags


def _layouts(release: Release, videos: Sequence[ReleasedVideo], shapes: Shapes) -> list[str]:
    """Of each modality: crops may be an axis in one and absent from another."""
    return [
        choose_layout(
            release.layout, {path: shapes[path] for video in videos for path in video.files[i]}
        )
        for i in range(len(release.features))
    ]


def _bag(
    video: ReleasedVideo,
    num_segments: int,
    counts: Mapping[str, int],
    layouts: Sequence[str],
    release: Release,
) -> Video:
    return Video(
        video_id=video.video_id,
        split=video.split,
        label=video.label,
        load_features=functools.partial(load_release, video.files, layouts, release.num_crops),
        source=str(video.files[0][0]),
        num_frames=counts.get(match_key(video.video_id), num_segments * release.frames_per_segment),
        fps=release.fps or 0.0,
    )


def _provenance_of_files(release: Release, videos: Sequence[ReleasedVideo]) -> dict[str, object]:
    return {
        "num_crops": release.num_crops,
        "fps": release.fps,
        "lists": {split: hash_input(path) for split, path in release.lists.items()},
        "annotations": hash_input(release.annotations),
        "frame_counts": hash_input(release.frame_counts),
        "features": _hash_features(videos, release.features),
    }


def _provenance(info: BagsInfo, truth: Annotations | None) -> dict[str, object]:
    """What decides whether a data set that stands already is the same one, as far as info says."""
    return {
        "source": "release",
        "release": info.encoder,
        "truth": None if truth is None else _describe_truth(truth),
        "taxonomy": info.taxonomy.to_dict(),
        "frames_per_segment": info.frames_per_segment,
        "modalities": [dataclasses.asdict(modality) for modality in info.modalities],
        "source_note": info.source,
    }


def read_frame_counts(path: pathlib.Path | None) -> dict[str, int]:
    """Frame counts of a file by match_key. Raises UserError where it states none."""
    if path is None:
        return {}
    read = read_annotations(path)
    if not read.num_frames or read.frames_from_segments:
        raise UserError(
            f"{path}: states no frame counts; 'name@frames' per line does, or 'name frames'"
        )
    return {match_key(video): count for video, count in read.num_frames.items()}


def read_truth(
    path: pathlib.Path, counts: Mapping[str, int], fps: float | None = None
) -> Annotations:
    """Annotations in frames.

    Args:
        path: what read_annotations reads.
        counts: frames by match_key, for shares of the video; UCF-Crime's test videos are known.
        fps: frames per second, for seconds where the file does not state them.
    """
    truth = read_annotations(path)
    known = official(data_set_of(next(iter(truth.stretches), "")))
    return truth.in_frames({**(known.num_frames if known else {}), **counts}, fps)


def _describe_truth(truth: Annotations) -> dict[str, str]:
    data_sets = {data_set_of(video) for video in truth.spans}
    data_set = data_sets.pop() if len(data_sets) == 1 else ""
    lengths = truth.num_frames if truth.frames_from_segments else None
    return {
        "grammar": truth.grammar,
        "version": name_truth(truth.spans, data_set, lengths),
        "span_sha256": span_hash(truth.spans),
    }


def _length_rule(
    truth: Annotations | None,
    counts: Mapping[str, int],
    segments: Mapping[str, int],
    frames_per_segment: int,
) -> str:
    known = dict(counts)
    if truth is not None and not truth.frames_from_segments:
        known |= {match_key(video): n for video, n in truth.num_frames.items()}
    num_frames = {video: known[match_key(video)] for video in segments if match_key(video) in known}
    fit = fit_rule(num_frames, segments, frames_per_segment=frames_per_segment)
    if not fit.num_compared:
        return "not checked, no frame counts"
    return f"{fit.rule} in {fit.followers} of {fit.num_compared} videos with known frames"


def _hash_features(
    videos: Sequence[ReleasedVideo], features: Mapping[str, pathlib.Path]
) -> dict[str, dict[str, str]]:
    return {
        name: hash_files([path for video in videos for path in video.files[i]], folder)
        for i, (name, folder) in enumerate(features.items())
    }
