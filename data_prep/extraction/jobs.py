"""Feature files and the records that vouch for them: planned, recognised as done, written whole."""

import dataclasses
import importlib.metadata
import io
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax import __version__
from refinevad_jax.encoders.crops import PREPROCESSING
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.visual import FRAMES_PER_SEGMENT, VisualEncoder, file_sha256
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import write_bytes

LIBRARIES = ("av", "jax", "numpy")  # of feature files


@dataclasses.dataclass(frozen=True)
class Job:
    """A video and the feature file it becomes; `name` is its path without suffix, for messages."""

    video: pathlib.Path
    target: pathlib.Path
    name: str

    @property
    def record(self) -> pathlib.Path:
        """The provenance beside the feature file."""
        return self.target.with_suffix(".json")


def plan_jobs(
    videos: Sequence[tuple[pathlib.Path, str]], output: pathlib.Path, suffix: str = ".npy"
) -> list[Job]:
    """One job a video. Raises UserError where two of them would write the same file."""
    jobs: dict[str, Job] = {}
    for video, relative in videos:
        name = str(pathlib.PurePosixPath(relative).with_suffix(""))
        if name in jobs:
            raise UserError(
                f"{jobs[name].video} and {video} would both become {name}{suffix}; rename one"
            )
        jobs[name] = Job(video, output / f"{name}{suffix}", name)
    return list(jobs.values())


def settings(encoder: VisualEncoder, num_crops: int) -> dict[str, Any]:
    """What decides the values of a feature file besides the video; part of its record."""
    return {
        "encoder": encoder.name,
        "weights_sha256": encoder.weights_sha256,
        "num_crops": num_crops,
        "frames_per_segment": FRAMES_PER_SEGMENT,
        "preprocessing": PREPROCESSING,
    }


def is_done(job: Job, wanted: dict[str, Any]) -> bool:
    """Whether the feature file is there, whole, of this video's bytes and these settings."""
    try:
        record = json.loads(job.record.read_text(encoding="utf-8"))
        return (
            {key: record.get(key) for key in wanted} == wanted
            and record["features_sha256"] == file_sha256(job.target)
            and record["video_sha256"] == file_sha256(job.video)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def video_facts(path: pathlib.Path, video: Video, num_segments: int) -> dict[str, Any]:
    """What the record says of a video that has been read to its end."""
    return {
        "video": path.name,
        "video_sha256": file_sha256(path),
        "num_frames": video.num_frames,
        "fps": video.fps,
        "num_segments": num_segments,
        "warnings": video.warnings,
    }


def write_features(job: Job, features: np.ndarray, record: dict[str, Any]) -> None:
    """Writes (T, D) for one crop or (T, N, D), float32, then the record that vouches for it.

    features: [T, N, D]. Raises UserError where they cannot be written.
    """
    array = np.asarray(features[:, 0] if features.shape[1] == 1 else features, np.float32)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_content(job, buffer.getvalue(), record | {"shape": list(array.shape)}, LIBRARIES)


def write_content(
    job: Job, content: bytes, record: dict[str, Any], libraries: Sequence[str]
) -> None:
    """Writes a job's file, then the record that vouches for it, each whole or not at all.

    libraries: whose versions the record states. Raises UserError where they cannot be written.
    """
    try:
        write_bytes(job.target, content)
        record = record | {
            "features_sha256": file_sha256(job.target),
            "versions": {"refinevad_jax": __version__}
            | {name: importlib.metadata.version(name) for name in libraries},
        }
        write_bytes(job.record, (json.dumps(record, indent=1) + "\n").encode())
    except OSError as error:
        raise UserError(f"{job.target}: cannot be written ({error.strerror})") from error
