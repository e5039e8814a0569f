"""Inputs of detection, made into features: videos by an encoder, feature files as they are.

What an encoder has made of a video is kept in the output folder, as extraction keeps it.
"""

import collections
import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tqdm

from refinevad_jax.encoders.crops import crops
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, NAMES, VisualEncoder
from refinevad_jax.encoders.loading import VISUAL
from refinevad_jax.encoders.pipe import is_pipe
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
from refinevad_jax.encoders.video import (
    DEFAULT_FPS,
    Video,
    import_av,
)
from refinevad_jax.encoders.video_files import find_videos, left_out_note, without_suffix
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import (
    CONTAINERS,
    CROP_COUNTS,
    TEXTS,
    UNSAFE,
    feature_paths,
    file_of,
    load_file,
    read_shape,
)
from refinevad_jax.files.feature_files import SUFFIXES as FEATURES
from refinevad_jax.files.half import require_half
from refinevad_jax.files.hashes import file_sha256
from refinevad_jax.runtime.addresses import is_address, shown
from refinevad_jax.runtime.command_line import one_line

ENCODERS = {NAMES[name]: name for name in VISUAL}
_THUMBNAIL_WIDTH = 160
_AHEAD = 8
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


def find_inputs(inputs: Sequence[str], output: pathlib.Path) -> dict[str, pathlib.Path]:
    """Every input by the name its outputs will have.

    A folder stands for the videos below it and for those .npy files of features that belong to none
    of them. What else lies there is named on the screen, except what an earlier detection wrote
    to `output` below it. Inputs of one name are told apart by their folders. Raises UserError if
    nothing is there or two inputs would have one name.
    """
    named: list[tuple[str, pathlib.Path]] = []
    for text in inputs:
        path = pathlib.Path(text)
        if path.is_dir():
            named += _in_folder(text, path, output).items()
        elif path.suffix.lower() in CONTAINERS and path.is_file():
            named += [(_name_of(one, path.parent), one) for one in feature_paths(path)]
        elif file_of(path).is_file():
            named.append((_name_of(path, path.parent), path))
        elif is_address(text) or is_pipe(text):
            what = "an address" if is_address(text) else "a pipe"
            raise UserError(f"--input={shown(text)}: {what} is a live source; add --stream")
        else:
            raise UserError(f"--input={shown(text)}: no such file or folder; check the path")
    count = collections.Counter(name for name, _ in named)
    places = {path: path.parent.resolve() for name, path in named if count[name] > 1}
    common = os.path.commonpath(places.values()) if places else ""
    found: dict[str, pathlib.Path] = {}
    for name, path in named:
        if path in places:  # told apart by their folders
            name = _name_of(places[path] / path.name, pathlib.Path(common))
        if name in found and found[name].resolve() == path.resolve():
            raise UserError(f"--input={path} is given twice; leave one out")
        if name in found:
            raise UserError(f"{found[name]} and {path} would both become {name}; rename one")
        found[name] = path
    return found


def require_text(path: pathlib.Path) -> None:
    """Raises UserError if the path is not text, which pages could not name."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path}: its name is not in UTF-8; rename it") from error


def is_video(path: pathlib.Path) -> bool:
    """Whether an input is taken for a video."""
    return file_of(path).suffix.lower() not in (*FEATURES, *UNSAFE)


def _in_folder(text: str, folder: pathlib.Path, output: pathlib.Path) -> dict[str, pathlib.Path]:
    """The inputs of a folder by name; prints what is left out."""
    written = output.resolve()
    within = written not in (folder.resolve(), *folder.resolve().parents)

    def counts(path: pathlib.Path) -> bool:
        return not (within and written in path.resolve().parents)

    searched = find_videos(folder)
    videos = [path for path in searched.videos if counts(path)]
    others = [path for path in searched.others if counts(path)]
    holding = [path for path in others if path.suffix.lower() in (".npy", *CONTAINERS)]
    if not (videos or holding):
        holding = [path for path in others if path.suffix.lower() in (*TEXTS, *UNSAFE)]
    features = [one for path in holding for one in feature_paths(path)]
    found: dict[str, pathlib.Path] = {}
    left_out: dict[pathlib.Path, str] = {}
    for path in [*videos, *features]:
        name = _name_of(path, folder)
        video = None if is_video(path) else _video_among(path, name, found, videos)
        if video:
            left_out[path] = f"features of {video.name}"
        elif name in found:
            raise UserError(f"{found[name]} and {path} would both become {name}; rename one")
        else:
            found[name] = path
    known = {*holding, *(path.with_suffix(".json") for path in features)}
    left_out |= {
        path: why for path, why in searched.left_out.items() if path not in known and counts(path)
    }
    if not found:
        more = f"; {left_out_note(left_out, folder)}" if left_out else ""
        raise UserError(f"--input={text}: no video and no file of features in it{more}")
    if left_out:
        print(one_line(f"--input={text}: {left_out_note(left_out, folder)}"))
    return found


def _name_of(path: pathlib.Path, folder: pathlib.Path) -> str:
    """What outputs are called after an input: its path below a folder without suffixes of files."""
    alone = not is_video(path) and file_of(path) == path
    return without_suffix(str((path.with_suffix("") if alone else path).relative_to(folder)))


def _video_among(
    features: pathlib.Path,
    name: str,
    found: Mapping[str, pathlib.Path],
    videos: Sequence[pathlib.Path],
) -> pathlib.Path | None:
    """The video that features belong to: by the same name, or because their record has its digest.

    found: inputs by name, the videos among them.
    """
    if name in found and is_video(found[name]):
        return found[name]
    try:
        record = read_record(features)
    except UserError:  # said when the features are read
        return None
    if not record:
        return None
    for video in videos:
        if video.name == record.values.get("video") and _has_digest(video, record):
            return video
    return None


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
        if _has_digest(path, record):
            return path, ""
        if _is_file(path):
            others.append(f"{path} is not the video that was encoded")
    places = " nor ".join(str(features.parent / name) for name in names)
    return None, "; ".join(others) or f"its video is not at {places}"


def _has_digest(video: pathlib.Path, record: FeatureRecord) -> bool:
    try:
        return _is_file(video) and file_sha256(video) == record.values.get("video_sha256")
    except OSError:
        return False


def _is_file(path: pathlib.Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def encode_video(
    path: pathlib.Path,
    encoder: VisualEncoder,
    *,
    num_crops: int,
    batch_size: int,
    keep: pathlib.Path | None = None,
) -> Features:
    """Decodes and encodes a video, at the same time, and shows how many segments are done.

    keep: the .npy file in which an earlier call has kept the features, or else this one does, with
    a record as extraction writes it. Memory holds features and small pictures, not the frames.
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
    with Video(path) as video, tqdm.tqdm(desc=path.name, unit="segment", leave=False) as bar:
        segments = ahead([read_segments(noting_times(video, times), num_crops)], _AHEAD)
        for some in batched(segments, batch_size):
            rows.append(encoder.encode_segments([segment.crops for segment in some], batch_size))
            thumbnails += [_thumbnail(segment.crops[0, 0]) for segment in some]
            bar.update(len(some))
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
