"""The data set that lists, feature files and annotations make together."""

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from data_prep.annotations import Annotations, read_annotations
from data_prep.catalogue.video_names import match_key
from data_prep.dataset.videos import Video, read_label
from data_prep.sources.feature_arrays import (
    choose_layout,
    num_segments,
    parse_modalities,
    read_shapes,
)
from data_prep.sources.file_hashes import hash_files, hash_input
from data_prep.sources.list_files import ListedVideo, read_lists
from data_prep.sources.released_features import load_crops
from refinevad_jax.data.bags import BagsInfo
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class FeatureLists:
    """What to read, and how.

    Attributes:
        lists: {split: CSV file}.
        root: the folder that the lists' paths are in.
        name: the data set's name.
        taxonomy: reads the labels.
        annotations: a file or folder that data_prep.annotations reads; None: no truth.
        modalities: `name=width` texts; none: one modality "visual".
        layout: one of feature_arrays.LAYOUTS.
        num_crops: crops to keep of each video; 0: all.
        frames_per_segment: frames that one row of a feature file covers.
        fps: frames per second where the annotations do not state them.
        encoder: what made the features, in words.
        source_note: where the data came from, in words.
    """

    lists: Mapping[str, pathlib.Path]
    root: pathlib.Path
    name: str
    taxonomy: Taxonomy
    annotations: pathlib.Path | None = None
    modalities: Sequence[str] = ()
    layout: str = "auto"
    num_crops: int = 0
    frames_per_segment: int = 16
    fps: float | None = None
    encoder: str = ""
    source_note: str = ""


def read_feature_lists(request: FeatureLists) -> tuple[BagsInfo, list[Video]]:
    """Reads lists, file headers and annotations: metadata and videos, ready for write_dataset.

    Warns on stderr of what is odd but usable. Raises UserError naming file and cure otherwise.
    """
    listed = read_lists(request.lists, request.root)
    shapes = read_shapes([video.files for video in listed])
    request = dataclasses.replace(request, layout=choose_layout(request.layout, shapes))
    files = ", ".join(path.name for path in request.lists.values())
    info = BagsInfo(
        name=request.name,
        taxonomy=request.taxonomy,
        modalities=parse_modalities(request.modalities, shapes),
        frames_per_segment=request.frames_per_segment,
        encoder=request.encoder or "unknown",
        source=request.source_note or f"feature lists {files}",
    )
    info = dataclasses.replace(info, provenance=_provenance(request, info, list(shapes)))
    videos = [_video(video, shapes[video.files[0]], request) for video in listed]
    if request.annotations is not None:
        found = read_annotations(request.annotations)
        for note in found.notes:
            print(f"note: {request.annotations}: {note}", file=sys.stderr)
        videos = add_truth(videos, found.in_frames(fps=request.fps), info)
    return info, videos


def _video(listed: ListedVideo, shape: tuple[int, ...], request: FeatureLists) -> Video:
    return Video(
        video_id=listed.video_id,
        split=listed.split,
        label=listed.label,
        load_features=functools.partial(
            load_crops, listed.files, request.layout, request.num_crops
        ),
        source=str(listed.files[0]),
        num_frames=num_segments(shape, request.layout) * request.frames_per_segment,
        fps=request.fps or 0.0,
    )


def _provenance(
    request: FeatureLists, info: BagsInfo, files: Sequence[pathlib.Path]
) -> dict[str, Any]:
    return {
        "source": "features",
        **{key: value for key, value in info.to_dict().items() if key in _COMPARED},
        "layout": request.layout,
        "num_crops": request.num_crops,
        "fps": request.fps,
        "lists": {split: hash_input(path) for split, path in request.lists.items()},
        "annotations": hash_input(request.annotations),
        "features": hash_files(files, request.root),
    }


# What of the metadata decides whether a data set that stands already is the same one.
_COMPARED = ("taxonomy", "modalities", "frames_per_segment", "encoder", "source")


def add_truth(videos: Sequence[Video], annotations: Annotations, info: BagsInfo) -> list[Video]:
    """Gives the videos their spans, and frame counts and rates where the annotations state them.

    The truth of a video is known where the annotations name it, and for a normal video also where
    they name any other of its split: some files list anomalous videos only. Raises UserError where
    not one video is annotated.
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
    # Of some other feature release's segments nothing follows for these files.
    counts = {} if annotations.frames_from_segments else _by_key(annotations.num_frames)
    rates = _by_key(annotations.fps)
    complete = []
    for video in videos:
        normal = not read_label(video, info.taxonomy).any()
        spans = annotations.spans_of(
            video.video_id, normal=normal and video.split in annotated_splits
        )
        complete.append(
            dataclasses.replace(
                video,
                spans=spans,
                num_frames=counts.get(match_key(video.video_id), video.num_frames),
                fps=rates.get(match_key(video.video_id), video.fps),
            )
        )
    _warn_of_unlisted(videos, annotations)
    _warn_of_contradictions(videos, complete, info)
    return complete


_Number = TypeVar("_Number", int, float)


def _by_key(table: Mapping[str, _Number]) -> dict[str, _Number]:
    return {match_key(video_id): value for video_id, value in table.items()}


def _warn_of_unlisted(videos: Sequence[Video], annotations: Annotations) -> None:
    known = {match_key(video.video_id) for video in videos}
    unlisted = [video_id for video_id in annotations.spans if match_key(video_id) not in known]
    _warn(unlisted, "annotated, but in no list")


def _warn_of_contradictions(
    videos: Sequence[Video], complete: Sequence[Video], info: BagsInfo
) -> None:
    lengths, spanless, spanned = [], [], []
    for before, after in zip(videos, complete, strict=True):
        anomalous = read_label(after, info.taxonomy).any()
        # Releases count floor(n/16), ceil(n/16) or one less; two segments are no longer that.
        difference = abs((before.num_frames or 0) - (after.num_frames or 0))
        if difference >= 2 * info.frames_per_segment:
            lengths.append(after.video_id)
        if after.spans is not None and anomalous and not after.spans:
            spanless.append(after.video_id)
        if after.spans and not anomalous:
            spanned.append(after.video_id)
    _warn(lengths, "features and annotated frames differ by two segments or more")
    _warn(spanless, "labelled anomalous, annotated without an anomalous span")
    _warn(spanned, "labelled normal, annotated with an anomalous span")


def _warn(video_ids: Sequence[str], problem: str) -> None:
    if video_ids:
        count = f"{len(video_ids)} in all"
        print(f"warning: {problem}: {_names(video_ids)} ({count})", file=sys.stderr)


def _names(video_ids: Sequence[str]) -> str:
    return ", ".join([*video_ids[:3], *(["..."] if len(video_ids) > 3 else [])])
