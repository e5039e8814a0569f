"""Features of one input: of a video by an encoder, of a feature file as they are.

What an encoder has made of a video is kept in the output folder, as extraction keeps it.
"""

import collections
import contextlib
import dataclasses
import functools
import io
import math
import pathlib
import threading
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tqdm

from refinevad_jax.encoders.crops import crops
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.encoders.record import (
    FeatureRecord,
    feature_file,
    is_recorded,
    read_record,
    video_facts,
    visual_settings,
    write_recorded,
)
from refinevad_jax.encoders.segments import (
    ahead,
    batched,
    noting_times,
    read_segments,
    segment_edges,
)
from refinevad_jax.encoders.video import DEFAULT_FPS, Video, import_av
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import CROP_COUNTS, load_file, read_shape
from refinevad_jax.files.half import require_half
from refinevad_jax.files.hashes import file_sha256

_THUMBNAIL_WIDTH = 160
_AHEAD = 8
_AT_ONCE = 2  # videos: one is opened, decoded, written while the other is encoded
# In the record of what detection itself has written, so that no other file is written over.
_MADE_BY = "refinevad_jax.detect"


@dataclasses.dataclass(frozen=True)
class Rate:
    """Frames per second, and where they are from, in words."""

    fps: float
    source: str


FLAG = "--fps"
RECORDED = "the video"  # source of a rate that the video or its record states
ASSUMED = Rate(DEFAULT_FPS, "assumed, as nothing states it; give --fps=RATE if it is another")


@dataclasses.dataclass(frozen=True)
class Features:
    """One input, encoded.

    Attributes:
        path: the video or feature file.
        features: [N, T, D] float32.
        seconds: [T + 1] starts of the segments, and the end of the last one.
        num_frames: of the video; T x 16 for a feature file without a record.
        duration: seconds to the end of its last frame.
        fps: average frames per second.
        fps_source: where they are from, see Rate.
        encoder: name of the encoder, "" if not known.
        warnings: what was wrong with the video.
        video: the video that was encoded, if it is there.
        without_video: if it is not, why.
        thumbnails: JPEG bytes of the first frames of segments, by the segment's index; empty if the
            features were read from a file.
        kept: whether an earlier detection made them.
    """

    path: pathlib.Path
    features: np.ndarray
    seconds: np.ndarray
    num_frames: int
    duration: float
    fps: float
    fps_source: str
    encoder: str
    warnings: list[str]
    video: pathlib.Path | None
    without_video: str = ""
    thumbnails: Mapping[int, bytes] = dataclasses.field(default_factory=dict)
    kept: bool = False


def read_features(
    path: pathlib.Path,
    frames_per_segment: int = FRAMES_PER_SEGMENT,
    rate: Rate = ASSUMED,
    *,
    num_crops: int = 0,
    width: int = 0,
) -> Features:
    """A feature file, (T, D), (T, N, D) or (N, T, D), and what the record beside it says.

    Its rows stand for frames_per_segment frames each, at the recorded rate; `rate` counts if no
    record states one. num_crops, width: of the run, which tell the axes if the shape alone does
    not; 0 if they are not known. Raises UserError if it is not such an array, or the record
    contradicts it.
    """
    array = load_file(path)
    said = [f"{what}: {found}" for what, found in read_shape(path).remarks.items()]
    if not np.isfinite(array).all():
        raise UserError(f"{path}: holds values that are not finite; extract it again")
    record = read_record(path)
    if array.ndim == 2 and array.shape[1] != width == array.shape[0]:
        raise UserError(
            f"{path}: shape {array.shape}, but D of the run is {width}: it looks like (D, T); save "
            "it as (T, D), in NumPy array.T"
        )
    rows, more = _time_first(array, path, num_crops, made_here=record is not None)
    said += more
    if record and record.features_sha256 != file_sha256(path):
        raise UserError(f"{path}: not what its record {record.path} vouches for; extract it again")
    if record and frames_per_segment != FRAMES_PER_SEGMENT:
        raise UserError(
            f"{path}: segments of {FRAMES_PER_SEGMENT} frames, the run was trained on segments of "
            f"{frames_per_segment}; give features like those"
        )
    half = require_half(rows.transpose(1, 0, 2), str(path))  # what the network was trained on
    warnings = [*(record.warnings if record else []), *said, *([half.words] if half.fault else [])]
    if record and record.rate:
        if rate.source == FLAG and not math.isclose(rate.fps, record.rate, rel_tol=1e-3):
            warnings.append(
                f"--fps={rate.fps:g} differs from the recorded rate, {record.rate:.4g} frames per "
                "second, which is taken"
            )
        rate = Rate(record.rate, RECORDED)
    fps = rate.fps
    seconds = np.arange(len(rows) + 1) * frames_per_segment / fps
    if record and record.segment_seconds:
        seconds = np.array(record.segment_seconds)
    num_frames = record.num_frames if record else len(rows) * frames_per_segment
    video, without_video = _recorded_video(path, record)
    return Features(
        path=path,
        features=rows.transpose(1, 0, 2).astype(np.float32),
        seconds=seconds,
        num_frames=num_frames,
        duration=_duration(seconds, num_frames, frames_per_segment, fps),
        fps=fps,
        fps_source=rate.source,
        encoder=record.encoder if record else "",
        warnings=warnings,
        video=video,
        without_video=without_video,
    )


def _time_first(
    array: np.ndarray, path: pathlib.Path, num_crops: int, *, made_here: bool
) -> tuple[np.ndarray, list[str]]:
    """Features as [T, N, D], and what was assumed. Raises UserError if no axis can be the crops.

    made_here: it is (T, N, D), as extraction writes it.
    """
    if array.ndim == 2:
        return array[:, None], []
    if made_here:
        return array, []
    first, second = (array.shape[axis] in CROP_COUNTS for axis in (0, 1))
    if first and second and num_crops in array.shape[:2]:
        first, second = (size == num_crops for size in array.shape[:2])
    if first and not second:
        what = "one video, whose first axis is a batch" if len(array) == 1 else "(crops, T, D)"
        return array.swapaxes(0, 1), [f"shape {array.shape} is read as {what}"]
    if first and second:
        return array, [f"shape {array.shape} is read as (T, crops, D); it may be (crops, T, D)"]
    if array.shape[1] > max(CROP_COUNTS):
        raise UserError(
            f"{path}: shape {array.shape}; neither of its first two axes can be the crops, 1, 5 or "
            "10; save it as (T, D) or (T, crops, D)"
        )
    return array, []


def _recorded_video(
    features: pathlib.Path, record: FeatureRecord | None
) -> tuple[pathlib.Path | None, str]:
    """The video that the record names, beside the features or where the record says, or why not."""
    if record is None:
        return None, "no record beside the features names a video"
    stated = record.values.get("video"), record.values.get("video_path")
    names = dict.fromkeys(name for name in stated if isinstance(name, str) and name)
    if not names:
        return None, "the record beside the features names no video"
    try:
        import_av()  # to show it
    except UserError as error:
        return None, str(error)
    others = []
    for path in (features.parent / name for name in names):
        if has_digest(path, record):
            return path, ""
        if _is_file(path):
            others.append(f"{path} is not the video that was encoded")
    places = " nor ".join(str(features.parent / name) for name in names)
    return None, "; ".join(others) or f"its video is not at {places}"


def has_digest(video: pathlib.Path, record: FeatureRecord) -> bool:
    """Whether a video is there and has the bytes that the record was made of."""
    try:
        return _is_file(video) and file_sha256(video) == record.values.get("video_sha256")
    except OSError:
        return False


def _is_file(path: pathlib.Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def encode_videos(
    videos: Sequence[tuple[pathlib.Path, pathlib.Path]],
    encoder: VisualEncoder,
    *,
    num_crops: int,
    batch_size: int,
) -> Generator[Features | UserError]:
    """What encode_video gives for each video, in their order, or the UserError that it raises.

    videos: each with the file in which its features are kept. Threads work a little ahead of the
    caller, and a bar shows how many segments are done. One thread at a time calls the encoder. A
    caller that closes the generator early waits for one such call.
    """
    encoding, stopped = threading.Lock(), threading.Event()
    waiting = collections.deque[Future[Features]]()

    def encode(segments: np.ndarray) -> np.ndarray:
        with encoding:
            if stopped.is_set():
                raise CancelledError
            return encoder.encode(segments)

    def progress(count: int) -> None:
        with bar.get_lock():
            bar.update(count)

    features_of = functools.partial(
        encode_video,
        encoder=dataclasses.replace(encoder, encode=encode),
        num_crops=num_crops,
        batch_size=batch_size,
        progress=progress,
    )
    title = videos[0][0].name if len(videos) == 1 else f"{len(videos)} videos"
    with tqdm.tqdm(desc=title, unit="segment", leave=False) as bar:
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            for path, keep in videos:
                waiting.append(pool.submit(features_of, path, keep=keep))
                if len(waiting) > 2 * _AT_ONCE:
                    yield _outcome(waiting.popleft())
            while waiting:
                yield _outcome(waiting.popleft())
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def _outcome(of_video: Future[Features]) -> Features | UserError:
    try:
        return of_video.result()
    except UserError as error:
        return error


def encode_video(
    path: pathlib.Path,
    encoder: VisualEncoder,
    *,
    num_crops: int,
    batch_size: int,
    keep: pathlib.Path | None = None,
    progress: Callable[[int], object] = lambda count: None,
) -> Features:
    """Decodes and encodes a video, both at the same time.

    keep: the .npy file in which an earlier call has kept the features, or else this one does, with
    a record as extraction writes it. progress: is told how many more segments are done. Memory
    holds features and small pictures, not the frames.
    Raises UserError if the video cannot be read or is shorter than one segment, or a file is at
    `keep` that detection did not write; OSError if it cannot be written.
    """
    settings = visual_settings(encoder, num_crops)
    if keep and is_recorded(keep, path, settings):
        return _read_kept(keep, path)
    if keep and (keep.exists() or keep.with_suffix(".json").exists()):
        record = read_record(keep)
        if record is None or record.values.get("made_by") != _MADE_BY:
            raise UserError(
                f"{keep}: would be written over, but detection did not make it; choose another "
                "--output"
            )
    rows: list[np.ndarray] = []
    times: list[float] = []
    thumbnails: list[bytes] = []
    with (
        Video(path) as video,
        # Ends its thread before the video is closed, whatever happens here.
        contextlib.closing(
            ahead([read_segments(noting_times(video, times), num_crops)], _AHEAD)
        ) as segments,
    ):
        for some in batched(segments, batch_size):
            rows.append(encoder.encode_segments([segment.crops for segment in some], batch_size))
            thumbnails += [_thumbnail(segment.crops[0, 0]) for segment in some]
            progress(len(some))
    if not rows:
        raise UserError(
            f"{path}: {video.num_frames} frames, fewer than the {FRAMES_PER_SEGMENT} of a segment"
        )
    features = np.concatenate(rows)
    if keep:
        content, shape = feature_file(features[:, 0] if num_crops == 1 else features)
        facts: dict[str, Any] = settings | video_facts(path, keep, times, video.fps)
        facts |= {"warnings": video.warnings, "made_by": _MADE_BY} | shape
        write_recorded(keep, content, facts, ("av", encoder.library, "numpy"))
    fps = video.fps or DEFAULT_FPS
    seconds = segment_edges(times, video.fps)
    return Features(
        path=path,
        features=features.transpose(1, 0, 2),
        seconds=seconds,
        num_frames=video.num_frames,
        duration=_duration(seconds, video.num_frames, FRAMES_PER_SEGMENT, fps),
        fps=fps,
        fps_source=RECORDED,
        encoder=encoder.name,
        warnings=video.warnings,
        video=path,
        thumbnails=dict(enumerate(thumbnails)),
    )


def _read_kept(keep: pathlib.Path, video: pathlib.Path) -> Features:
    """The features of a video as an earlier call has kept them."""
    found = read_features(keep)
    record = read_record(keep)
    fps = (record and record.fps) or DEFAULT_FPS  # as the video states it
    return dataclasses.replace(
        found,
        path=video,
        duration=_duration(found.seconds, found.num_frames, FRAMES_PER_SEGMENT, fps),
        fps=fps,
        fps_source=RECORDED,
        video=video,
        without_video="",
        kept=True,
    )


def _duration(seconds: np.ndarray, num_frames: int, frames_per_segment: int, fps: float) -> float:
    """Seconds to the end of the last frame; the frames that fill no segment take 1 / fps each."""
    rest = num_frames - (len(seconds) - 1) * frames_per_segment
    return float(seconds[-1]) + max(0, rest) / fps


def read_thumbnails(video: pathlib.Path, wanted: Collection[int]) -> dict[int, bytes]:
    """JPEG bytes of the first frames of some segments of a video, as encode_video makes them."""
    last = max(wanted, default=-1) * FRAMES_PER_SEGMENT
    found: dict[int, bytes] = {}
    with Video(video) as frames:
        for i, frame in enumerate(frames):
            segment, place = divmod(i, FRAMES_PER_SEGMENT)
            if not place and segment in wanted:
                found[segment] = _thumbnail(crops(frame.pixels)[0])
            if i >= last:
                break
    return found


def _thumbnail(pixels: np.ndarray) -> bytes:
    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((_THUMBNAIL_WIDTH, _THUMBNAIL_WIDTH))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=70)
    return buffer.getvalue()
