"""What one of anybody's scores stands for, and the length of a video that follows from them.

V videos, T segments, L scores of a video.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from refinevad_jax.data.bags import Bag
from refinevad_jax.errors import UserError
from refinevad_jax.metrics.truth import evaluated_length

SHOWN = 3  # videos named in a message


def expected_lengths(segments: np.ndarray, bags: Sequence[Bag], size: int) -> dict[str, np.ndarray]:
    """Scores of each video [V] by what one may stand for."""
    return {
        "segment": segments,
        "evaluated frame": np.array([evaluated_length(int(n), size) for n in segments]),
        "frame of the file": np.array([bag.num_frames for bag in bags]),
    }


def with_segments(
    path: pathlib.Path,
    arrays: Sequence[np.ndarray],
    bags: Sequence[Bag],
    size: int,
    rules: Mapping[str, np.ndarray],
    stated: Sequence[int] | None,
) -> tuple[list[Bag], list[str]]:
    """The videos with T, which follows from the scores, and how it was found.

    stated: T of each video if the file has it.
    """
    lengths = np.array([len(array) for array in arrays])
    if stated is not None:
        segments, how = np.array(stated), "num_segments of the file"
    else:
        usual = next(iter(rules.values()), np.zeros(len(bags), np.int64))
        frames = np.array([bag.num_frames for bag in bags])
        frames = np.where(frames > 0, frames, usual * size)
        unit = _unit(path, lengths, frames, bags, size)
        if unit == "part" and not rules:
            unknown = [bag.video_id for bag in bags if not bag.num_frames]
            raise UserError(
                f"{path}: {lengths[0]} scores per video, and the frames of {len(unknown)} videos "
                f"are not known ({named(unknown)}); give --frame_counts=FILE"
            )
        if unit == "part":
            segments, how = usual, _usual_rule_note(rules, size)
        elif unit == "frame":
            segments, how = np.maximum(lengths // size, 1), "its scores, in whole segments"
        elif unit == "segment":
            segments, how = lengths, f"its number of scores{_rule_note(lengths, rules)}"
        else:  # refused below, video by video
            segments, how = np.where(frames > 0, np.maximum(frames // size, 1), lengths), ""
        if unit in ("segment", "frame") and not frames.any():
            how += f"; no file states the frames, one score per {unit} fits the annotated spans"
    found = [
        dataclasses.replace(
            bag,
            features=np.zeros((1, int(count), 0), np.float16),
            num_frames=bag.num_frames or int(count) * size,
        )
        for bag, count in zip(bags, segments, strict=True)
    ]
    return found, [f"evaluated length of a video: {size} frames x {how}"]


def _unit(
    path: pathlib.Path, lengths: np.ndarray, frames: np.ndarray, bags: Sequence[Bag], size: int
) -> str:
    """What a score stands for, "segment", "frame" or "part"; "" if nothing fits.

    lengths: [V] scores; frames: [V] of the videos, 0 if not known. If none is known, the annotated
    spans decide: scores per frame reach to the end of the last one.
    """
    known = frames > 0
    same = len(lengths) > 1 and len(set(lengths.tolist())) == 1
    if known.any():
        if (np.abs(lengths * size - frames)[known] <= 2 * size).all():
            return "segment"
        if (np.abs(lengths - frames)[known] < 2 * size).all():
            return "frame"
        return "part" if same else ""
    if same:
        return "part"
    ends = np.array([bag.spans[:, 1].max(initial=0) for bag in bags])
    short = [
        f"{bag.video_id}: {length} scores, annotated up to frame {end}"
        for bag, length, end in zip(bags, lengths, ends, strict=True)
        if end >= (length + 2) * size
    ]
    if short:
        raise UserError(
            f"{path}: {len(short)} videos have fewer scores than one per {size} annotated frames "
            f"({named(short)}); give the annotations of these videos"
        )
    fits = ends < lengths + 2 * size
    return "frame" if fits.all() and ends.any() else "segment"


def _usual_rule_note(rules: Mapping[str, np.ndarray], size: int) -> str:
    """The first rule, and what the others would give: equal parts do not tell which it is."""
    (usual, own), *others = [(rule, size * int(n.sum())) for rule, n in rules.items()]
    other = "; ".join(f"{total:,} by {rule}" for rule, total in others if total != own)
    note = f" ({own:,} frames in all; the scores do not tell: {other})" if other else ""
    return f"{usual}{note}"


def _rule_note(lengths: np.ndarray, rules: Mapping[str, np.ndarray]) -> str:
    """The rule that most videos follow, if their frames are known."""
    if not rules:
        return ""
    followers = {rule: int((lengths == segments).sum()) for rule, segments in rules.items()}
    best = max(followers, key=lambda rule: followers[rule])
    return f", which is {best} in {followers[best]} of {len(lengths)} videos"


def resolution_of(
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
        f"({named(wrong)}); a score may stand for a segment, an evaluated frame, a frame of the "
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


def named(names: Sequence[str]) -> str:
    """The first few, for a message."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
