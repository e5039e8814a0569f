"""Anybody's scores of a split: by video, or one array over the videos in the list's order.

V videos, L scores of a video, K crops, C categories. Nothing is unpickled. docs/metrics.md has the
table of the shapes that are taken.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.score_formats import is_name_of_scores, read_content
from refinevad_jax.evaluation.score_lengths import (
    expected_lengths,
    named,
    resolution_of,
    with_segments,
)
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores, top_k_mean
from refinevad_jax.runtime import commands

TOP_K_DIVISOR = 16  # a video's score is the mean of its T / 16 + 1 highest, as in config.loss
CROPS = (5, 10)  # K in use
JOINED = {"scores", "video_ids", "num_segments"}  # an .npz whose scores are one array


@dataclasses.dataclass(frozen=True)
class GivenScores:
    """What a file of scores holds.

    Attributes:
        split: the videos with these scores.
        resolution: what one score stands for, in words.
        num_segments: number of scores of every video if all have the same, else 0.
        notes: how the scores were read and what had to be done to them, one sentence each.
    """

    split: ScoredSplit
    resolution: str
    num_segments: int
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class _Given:
    """The content of a file: arrays by name, or one array without names.

    segments: T by name if the file states it.
    """

    by_name: Mapping[str, np.ndarray]
    joined: np.ndarray | None = None
    segments: Mapping[str, int] = dataclasses.field(default_factory=dict)


def read_scores(
    path: pathlib.Path,
    info: BagsInfo,
    bags: Sequence[Bag],
    *,
    length_rules: Mapping[str, np.ndarray] | None = None,
    key: Callable[[str], str] = str,
) -> GivenScores:
    """Reads a file of scores for the videos of a split.

    An array is [L], higher is more anomalous, or [L, 1 + C], probabilities with normal first;
    its score is then 1 - normal. [K, L] or [L, K] are crops, of which the mean is taken. L is the
    video's segments, evaluated frames or frames, or the same number for all.

    Args:
        path: by video: .npz with one array per video under its id, or with JOINED, .json, tables
            with rows `video,score[,score ...]` or a column per name, a folder; or one array, the
            videos in the order of the split's list. See score_formats.
        info: the data set.
        bags: V videos. If features are missing (T = 0), T follows from the scores.
        length_rules: T [V] by each rule that the features of the videos may follow, the usual one
            first, if T = 0 and the frames of all videos are known.
        key: what two names of one video share, for a name in the file that is not an id.

    Raises UserError that counts and names the videos that are unknown, missing, of a wrong length
    or not finite.
    """
    given, read = _load(path, _columns(info))
    ids, size, columns = [bag.video_id for bag in bags], info.frames_per_segment, _columns(info)
    rules = dict(length_rules or {})
    if all(bag.num_segments for bag in bags):
        rules = {"": np.array([bag.num_segments for bag in bags])}
    if given.joined is None:
        names, notes = _matched(path, list(given.by_name), ids, key)
        arrays = [given.by_name[name] for name in names]
    else:
        arrays = _cut(path, given.joined, rules, bags, size, columns)
        notes = ["the file names no video: taken in the order of the list, which cannot be checked"]
    notes = read + notes
    arrays, more = _without_crops(path, arrays, ids, columns)
    notes += more
    _check_values(path, arrays, ids, columns)
    if not all(bag.num_segments for bag in bags):
        stated = [given.segments[name] for name in names] if given.segments else None
        bags, more = with_segments(path, arrays, bags, size, rules, stated)
        notes += more
    expected = expected_lengths(np.array([bag.num_segments for bag in bags]), bags, size)
    resolution, target, more = resolution_of(path, arrays, expected, ids, size)
    notes += more
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
    split = ScoredSplit(info, list(bags), results, resampled=resolution != "segment")
    same = len(arrays[0]) if resolution == "equal part of a video" else 0
    return GivenScores(split, resolution, same, notes)


def _columns(info: BagsInfo) -> int:
    return 1 + info.taxonomy.num_categories


def _load(path: pathlib.Path, columns: int) -> tuple[_Given, list[str]]:
    content, notes = read_content(path)
    if not isinstance(content, dict):
        return _Given({}, content), notes
    if {"video_ids", "offsets"} <= content.keys():
        raise UserError(
            f"{path}: scores.npz of an evaluation, which is done: its numbers are in metrics.json "
            f"beside it, and {commands.spell('compare')} takes its folder"
        )
    if content.keys() >= JOINED:
        return _joined_by_name(path, content, columns), notes
    name = next(iter(content), "")
    if len(content) == 1 and (name == "arr_0" or is_name_of_scores(name)):  # np.savez of one array
        return _Given({}, next(iter(content.values()))), notes
    return _Given(content), notes


def _joined_by_name(path: pathlib.Path, content: Mapping[str, np.ndarray], columns: int) -> _Given:
    """Scores end to end, with the ids of the videos and the segments of each."""
    scores, ids, segments = (content[name] for name in ("scores", "video_ids", "num_segments"))
    if ids.dtype.kind != "U" or ids.ndim != 1 or segments.shape != ids.shape:
        raise UserError(
            f"{path}: video_ids {ids.shape} {ids.dtype} and num_segments {segments.shape}; both "
            "are [V], the ids as text"
        )
    if segments.dtype.kind not in "iu" or (segments < 1).any() or len(set(ids.tolist())) < len(ids):
        raise UserError(f"{path}: num_segments must be whole numbers from 1, every id appears once")
    total = sum(segments.tolist())
    scores = _time_first(scores, columns, lambda length: length == total)
    if not scores.ndim or len(scores) != total:
        raise UserError(
            f"{path}: scores of shape {content['scores'].shape}, num_segments add up to {total:,}; "
            "one row per segment is needed"
        )
    names = ids.tolist()
    parts = np.split(scores, np.cumsum(segments)[:-1])
    return _Given(
        dict(zip(names, parts, strict=True)),
        segments=dict(zip(names, segments.tolist(), strict=True)),
    )


def _matched(
    path: pathlib.Path, names: Sequence[str], ids: Sequence[str], key: Callable[[str], str]
) -> tuple[list[str], list[str]]:
    """The name that each id has in the file, and what to say of it."""
    known = set(ids)
    chosen = {name: name for name in names if name in known}
    open_ids = {key(video): video for video in ids if video not in chosen}
    in_any_case: dict[str, list[str]] = {}
    for video in ids:
        in_any_case.setdefault(key(video).casefold(), []).append(video)
    unknown: list[str] = []
    for name in names:
        if name in chosen:
            continue
        alike = in_any_case.get(key(name).casefold(), [])
        video = open_ids.get(key(name), alike[0] if len(alike) == 1 else "")
        if not video:
            unknown.append(name)
        elif video in chosen:
            raise UserError(
                f"{path}: {chosen[video]!r} and {name!r} are both of video {video}; keep one, and "
                "join crops to one array [L, K]"
            )
        else:
            chosen[video] = name
    missing = [video for video in ids if video not in chosen]
    problems = [
        f"{len(found)} {what} ({named(found)})"
        for found, what in (
            (unknown, f"of {len(names)} names are not in the list"),
            (missing, f"of its {len(ids)} videos have no scores"),
        )
        if found
    ]
    if problems:
        raise UserError(
            f"{path}: {' and '.join(problems)}; correct the file, or give the list of its videos"
        )
    renamed = [name for video, name in chosen.items() if name != video]
    notes = [f"{len(ids)} videos, found by name"]
    if renamed:
        notes.append(f"{len(renamed)} names were matched to those of the list ({named(renamed)})")
    return [chosen[video] for video in ids], notes


def _time_first(joined: np.ndarray, columns: int, is_total: Callable[[int], bool]) -> np.ndarray:
    """An array over all videos, [1 or K, F] turned to [F] or [F, K]."""
    if joined.ndim == 2 and not is_total(len(joined)) and is_total(joined.shape[1]):
        if len(joined) == 1:
            return joined[0]
        if len(joined) in _crops(columns):
            return joined.T
    return joined


def _cut(
    path: pathlib.Path,
    joined: np.ndarray,
    rules: Mapping[str, np.ndarray],
    bags: Sequence[Bag],
    size: int,
    columns: int,
) -> list[np.ndarray]:
    """Cuts one array into videos, by the rule and the resolution whose total it has."""
    if joined.ndim not in (1, 2):
        raise UserError(f"{path}: shape {joined.shape}; one array is {_shapes('F', columns)}")
    if not rules:
        raise UserError(
            f"{path}: {len(joined):,} scores without names, and the frames of the videos are not "
            "known; give --frame_counts=FILE, or the scores by video in an .npz"
        )
    readings = {
        (name, rule): lengths
        for rule, segments in rules.items()
        for name, lengths in expected_lengths(segments, bags, size).items()
    }
    totals = {reading: int(lengths.sum()) for reading, lengths in readings.items()}
    joined = _time_first(joined, columns, lambda length: length in totals.values())
    fitting = [reading for reading, total in totals.items() if total == len(joined)]
    if any((readings[fitting[0]] != readings[other]).any() for other in fitting):
        words = " or ".join(f"one per {name} by {rule}" for name, rule in fitting)
        raise UserError(f"{path}: {len(joined):,} scores may be {words}; give them by video")
    if fitting:
        return np.split(joined, np.cumsum(readings[fitting[0]])[:-1])
    needed = ", ".join(
        dict.fromkeys(
            f"{total:,} per {name}" + (f" by {rule}" if rule and name == "segment" else "")
            for (name, rule), total in totals.items()
            if name != "evaluated frame" or not rule
        )
    )
    raise UserError(
        f"{path}: shape {joined.shape}, {len(joined):,} scores; the {len(bags)} videos need "
        f"{needed}. Scores of another feature release have other lengths: give them by video in an "
        ".npz"
    )


def _without_crops(
    path: pathlib.Path, arrays: list[np.ndarray], ids: Sequence[str], columns: int
) -> tuple[list[np.ndarray], list[str]]:
    """Arrays [L] or [L, 1 + C]: axes of length 1 removed, the mean of crops taken."""
    arrays = [
        array.reshape(array.shape[:1] + tuple(n for n in array.shape[1:] if n != 1))
        for array in arrays
    ]
    if any(array.ndim == 2 and array.shape[1] != columns for array in arrays) and all(
        array.ndim == 1 or (array.ndim == 2 and len(array) == 1) for array in arrays
    ):
        return [array.reshape(-1) for array in arrays], []
    if any(array.ndim != 2 or array.dtype.kind not in "fiu" for array in arrays):
        return arrays, []
    if all(array.shape[1] == columns for array in arrays):
        return arrays, [f"{columns} numbers per score: probabilities, normal first"]
    found = [
        (axis, count)
        for axis in (0, 1)
        for count in _crops(columns)
        if all(array.shape[axis] == count for array in arrays)
    ]
    if len(found) > 1:
        raise UserError(
            f"{path}: shape {arrays[0].shape} of {ids[0]}; either axis may be the crops; give [L], "
            "their mean"
        )
    for axis, count in found:
        means = [array.mean(axis=axis, dtype=np.float64) for array in arrays]
        return means, [f"{count} crops per video, of shape {arrays[0].shape}: their mean is taken"]
    return arrays, []


def _crops(columns: int) -> list[int]:
    """K that are told from the columns of probabilities."""
    return [count for count in CROPS if count != columns]


def _shapes(length: str, columns: int) -> str:
    return (
        f"[{length}], [{length}, 1], [{length}, {columns}] (probabilities, normal first), or with "
        f"{' or '.join(map(str, _crops(columns)))} crops [{length}, K] or [K, {length}]"
    )


def _check_values(
    path: pathlib.Path, arrays: Sequence[np.ndarray], ids: Sequence[str], columns: int
) -> None:
    both = ((), (columns,))
    checks: list[tuple[str, Callable[[np.ndarray], bool]]] = [
        ("have no numbers", lambda array: array.dtype.kind not in "fiu" or not array.size),
        (
            f"have another shape than {_shapes('L', columns)}",
            lambda array: not array.ndim or array.shape[1:] not in both,
        ),
        (
            "have another shape than the first, one score against several",
            lambda array: array.shape[1:] != arrays[0].shape[1:],
        ),
        ("have NaN or infinite scores", lambda array: not np.isfinite(array).all()),
        (
            f"have {columns} numbers per score, read as probabilities, outside [0, 1]",
            lambda array: array.ndim == 2 and (array.min() < 0 or array.max() > 1),
        ),
    ]
    for what, is_bad in checks:
        bad = [
            f"{name} {array.shape} {array.dtype}" if "NaN" not in what else name
            for name, array in zip(ids, arrays, strict=True)
            if is_bad(array)
        ]
        if bad:
            raise UserError(
                f"{path}: {len(bad)} of {len(ids)} videos {what} ({named(bad)}); correct them"
            )


def _range_note(arrays: Sequence[np.ndarray]) -> list[str]:
    """What the values of all scores tell of what they are."""
    low, high = min(array.min() for array in arrays), max(array.max() for array in arrays)
    notes = []
    if low < 0 or high > 1:
        notes.append(
            f"scores lie in [{low:.4g}, {high:.4g}]: false alarms at 0.5 and the scores of events "
            "are meant for [0, 1]; AUC and AP depend on the order alone"
        )
    values = np.unique(np.concatenate([np.unique(array)[:3] for array in arrays]))
    flat = sum(len(array) > 1 and (array == array[:1]).all() for array in arrays)
    if len(values) == 1:
        notes.append(f"all scores are {values[0]:g}: they rank nothing")
    elif len(values) == 2 and all(np.isin(array, values).all() for array in arrays):
        notes.append(
            f"all scores are {values[0]:g} or {values[1]:g}: labels, or scores cut by a threshold"
        )
    elif flat > len(arrays) / 2:
        notes.append(f"{flat} of {len(arrays)} videos have one score throughout")
    return notes


def _video_scores(array: np.ndarray) -> VideoScores:
    """Scores [L], and the probabilities of categories as the mean of each column's highest."""
    given = array.astype(np.promote_types(array.dtype, np.float32))
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
