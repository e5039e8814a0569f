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
from data_prep.catalogue.video_names import strip_video_path
from data_prep.dataset.videos import Span, Video
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

FRAMES_PER_SEGMENT = 16
DEFAULT_FPS = 30.0
DEFAULT_ENCODER = "all-MiniLM-L6-v2"

# Times are stored as float32, which is exact to 2 ms in a video of nine hours. A shorter overlap is
# rounding: 1.6 s is where segment 3 starts, and float32 puts it 24 ns later.
TIME_RESOLUTION = 2e-3  # seconds

# A long video has many sentences, and few of them overlap with any run of this many segments.
_BLOCK = 512

_UNITS = ("seconds", "frames")  # of interval files


@dataclasses.dataclass(frozen=True)
class TimedText:
    """One .npz file: S sentences of V videos.

    Attributes:
        path: the file.
        embedding: [S, D] float.
        video: [S] int, index of the video that a sentence describes.
        start, end: [S] float64 seconds.
        names, categories, splits: [V] text.
        frames: [V] int, frames of a video.
        fps: [V] float64.
    """

    path: pathlib.Path
    embedding: np.ndarray
    video: np.ndarray
    start: np.ndarray
    end: np.ndarray
    names: np.ndarray
    categories: np.ndarray
    splits: np.ndarray
    frames: np.ndarray
    fps: np.ndarray


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
    texts = [read_npz(path) for path in files]
    widths = {text.path.name: text.embedding.shape[1] for text in texts}
    if len(set(widths.values())) > 1:
        raise UserError(f"{folder}: sentence_embedding differs in width between files: {widths}")
    interval_files = _find_interval_files(folder)
    truth = _read_truth(interval_files, texts)
    info = BagsInfo(
        name=name,
        taxonomy=taxonomy,
        modalities=(Modality("text", texts[0].embedding.shape[1]),),
        frames_per_segment=FRAMES_PER_SEGMENT,
        encoder=encoder or DEFAULT_ENCODER,
        source=source_note or "timed text",
        provenance={
            "source": "timed_text",
            "taxonomy": taxonomy.to_dict(),
            "encoder": encoder or DEFAULT_ENCODER,
            "source_note": source_note,
            "files": {path.name: file_sha256(path) for path in (*files, *interval_files)},
        },
    )
    return info, [video for text in texts for video in _videos(text, truth)]


def _find_interval_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The interval files of a folder, sorted. Raises UserError for a unit that is neither."""
    files = sorted(folder.glob("*_intervals_*.json"))
    for path in files:
        unit = path.stem.rpartition("_")[2]
        if unit not in _UNITS:
            raise UserError(f"{path}: intervals are in {' or '.join(_UNITS)}, not {unit!r}")
    return files


def _read_truth(
    files: Sequence[pathlib.Path], texts: Sequence[TimedText]
) -> dict[str, tuple[Span, ...]]:
    """The spans of every video that the interval files name, by strip_video_path.

    Raises UserError naming file and video for one that is in two files or in no .npz file.
    """
    fps = {
        strip_video_path(name): float(rate)
        for text in texts
        for name, rate in zip(text.names.tolist(), text.fps, strict=True)
    }
    truth: dict[str, tuple[Span, ...]] = {}
    places: dict[str, pathlib.Path] = {}
    for path in files:
        found = read_annotations(path)
        for video in found.video_ids:
            if video in places:
                raise UserError(f"{path}: video {video!r} is in {places[video]} too")
            if video not in fps:
                raise UserError(f"{path}: video {video!r} is in no .npz there; remove it")
            places[video] = path
        for video, spans in dataclasses.replace(found, fps=fps).in_frames().spans.items():
            # The files state no category; one in the video's name need not be of this taxonomy.
            truth[video] = tuple(dataclasses.replace(span, category=None) for span in spans)
    return truth


def _videos(text: TimedText, truth: Mapping[str, tuple[Span, ...]]) -> list[Video]:
    videos = []
    for index, video_id in enumerate(text.names.tolist()):
        chosen = text.video == index
        sentences = text.embedding[chosen], text.start[chosen], text.end[chosen]
        frames, fps = int(text.frames[index]), float(text.fps[index])
        videos.append(
            Video(
                video_id=video_id,
                split=str(text.splits[index]),
                label=str(text.categories[index]),
                load_features=functools.partial(_features, *sentences, frames, fps),
                source=str(text.path),
                num_frames=frames,
                fps=fps,
                spans=truth.get(strip_video_path(video_id)),
            )
        )
    return videos


def _features(
    embedding: np.ndarray, start: np.ndarray, end: np.ndarray, frames: int, fps: float
) -> np.ndarray:
    """One video as [1, T, D] float32, T = frames // 16 and at least 1."""
    features = segment_features(
        embedding,
        start,
        end,
        num_segments=max(1, frames // FRAMES_PER_SEGMENT),
        segment_seconds=FRAMES_PER_SEGMENT / fps,
    )
    return features[None]


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


def read_npz(path: pathlib.Path) -> TimedText:
    """Reads and checks one .npz file. Raises UserError naming file and key."""
    npz = _Arrays(path)
    names = npz.text("video_name")
    num_videos = len(names)
    embedding = npz.numbers("sentence_embedding", ndim=2, kinds="f")
    num_sentences = len(embedding)
    video = npz.numbers("sentence_video", num_sentences, kinds="iu")
    if num_sentences and not 0 <= video.min() <= video.max() < num_videos:
        raise UserError(f"{path}: 'sentence_video' has an index outside 0 .. {num_videos - 1}")
    frames = npz.numbers("video_frames", num_videos, kinds="iu")
    if (frames < 1).any():
        index = int(np.argmax(frames < 1))
        raise UserError(f"{path}: 'video_frames' of {names[index]} is {frames[index]}")
    if np.ndim(npz.arrays.setdefault("video_fps", np.array(DEFAULT_FPS))) == 0:
        npz.arrays["video_fps"] = np.full(num_videos, npz.arrays["video_fps"])
    fps = npz.numbers("video_fps", num_videos)
    if not (fps > 0).all():
        raise UserError(f"{path}: 'video_fps' must be positive")
    npz.arrays.setdefault("video_split", np.full(num_videos, path.stem))
    return TimedText(
        path=path,
        embedding=embedding,
        video=video,
        start=npz.numbers("sentence_start", num_sentences).astype(np.float64),
        end=npz.numbers("sentence_end", num_sentences).astype(np.float64),
        names=names,
        categories=npz.text("video_category", num_videos),
        splits=npz.text("video_split", num_videos),
        frames=frames.astype(np.int64),
        fps=fps.astype(np.float64),
    )


class _Arrays:
    """The arrays of an .npz file, which name file and key if they are not what is expected."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.arrays: dict[str, np.ndarray] = {}
        key = ""
        try:
            # np.load alone leaves a damaged archive open, and gives an array for a renamed .npy.
            with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
                for key in archive.files:
                    self.arrays[key] = archive[key]
                    if not isinstance(self.arrays[key], np.ndarray):
                        raise TypeError("not made by numpy.savez")
        except Exception as error:  # zipfile, zlib and NumPy raise many kinds for a damaged file
            if not key:
                raise UserError(f"{path}: not a readable .npz file ({error})") from error
            raise UserError(
                f"{path}: {key!r} is damaged or not a plain array ({error}); save numbers and "
                "fixed-width text, no objects"
            ) from error

    def _get(self, key: str, size: int | None, ndim: int) -> np.ndarray:
        if key not in self.arrays:
            raise UserError(f"{self.path}: no key {key!r}; the file holds {', '.join(self.arrays)}")
        array = self.arrays[key]
        if array.ndim != ndim or (size is not None and len(array) != size):
            expected = f"{size} entries" if size is not None else f"{ndim} axes"
            raise UserError(f"{self.path}: {key!r} has shape {array.shape}, expected {expected}")
        return array

    def numbers(
        self, key: str, size: int | None = None, *, ndim: int = 1, kinds: str = "fiu"
    ) -> np.ndarray:
        """Finite numbers of these kinds of dtype, `size` of them along the first axis."""
        array = self._get(key, size, ndim)
        if array.dtype.kind not in kinds:
            raise UserError(f"{self.path}: {key!r} is of type {array.dtype}, expected numbers")
        if not np.isfinite(array).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise UserError(
                f"{self.path}: {key!r} holds {array[place]} at {place}; remove the sentence"
            )
        return array

    def text(self, key: str, size: int | None = None) -> np.ndarray:
        """One axis of text."""
        array = self._get(key, size, 1)
        if array.dtype.kind != "U":
            raise UserError(f"{self.path}: {key!r} is of type {array.dtype}, expected text")
        return array
