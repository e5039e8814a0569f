"""The evaluation folder: what is in it, and the only place that writes and reads it.

metrics.json    every number, and what it was measured on
scores.npz      what was said of each video, segment by segment, with its annotated spans
videos.csv      one row per video
events.json     the events found at the operating point
report.html, curves/, curves.png, figures/    drawn by the caller

Axis letters: V videos, T scores of a video, C categories.
"""

import csv
import dataclasses
import io
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError, as_damaged
from refinevad_jax.files.arrays import load_packed
from refinevad_jax.files.staged import replace_folder, staging_folder, write_json
from refinevad_jax.runs.run import refuse_several_seeds, seed_workdirs


@dataclasses.dataclass(frozen=True)
class StoredVideo:
    """One video of scores.npz.

    Attributes:
        video_id: unique name.
        labels: [C] bool, all False for a normal video.
        scores: [T], spread evenly over the evaluated frames.
        video_score: of the whole video.
        category_probs: [C] p_c, 0 if the scores name no category.
        category_weights: [C] w_c, likewise.
        shift_ratio: [T] r_t.
        spans: [S, 3] int, frames [start, end) and category index (-1: not stated).
        has_truth: whether the spans are known.
        evaluated_frames: number of frames that count.
        category_map: [T, 1 + C] probabilities, normal first, if they were given as such.
    """

    video_id: str
    labels: np.ndarray
    scores: np.ndarray
    video_score: float
    category_probs: np.ndarray
    category_weights: np.ndarray
    shift_ratio: np.ndarray
    spans: np.ndarray
    has_truth: bool
    evaluated_frames: int
    category_map: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What metrics.json and scores.npz hold: numbers, names of C categories, V videos."""

    metrics: dict[str, Any]
    categories: tuple[str, ...]
    videos: list[StoredVideo]


def evaluation_folder(workdir: pathlib.Path, name: str) -> pathlib.Path:
    """Where an evaluation of a run lies."""
    return workdir / "eval" / name


def write_evaluation(
    folder: pathlib.Path,
    evaluation: Evaluation,
    *,
    rows: Sequence[Mapping[str, Any]],
    events: Mapping[str, Any],
    draw: Callable[[pathlib.Path], None] = lambda folder: None,
) -> list[str]:
    """Writes the folder whole or not at all; an earlier one stays until the new one is complete.

    rows: of videos.csv, one per video; events: content of events.json; draw: writes figures and
    pages into a folder. Returns the names of what is in the folder. Raises UserError if the folder
    cannot be written.
    """
    try:
        with staging_folder(folder) as staging:
            new = staging / "results"
            new.mkdir()
            arrays: dict[str, Any] = _packed(evaluation)
            np.savez_compressed(new / "scores.npz", **arrays)
            (new / "videos.csv").write_text(_csv(rows), encoding="utf-8")
            write_json(new / "events.json", events)
            draw(new)
            write_json(new / "metrics.json", evaluation.metrics)
            names = sorted(path.name + "/" * path.is_dir() for path in new.iterdir())
            replace_folder(new, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return names


def find_evaluation(path: pathlib.Path) -> pathlib.Path:
    """The evaluation folder that is meant: the path itself, or the only one of a workdir.

    Raises UserError if there is none, or more than one.
    """
    if (path / "metrics.json").is_file():
        return path
    found = _folders(path)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(folder) for folder in found)
        raise UserError(f"{path} has {len(found)} evaluations; name one of {names}")
    refuse_several_seeds(path)
    raise _missing(path)


def read_metrics(folder: pathlib.Path) -> dict[str, Any]:
    """The content of metrics.json. Raises UserError if it is missing or damaged."""
    path = folder / "metrics.json"
    if not path.is_file():
        raise _missing(folder)
    with damaged(folder):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def read_evaluation(folder: pathlib.Path) -> Evaluation:
    """Reads metrics.json and scores.npz. Raises UserError if one is missing or damaged."""
    metrics = read_metrics(folder)
    with damaged(folder):
        arrays = load_packed(folder / "scores.npz")
        videos = [_unpacked(arrays, number) for number in range(len(arrays["video_ids"]))]
        return Evaluation(metrics, tuple(arrays["categories"].tolist()), videos)


def stored_seeds(workdir: pathlib.Path, name: str) -> list[dict[str, Any]]:
    """metrics.json of the evaluation of that name, of every seed that has one."""
    folders = [evaluation_folder(seed, name) for seed in seed_workdirs(workdir)]
    return [read_metrics(folder) for folder in folders if (folder / "metrics.json").is_file()]


def operating_points(workdir: pathlib.Path) -> list[tuple[pathlib.Path, dict[str, Any]]]:
    """Evaluations of a run that have a threshold: their folders and metrics.json.

    Left out are damaged ones, and those without normal videos, which have no threshold.
    """
    found = []
    for folder in _folders(workdir):
        try:
            content = read_metrics(folder)
            point = content["operating_point"]
            float(point["threshold"]), float(point["target_false_alarm_rate"])
            content["step"], content["split"], content["dataset"], content["num_segments"]
        except (UserError, ValueError, LookupError, TypeError):
            continue
        found.append((folder, content))
    return found


def damaged(folder: pathlib.Path) -> AbstractContextManager[None]:
    """Turns whatever damaged files of an evaluation lead to into one UserError."""
    return as_damaged(
        f"{folder}: damaged; evaluate again", UserError, OSError, MemoryError, RecursionError
    )


def _missing(folder: pathlib.Path) -> UserError:
    return UserError(f"{folder}: no metrics.json; run refinevad_jax.evaluate first")


def _folders(workdir: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path.parent for path in workdir.glob("eval/*/metrics.json"))


def _packed(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """What scores.npz holds.

    Scores, shift ratios and category maps of video i are entries offsets[i] to offsets[i + 1], its
    annotated spans are entries span_offsets[i] to span_offsets[i + 1].
    """
    videos = evaluation.videos
    maps = [video.category_map for video in videos if video.category_map is not None]
    return {
        "video_ids": np.array([video.video_id for video in videos]),
        "offsets": np.cumsum([0, *(len(video.scores) for video in videos)]),
        "scores": np.concatenate([video.scores for video in videos]),
        "shift_ratio": np.concatenate([video.shift_ratio for video in videos]),
        "evaluated_frames": np.array([video.evaluated_frames for video in videos]),
        "spans": np.concatenate([video.spans for video in videos]),
        "span_offsets": np.cumsum([0, *(len(video.spans) for video in videos)]),
        "has_truth": np.array([video.has_truth for video in videos]),
        "labels": np.stack([video.labels for video in videos]),
        "video_scores": np.array([video.video_score for video in videos]),
        "category_probs": np.stack([video.category_probs for video in videos]),
        "category_weights": np.stack([video.category_weights for video in videos]),
        "categories": np.array(evaluation.categories),
        **({"category_maps": np.concatenate(maps)} if maps else {}),
    }


def _unpacked(arrays: Mapping[str, np.ndarray], number: int) -> StoredVideo:
    """Raises what `damaged` catches if the arrays do not fit together."""
    own = slice(*arrays["offsets"][number : number + 2].tolist())
    spans = slice(*arrays["span_offsets"][number : number + 2].tolist())
    video = StoredVideo(
        video_id=str(arrays["video_ids"][number]),
        labels=arrays["labels"][number],
        scores=arrays["scores"][own],
        video_score=float(arrays["video_scores"][number]),
        category_probs=arrays["category_probs"][number],
        category_weights=arrays["category_weights"][number],
        shift_ratio=arrays["shift_ratio"][own],
        spans=arrays["spans"][spans],
        has_truth=bool(arrays["has_truth"][number]),
        evaluated_frames=int(arrays["evaluated_frames"][number]),
        category_map=arrays["category_maps"][own] if "category_maps" in arrays else None,
    )
    width, length = (len(arrays["categories"]),), (len(video.scores),)
    fits = video.labels.shape == video.category_probs.shape == video.category_weights.shape == width
    if not fits or not len(video.scores) or video.shift_ratio.shape != length:
        raise ValueError(f"arrays of video {number} do not fit together")
    return video


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
