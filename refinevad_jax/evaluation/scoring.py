"""Runs the network over whole videos: a few padded lengths, crops averaged.

Axis letters: V videos of a split, N crops, T segments, C categories.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from refinevad_jax.data.bags import Bag
from refinevad_jax.data.batches import resample
from refinevad_jax.runtime.compiler import compiler_options

SHORTEST_BUCKET = 32
LONGEST_COARSE_BUCKET = 16_384
PER_SEGMENT = ("scores", "shift_ratio")
# Segments of one call over all its rows. More would leave a processor's caches and add rows of
# padding: at 16,384 the same videos take twice as long.
SEGMENTS_PER_CALL = 2_048


@dataclasses.dataclass(frozen=True)
class VideoScores:
    """What the network says of one video, averaged over its crops.

    Attributes:
        scores: [T] anomaly score of each segment, of the video's own or of the resampled ones.
        video_score: mean of the top k of them, k as in training.
        category_probs: [C] p_c; [0] if categories are not scored, as without CORE.
        category_weights: [C] w_c, or [0].
        shift_ratio: [T] r_t.
        category_map: [T, 1 + C] probabilities, normal first, if they were given as such; else they
            follow from category_probs.
    """

    scores: np.ndarray
    video_score: float
    category_probs: np.ndarray
    category_weights: np.ndarray
    shift_ratio: np.ndarray
    category_map: np.ndarray | None = None


def top_k_mean(values: np.ndarray, divisor: int) -> np.ndarray:
    """Mean of the T / divisor + 1 highest: values [T], or each column of [T, C]."""
    return np.sort(values, axis=0)[-(len(values) // divisor + 1) :].mean(axis=0)


class Scorer:
    """A jitted forward pass; each padded length and number of rows is compiled once."""

    def __init__(self, graphdef: nnx.GraphDef[Any], *, top_k_divisor: int) -> None:
        self._top_k_divisor = top_k_divisor

        def forward(params: Any, features: jax.Array, valid: jax.Array) -> dict[str, jax.Array]:
            return nnx.merge(graphdef, params)(features.astype(jnp.float32), valid).readout()

        self.forward = jax.jit(forward, compiler_options=compiler_options())

    def __call__(
        self,
        params: Any,
        bags: list[Bag],
        *,
        columns: np.ndarray,
        num_segments: int = 0,
        progress: Callable[[int], Any] = lambda done: None,
    ) -> list[VideoScores]:
        """Scores videos.

        columns: the feature channels to use; num_segments: resample every video to so many, 0
        scores the full sequence; progress: called with the number of videos just finished.
        """
        sums: list[dict[str, np.ndarray] | None] = [None] * len(bags)
        for rows in batched_rows(bags, num_segments):
            features, valid = pad_rows(bags, rows, columns, num_segments)
            outputs = jax.device_get(self.forward(params, features, valid))
            for row, (video, _) in enumerate(rows.members):
                length = int(valid[row].sum())
                part = {
                    name: value[row, :length] if name in PER_SEGMENT else value[row]
                    for name, value in outputs.items()
                }
                before = sums[video]
                sums[video] = part if before is None else {k: before[k] + part[k] for k in part}
            progress(sum(crop == 0 for _, crop in rows.members))
        results = []
        without_core = {name: np.zeros(0) for name in ("category_probs", "category_weights")}
        for total, bag in zip(sums, bags, strict=True):
            assert total is not None
            mean = {name: value / bag.features.shape[0] for name, value in total.items()}
            score = float(top_k_mean(mean["scores"], self._top_k_divisor))
            results.append(VideoScores(video_score=score, **(without_core | mean)))
        return results


@dataclasses.dataclass(frozen=True)
class Rows:
    """Crops that travel together: (video, crop) of each, padded to num_rows x length."""

    members: list[tuple[int, int]]
    num_rows: int
    length: int


def bucket_length(num_segments: int) -> int:
    """What a video is padded to, so that few lengths are compiled: 32, 48, 64, 96, 128, 192, ...

    At most a third of it is padding. Powers of two alone would score 15 % more segments on the
    lengths of UCF-Crime, with 9 programs instead of 14 (docs/performance.md). From hours of video
    on, attention takes far longer than compiling: a ninth at most, eight lengths per doubling.
    """
    power = max(SHORTEST_BUCKET, 1 << (num_segments - 1).bit_length())
    if power > LONGEST_COARSE_BUCKET:
        step = power // 16
        return -(-num_segments // step) * step
    between = power * 3 // 4
    return between if between > SHORTEST_BUCKET and num_segments <= between else power


def batched_rows(bags: list[Bag], num_segments: int) -> Iterator[Rows]:
    """Groups all crops of all videos by padded length; one array shape per length."""
    by_length: dict[int, list[tuple[int, int]]] = {}
    for video, bag in enumerate(bags):
        length = num_segments or bucket_length(bag.num_segments)
        by_length.setdefault(length, []).extend(
            (video, crop) for crop in range(bag.features.shape[0])
        )
    for length, members in sorted(by_length.items()):
        enough = 1 << (len(members) - 1).bit_length()
        num_rows = min(max(1, SEGMENTS_PER_CALL // length), enough)
        for start in range(0, len(members), num_rows):
            yield Rows(members[start : start + num_rows], num_rows, length)


def pad_rows(
    bags: list[Bag], rows: Rows, columns: np.ndarray, num_segments: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features [rows, length, D] float16 and valid [rows, length] of the crops in rows."""
    features = np.zeros((rows.num_rows, rows.length, len(columns)), np.float16)
    valid = np.zeros(features.shape[:2], bool)
    for row, (video, crop) in enumerate(rows.members):
        sequence = bags[video].features[crop : crop + 1][..., columns]
        if num_segments:
            sequence = resample(sequence, num_segments)
        features[row, : sequence.shape[1]] = sequence[0]
        valid[row, : sequence.shape[1]] = True
    return features, valid
