"""Anybody's scores of a split: an .npz by video, or one .npy over the videos in the list's order.

V videos, L scores of a video, C categories. Nothing is unpickled.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores, top_k_mean
from refinevad_jax.files.arrays import load_array, load_packed
from refinevad_jax.metrics.truth import evaluated_length

TOP_K_DIVISOR = 16  # a video's score is the mean of its T / 16 + 1 highest, as in config.loss
SHOWN = 3  # videos named in a message


@dataclasses.dataclass(frozen=True)
class GivenScores:
    """What a file of scores holds.

    Attributes:
        split: the videos with these scores.
        resolution: what one score stands for, in words.
        num_segments: number of scores of every video if all have the same, else 0.
        notes: what had to be done to the scores, one sentence each.
    """

    split: ScoredSplit
    resolution: str
    num_segments: int
    notes: list[str]


def read_scores(path: pathlib.Path, info: BagsInfo, bags: list[Bag]) -> GivenScores:
    """Reads a file of scores for the videos of a split.

    .npz: one array per video under its id. .npy: one array, the videos in the order of the split's
    list. An array is [L], higher is more anomalous, or [L, 1 + C], probabilities with normal first;
    its score is then 1 - normal. L is the video's segments, evaluated frames or frames, or the same
    number for all. Raises UserError that counts and names the videos that are unknown, missing, of
    a wrong length or not finite.
    """
    ids, size = [bag.video_id for bag in bags], info.frames_per_segment
    expected = {
        "segment": np.array([bag.num_segments for bag in bags]),
        "evaluated frame": np.array([evaluated_length(bag.num_segments, size) for bag in bags]),
        "frame of the file": np.array([bag.num_frames for bag in bags]),
    }
    arrays = _read_arrays(path, ids, expected)
    _check_values(path, arrays, ids, info.taxonomy.num_categories)
    resolution, target, notes = _resolution(path, arrays, expected, ids, size)
    # What is too long is cut; what is too short repeats its last entry.
    arrays = [
        array[np.minimum(np.arange(length), len(array) - 1)]
        for array, length in zip(arrays, target, strict=True)
    ]
    if resolution in ("evaluated frame", "frame of the file"):
        blocks = [array.reshape(-1, size, *array.shape[1:]) for array in arrays]
        if all((block == block[:, :1]).all() for block in blocks):
            arrays, resolution = [block[:, 0] for block in blocks], "segment"
            notes.append(f"one score per {size} frames, repeated")
    notes += _range_note(arrays)
    results = [_video_scores(array) for array in arrays]
    split = ScoredSplit(info, bags, results, resampled=resolution != "segment")
    same = len(arrays[0]) if resolution == "equal part of a video" else 0
    return GivenScores(split, resolution, same, notes)


def _read_arrays(
    path: pathlib.Path, ids: Sequence[str], expected: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """One array per video, in the order of ids."""
    if path.suffix not in (".npz", ".npy"):
        raise UserError(f"{path}: scores are read from .npz (by video) or .npy (one array)")
    if path.suffix == ".npy":
        return _cut(path, load_array(path), expected)
    content = load_packed(path)
    if {"video_ids", "offsets"} <= content.keys():
        raise UserError(
            f"{path}: scores.npz of an evaluation; refinevad_jax.compare reads its folder"
        )
    unknown = [name for name in content if name not in set(ids)]
    missing = [name for name in ids if name not in content]
    problems = [
        f"{len(names)} {what} ({_named(names)})"
        for names, what in ((unknown, "unknown videos"), (missing, "missing videos"))
        if names
    ]
    if problems:
        raise UserError(
            f"{path}: {' and '.join(problems)} for a split of {len(ids)}; use the ids of the "
            "data set's list"
        )
    return [content[name] for name in ids]


def _cut(
    path: pathlib.Path, joined: np.ndarray, expected: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Cuts one array into videos, by the resolution whose total it has."""
    if joined.ndim not in (1, 2):
        raise UserError(f"{path}: shape {joined.shape}; one array is [F] or [F, 1 + C]")
    for lengths in expected.values():
        if lengths.sum() == len(joined):
            return np.split(joined, np.cumsum(lengths)[:-1])
    totals = ", ".join(f"{lengths.sum():,} per {name}" for name, lengths in expected.items())
    first = next(iter(expected.values()))
    raise UserError(
        f"{path}: {len(joined):,} scores; the {len(first)} videos of the split need {totals}. "
        "Scores of another feature release have other lengths: give them by video in an .npz, or "
        "package that release"
    )


def _check_values(
    path: pathlib.Path, arrays: Sequence[np.ndarray], ids: Sequence[str], num_categories: int
) -> None:
    both = ((), (1 + num_categories,))
    checks: list[tuple[str, Callable[[np.ndarray], bool]]] = [
        (
            f"of another shape than [L] or [L, {1 + num_categories}], normal first",
            lambda array: not array.ndim or array.shape[1:] not in both,
        ),
        (
            "of another shape than the first, one score against several",
            lambda array: array.shape[1:] != arrays[0].shape[1:],
        ),
        ("without numbers", lambda array: array.dtype.kind not in "fiu" or not len(array)),
        ("with NaN or infinite scores", lambda array: not np.isfinite(array).all()),
        (
            "with probabilities outside [0, 1]",
            lambda array: array.ndim == 2 and (array.min() < 0 or array.max() > 1),
        ),
    ]
    for what, is_bad in checks:
        bad = [name for name, array in zip(ids, arrays, strict=True) if is_bad(array)]
        if bad:
            raise UserError(f"{path}: {len(bad)} videos {what} ({_named(bad)}); correct them")


def _resolution(
    path: pathlib.Path,
    arrays: Sequence[np.ndarray],
    expected: Mapping[str, np.ndarray],
    ids: Sequence[str],
    frames_per_segment: int,
) -> tuple[str, np.ndarray, list[str]]:
    """What one score stands for, how many [V] are needed, and what that costs at the ends."""
    lengths = np.array([len(array) for array in arrays])
    for name, tolerance in (
        ("segment", 0),
        ("evaluated frame", 0),
        ("evaluated frame", frames_per_segment - 1),
        ("frame of the file", 0),
        ("segment", 1),
    ):
        if (np.abs(lengths - expected[name]) <= tolerance).all():
            target = expected["segment" if name == "segment" else "evaluated frame"]
            return name, target, _tail_notes(lengths - target, name)
    values, counts = np.unique(lengths, return_counts=True)
    if len(values) == 1 and len(arrays) > 1:
        note = f"{lengths[0]} scores per video, spread evenly over it"
        return "equal part of a video", lengths, [note]
    usual = values[counts.argmax()]
    readings = {f"one score per {name}": other for name, other in expected.items()}
    readings[f"{usual} scores per video"] = np.full_like(lengths, usual)
    best = min(readings, key=lambda name: int((lengths != readings[name]).sum()))
    wrong = [
        f"{name} {length:,} instead of {target:,}"
        for name, length, target in zip(ids, lengths, readings[best], strict=True)
        if length != target
    ]
    raise UserError(
        f"{path}: {len(wrong)} of {len(ids)} videos are of a wrong length for {best} "
        f"({_named(wrong)}); a score may stand for a segment, an evaluated frame, a frame of the "
        "file, or an equal part of every video"
    )


def _tail_notes(off: np.ndarray, name: str) -> list[str]:
    """off: [V] scores too many."""
    unit = "segments" if name == "segment" else "frames"
    kinds = ((off, "more", "cut"), (-off, "less", "the last score is repeated"))
    return [
        f"{(by > 0).sum()} videos have up to {by.max()} {unit} {word} than are evaluated: {done}"
        for by, word, done in kinds
        if (by > 0).any()
    ]


def _range_note(arrays: Sequence[np.ndarray]) -> list[str]:
    low, high = min(array.min() for array in arrays), max(array.max() for array in arrays)
    if low >= 0 and high <= 1:
        return []
    return [
        f"scores lie in [{low:.4g}, {high:.4g}]: false alarms at 0.5 and the scores of events are "
        "meant for [0, 1]"
    ]


def _video_scores(array: np.ndarray) -> VideoScores:
    """Scores [L], and the probabilities of categories as the mean of each column's highest."""
    given = array.astype(np.float32)
    named = array.ndim == 2
    scores = 1 - given[:, 0] if named else given
    probs = top_k_mean(given[:, 1:], TOP_K_DIVISOR) if named else np.zeros(0)
    return VideoScores(
        scores=scores,
        video_score=float(top_k_mean(scores, TOP_K_DIVISOR)),
        category_probs=probs,
        category_weights=probs,
        shift_ratio=np.zeros_like(scores),
        category_map=array if named else None,
    )


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
