"""Inputs of detection, made into features: videos by an encoder, feature files as they are.

What an encoder has made of a video is kept in the output folder, as extraction keeps it.
"""

import dataclasses
import io
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tqdm

from refinevad_jax.encoders.crops import crops
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, NAMES, VisualEncoder
from refinevad_jax.encoders.loading import VISUAL
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
    SUFFIXES,
    Video,
    import_av,
    shown,
)
from refinevad_jax.errors import UserError
from refinevad_jax.files.arrays import load_array
from refinevad_jax.files.hashes import file_sha256
from refinevad_jax.runtime.command_line import one_line

ENCODERS = {NAMES[name]: name for name in VISUAL}
_THUMBNAIL_WIDTH = 160
_AHEAD = 8
_MOST_NAMED = 10  # of the files of a folder that are left out
# In the record of what detection itself has written, so that no other file is written over.
_MADE_BY = "refinevad_jax.detect"


@dataclasses.dataclass(frozen=True)
class Features:
    """One input, encoded.

    Attributes:
        path: the video or feature file.
        features: [N, T, D] float32.
        seconds: [T + 1] starts of the segments, and the end of the last one.
        num_frames: of the video; T x 16 for a feature file without a record.
        duration: seconds to the end of its last frame.
        fps: average frames per second; 25 if nothing states them.
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
    to `output` below it. Raises UserError if nothing is there or two inputs would have one name.
    """
    found: dict[str, pathlib.Path] = {}
    for text in inputs:
        path = pathlib.Path(text)
        if path.is_dir():
            inside = _in_folder(text, path, output)
        elif path.is_file():
            inside = {path.stem: path}
        elif "://" in text:
            raise UserError(f"--input={shown(text)}: an address is a live source; add --stream")
        else:
            raise UserError(f"--input={text}: no such file or folder; check the path")
        for name, one in inside.items():
            if name in found:
                raise UserError(f"{found[name]} and {one} would both become {name}; rename one")
            found[name] = one
    return found


def require_text(path: pathlib.Path) -> None:
    """Raises UserError if the path is not text, which pages could not name."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path}: its name is not in UTF-8; rename it") from error


def is_video(path: pathlib.Path) -> bool:
    """Whether an input is taken for a video."""
    return path.suffix.lower() != ".npy"


def _in_folder(text: str, folder: pathlib.Path, output: pathlib.Path) -> dict[str, pathlib.Path]:
    """The inputs of a folder by name; prints what is left out."""
    written = output.resolve()
    within = written not in (folder.resolve(), *folder.resolve().parents)
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not (within and written in path.resolve().parents)
    ]
    videos = [path for path in files if path.suffix.lower() in SUFFIXES]
    features = [path for path in files if not is_video(path)]
    found: dict[str, pathlib.Path] = {}
    left_out = []
    for path in [*videos, *features]:
        name = str(path.relative_to(folder).with_suffix(""))
        video = None if is_video(path) else _video_among(path, name, found, videos)
        if video:
            left_out.append(f"{path.relative_to(folder)} (features of {video.name})")
        elif name in found:
            raise UserError(f"{found[name]} and {path} would both become {name}; rename one")
        else:
            found[name] = path
    known = {*videos, *features, *(path.with_suffix(".json") for path in features)}
    left_out += [
        f"{path.relative_to(folder)} (neither video nor .npy)"
        for path in files
        if path not in known
    ]
    if not found:
        raise UserError(
            f"--input={text}: no video and no .npy of features in it; videos are "
            f"{', '.join(SUFFIXES)}"
        )
    if left_out:
        more = len(left_out) - _MOST_NAMED
        named = left_out[:_MOST_NAMED] + ([f"{more} more"] if more > 0 else [])
        print(one_line(f"--input={text}: left out {', '.join(named)}"))
    return found


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


def read_features(path: pathlib.Path, frames_per_segment: int = FRAMES_PER_SEGMENT) -> Features:
    """A feature file, (T, D) or (T, N, D), and what the record beside it says.

    Its rows stand for frames_per_segment frames each. Raises UserError if it is not such an array,
    or the record contradicts it.
    """
    array = load_array(path)
    if array.dtype.kind != "f" or array.ndim not in (2, 3):
        raise UserError(f"{path}: shape {array.shape}, expected (T, D) or (T, crops, D) of numbers")
    if not array.size or not np.isfinite(array).all():
        raise UserError(f"{path}: is empty or holds values that are not finite")
    if np.abs(array).max() > np.finfo(np.float16).max:  # what features are kept in
        raise UserError(
            f"{path}: value {np.abs(array).max():g} does not fit float16; scale the features"
        )
    record = read_record(path)
    if record and record.features_sha256 != file_sha256(path):
        raise UserError(f"{path}: not what its record {record.path} vouches for; extract it again")
    if record and frames_per_segment != FRAMES_PER_SEGMENT:
        raise UserError(
            f"{path}: segments of {FRAMES_PER_SEGMENT} frames, the run was trained on segments of "
            f"{frames_per_segment}; give features like those"
        )
    fps = (record and record.rate) or DEFAULT_FPS
    seconds = np.arange(len(array) + 1) * frames_per_segment / fps
    if record and record.segment_seconds:
        seconds = np.array(record.segment_seconds)
    rows = array[:, None] if array.ndim == 2 else array
    if rows.shape[1] > 10:
        raise UserError(f"{path}: {rows.shape[1]} crops; save it as (T, crops, D), at most 10")
    num_frames = record.num_frames if record else len(array) * frames_per_segment
    video, without_video = _recorded_video(path, record)
    return Features(
        path=path,
        features=rows.transpose(1, 0, 2).astype(np.float32),
        seconds=seconds,
        num_frames=num_frames,
        duration=_duration(seconds, num_frames, frames_per_segment, fps),
        fps=fps,
        encoder=record.encoder if record else "",
        warnings=_warnings(record),
        video=video,
        without_video=without_video,
    )


def _warnings(record: FeatureRecord | None) -> list[str]:
    stated = record.values.get("warnings") if record else None
    return list(map(str, stated)) if isinstance(stated, list) else []


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
