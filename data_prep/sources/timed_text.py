"""Timed text: sentences with start and end, embedded, turned into one feature per segment.

A folder holds `*.npz` files with the embedded sentences and, for the splits whose truth is known,
`<split>_intervals_seconds.json` or `<split>_intervals_frames.json`. docs/data_format.md has every
key.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from data_prep.annotations import read_annotations
from data_prep.catalogue.video_names import match_key, strip_video_path
from data_prep.dataset.videos import Video
from data_prep.sources.recorded import full_name
from data_prep.sources.span_fit import extents_of
from data_prep.sources.truth import without_lost_truth
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.encoders.encoder import NAMES
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.files.hashes import file_sha256
from refinevad_jax.metrics.truth import FRAMES_PER_SEGMENT

DEFAULT_FPS = 30.0
DEFAULT_ENCODER = NAMES["minilm"]

# Times are stored as float32, which is exact to 2 ms in a video of nine hours. A shorter overlap is
# rounding: 1.6 s is where segment 3 starts, and float32 puts it 24 ns later.
TIME_RESOLUTION = 2e-3  # seconds

# A long video has many sentences, and few of them overlap with any run of this many segments.
_BLOCK = 512


def read_timed_text(
    folder: pathlib.Path,
    *,
    name: str,
    taxonomy: Taxonomy,
    encoder: str = "",
    source_note: str = "",
) -> tuple[BagsInfo, list[Video]]:
    """Reads a folder of timed text: metadata and videos, ready for write_dataset.

    Raises UserError naming file and key if something is missing or damaged.
    """
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise UserError(f"--input={folder}: no .npz file there; see docs/data_format.md")
    read = [read_npz(path) for path in files]
    widths = {path.name: width for path, (width, _) in zip(files, read, strict=True)}
    if len(set(widths.values())) > 1:
        raise UserError(f"{folder}: sentence_embedding differs in width between files: {widths}")
    videos = [video for _, found in read for video in found]
    interval_files = sorted(folder.glob("*_intervals_*.json"))
    encoder = full_name(encoder) or DEFAULT_ENCODER
    info = BagsInfo(
        name=name,
        taxonomy=taxonomy,
        modalities=(Modality("text", read[0][0]),),
        frames_per_segment=FRAMES_PER_SEGMENT,
        encoder=encoder,
        source=source_note or "timed text",
        provenance={
            "source": "timed_text",
            "taxonomy": taxonomy.to_dict(),
            "encoder": encoder,
            "source_note": source_note,
            "files": {path.name: file_sha256(path) for path in (*files, *interval_files)},
        },
    )
    by_name = {strip_video_path(video.video_id): video for video in videos}
    annotated = _with_truth(interval_files, by_name, info)
    return info, [annotated.get(strip_video_path(video.video_id), video) for video in videos]


def _with_truth(
    files: Sequence[pathlib.Path], videos: Mapping[str, Video], info: BagsInfo
) -> dict[str, Video]:
    """Every video that the interval files name with its spans, by strip_video_path as `videos`.

    Raises UserError naming the file for a unit that is neither seconds nor frames, for a video that
    is in two files or in no .npz file, and if most spans lie outside their videos.
    """
    complete: dict[str, Video] = {}
    places: dict[str, pathlib.Path] = {}
    rates = {name: video.fps for name, video in videos.items()}
    for path in files:
        unit = path.stem.rpartition("_")[2]
        if unit not in ("seconds", "frames"):
            raise UserError(f"{path}: intervals are in seconds or frames, not {unit!r}")
        found = read_annotations(path).called({video: video for video in rates})
        for video in found.video_ids:
            if video in places:
                raise UserError(f"{path}: video {video!r} is in {places[video]} too")
            if video not in videos:
                raise UserError(f"{path}: video {video!r} is in no .npz there; remove it")
            places[video] = path
        truth = dataclasses.replace(found, fps=rates).in_frames()
        # The files state no category; one in the video's name need not be of this taxonomy.
        of_file = [
            dataclasses.replace(
                videos[name],
                spans=tuple(dataclasses.replace(span, category=None) for span in spans),
            )
            for name, spans in truth.spans.items()
        ]
        counts = {match_key(video.video_id): video.num_frames or 0 for video in of_file}
        segments = {key: _num_segments(frames) for key, frames in counts.items()}
        extents = extents_of(
            [video.video_id for video in of_file], counts, segments, info.frames_per_segment
        )
        fitting = without_lost_truth(of_file, truth, info, extents)
        complete |= dict(zip(truth.spans, fitting, strict=True))
    return complete


def read_npz(path: pathlib.Path) -> tuple[int, list[Video]]:
    """D and the videos of one .npz file, without truth. Raises UserError naming file and key."""
    arrays = load_packed(path)
    get = functools.partial(_checked, arrays, path)
    names = get("video_name", "U")
    embedding = get("sentence_embedding", "f", ndim=2)
    described = get("sentence_video", "iu", len(embedding))
    if len(described) and not 0 <= described.min() <= described.max() < len(names):
        raise UserError(f"{path}: 'sentence_video' has an index outside 0 .. {len(names) - 1}")
    start, end = (get(key, "fiu", len(embedding)) for key in ("sentence_start", "sentence_end"))
    frames = get("video_frames", "iu", len(names))
    if (frames < 1).any():
        index = int(np.argmax(frames < 1))
        raise UserError(f"{path}: 'video_frames' of {names[index]} is {frames[index]}")
    stated = arrays.get("video_fps", np.array(DEFAULT_FPS))
    arrays["video_fps"] = np.full(len(names), stated) if stated.ndim == 0 else stated
    fps = get("video_fps", "fiu", len(names))
    if not (fps > 0).all():
        raise UserError(f"{path}: 'video_fps' must be positive")
    arrays.setdefault("video_split", np.full(len(names), path.stem))
    splits, labels = (get(key, "U", len(names)) for key in ("video_split", "video_category"))
    videos = []
    for i, name in enumerate(names.tolist()):
        own = described == i
        sentences = embedding[own], start[own], end[own]
        num_frames, rate = int(frames[i]), float(fps[i])
        videos.append(
            Video(
                video_id=name,
                split=str(splits[i]),
                label=str(labels[i]),
                load_features=functools.partial(_features, *sentences, num_frames, rate),
                source=str(path),
                num_frames=num_frames,
                fps=rate,
            )
        )
    return embedding.shape[1], videos


def _checked(
    arrays: Mapping[str, np.ndarray],
    path: pathlib.Path,
    key: str,
    kinds: str,
    size: int | None = None,
    *,
    ndim: int = 1,
) -> np.ndarray:
    """The array of a key. Raises UserError naming file and key if it is not what is expected.

    kinds: the kinds of dtype that it may have, "U" for text; numbers are to be finite. size: of the
    first axis, None for any.
    """
    if key not in arrays:
        raise UserError(f"{path}: no key {key!r}; the file holds {', '.join(arrays)}")
    array = arrays[key]
    if array.ndim != ndim or (size is not None and len(array) != size):
        expected = f"{size} entries" if size is not None else f"{ndim} axes"
        raise UserError(f"{path}: {key!r} has shape {array.shape}, expected {expected}")
    if array.dtype.kind not in kinds:
        expected = "text" if kinds == "U" else "numbers"
        raise UserError(f"{path}: {key!r} is of type {array.dtype}, expected {expected}")
    if kinds != "U" and not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise UserError(f"{path}: {key!r} holds {array[place]} at {place}; remove the sentence")
    return array


def _features(
    embedding: np.ndarray, start: np.ndarray, end: np.ndarray, frames: int, fps: float
) -> np.ndarray:
    """One video as [1, T, D] float32, T = frames // 16 and at least 1."""
    features = segment_features(
        embedding,
        start,
        end,
        num_segments=_num_segments(frames),
        segment_seconds=FRAMES_PER_SEGMENT / fps,
    )
    return features[None]


def _num_segments(frames: int) -> int:
    return max(1, frames // FRAMES_PER_SEGMENT)


def segment_features(
    embedding: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    *,
    num_segments: int,
    segment_seconds: float,
) -> np.ndarray:
    """Overlap-weighted mean of the sentences that cover each segment.

    embedding: [S, D]; start, end: [S] seconds. Segment t covers [t, t + 1) x segment_seconds.
    A sentence is clipped to the video; one without length, or that ends before it starts, covers
    the segment in which it starts. Returns [T, D] float32, zero where no sentence is.
    """
    embedding = np.asarray(embedding, np.float32)
    start = np.asarray(start, np.float64)
    end = np.asarray(end, np.float64)
    instant = end - start <= TIME_RESOLUTION
    until = np.where(instant, start, end)
    features = np.zeros((num_segments, embedding.shape[1]), np.float32)
    for first in range(0, num_segments, _BLOCK):
        last = min(first + _BLOCK, num_segments)
        edges = np.arange(first, last + 1)[:, None] * segment_seconds
        left, right = edges[:-1], edges[1:]
        near = np.flatnonzero((until >= left[0]) & (start < right[-1]))
        overlap = np.minimum(end[near], right) - np.maximum(start[near], left)
        overlap[overlap <= TIME_RESOLUTION] = 0.0
        inside = (start[near] >= left) & (start[near] < right)
        overlap += segment_seconds * (instant[near] & inside)
        # Sums over the few pairs that overlap, unlike a matrix product, do not depend on the linear
        # algebra library and its threads.
        segment, sentence = np.nonzero(overlap)
        if len(segment):
            weight = overlap[segment, sentence] / overlap.sum(axis=1)[segment]
            pairs = weight[:, None].astype(np.float32) * embedding[near[sentence]]
            covered, begin = np.unique(segment, return_index=True)
            features[first + covered] = np.add.reduceat(pairs, begin)
    return features
