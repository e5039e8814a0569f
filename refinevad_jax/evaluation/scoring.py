"""Runs the network over whole videos: a few padded lengths, crops averaged, scores calibrated.

Axis letters: V videos of a split, N crops, T segments, C categories.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from refinevad_jax.data.bags import Bag
from refinevad_jax.data.batches import resample
from refinevad_jax.evaluation.scored_split import VideoScores
from refinevad_jax.metrics.calibration import log_odds_of_mean, sigmoid
from refinevad_jax.runs.calibration import Calibration
from refinevad_jax.runtime.compiler import compiler_options

SHORTEST_BUCKET = 32
LONGEST_COARSE_BUCKET = 16_384
PER_SEGMENT = ("logits", "shift_ratio")
MIXTURE = "mixture_target"  # per segment too, if it is read
# Segments of one call over all its rows. More would leave a processor's caches and add rows of
# padding: at 16,384 the same videos take twice as long.
SEGMENTS_PER_CALL = 2_048


@dataclasses.dataclass(frozen=True)
class Pooling:
    """How the segments of a video make its score: as training pools them in L_MIL.

    Attributes:
        mil: "ranking" averages scores, the others average logits.
        top_k_divisor: the highest T / top_k_divisor + 1 segments count.
    """

    mil: str
    top_k_divisor: int

    @classmethod
    def of(cls, loss: ConfigDict) -> "Pooling":
        """loss: config.loss of a run."""
        return cls(loss.mil, loss.top_k_divisor)

    def video_logit(self, logits: np.ndarray) -> float:
        """The logit of a video's score. logits: [T]."""
        logits = np.asarray(logits, np.float64)
        highest = np.sort(logits)[-(len(logits) // self.top_k_divisor + 1) :]
        if self.mil == "ranking":
            return float(log_odds_of_mean(highest))
        return float(highest.mean())


def top_k_mean(values: np.ndarray, divisor: int) -> np.ndarray:
    """Mean of the T / divisor + 1 highest: values [T], or each column of [T, C]."""
    return np.sort(values, axis=0)[-(len(values) // divisor + 1) :].mean(axis=0)


class Scorer:
    """A jitted forward pass; each padded length and number of rows is compiled once.

    A thread compiles the next program while the present one runs. The longest videos come first:
    they run long enough for all others to be compiled.
    """

    def __init__(
        self, graphdef: nnx.GraphDef[Any], *, pooling: Pooling, with_mixture: bool = False
    ) -> None:
        """with_mixture: whether the target of L_GMM is read too."""
        self._pooling = pooling
        self._compiled: set[tuple[int, ...]] = set()

        def forward(
            params: Any, features: jax.Array, valid: jax.Array, injected: jax.Array | None = None
        ) -> dict[str, jax.Array]:
            model = nnx.merge(graphdef, params)
            outputs = model(features.astype(jnp.float32), valid, injected_labels=injected)
            found = outputs.readout()
            del found["scores"]  # they follow from the logits, which do not round to 1
            if with_mixture and outputs.core is not None:
                found[MIXTURE] = outputs.core.mixture_target(valid)
            return found

        self.forward = jax.jit(forward, compiler_options=compiler_options())

    def __call__(
        self,
        params: Any,
        bags: list[Bag],
        *,
        columns: np.ndarray,
        num_segments: int = 0,
        calibration: Calibration | None = None,
        injected: np.ndarray | None = None,
        progress: Callable[[int], Any] = lambda done: None,
    ) -> list[VideoScores]:
        """Scores videos.

        A segment's logit is that of its mean score over the crops. A video's logit is pooled from
        them as in training. Calibration maps both, so it changes no order of segments or of videos.
        columns: the feature channels to use; num_segments: resample every video to so many, 0
        scores the full sequence; calibration: of the run, None for the network's own scores;
        injected: [V, C] bool, categories whose e_y is added as in training, for probes alone;
        progress: called with the number of videos just finished.
        """
        crops: list[list[dict[str, np.ndarray]]] = [[] for _ in bags]
        calls = list(batched_rows(bags, num_segments))
        compiler = ThreadPoolExecutor(1)
        try:
            num_injected = 0 if injected is None else injected.shape[1]
            shapes = [(*rows.shape(columns), num_injected) for rows in calls]
            programs = self._compile(compiler, params, shapes)
            for rows, shape in zip(calls, shapes, strict=True):
                features, valid = pad_rows(bags, rows, columns, num_segments)
                given = () if injected is None else (rows.of_videos(injected),)
                if shape in programs:
                    programs[shape].result()
                outputs = jax.device_get(self.forward(params, features, valid, *given))
                for row, (video, _) in enumerate(rows.members):
                    length = int(valid[row].sum())
                    crops[video].append(
                        {
                            name: value[row, :length]
                            if name in (*PER_SEGMENT, MIXTURE)
                            else value[row]
                            for name, value in outputs.items()
                        }
                    )
                progress(sum(crop == 0 for _, crop in rows.members))
        finally:
            compiler.shutdown(cancel_futures=True)
        return [self._of_crops(found, calibration) for found in crops]

    def _compile(
        self, compiler: ThreadPoolExecutor, params: Any, shapes: Sequence[tuple[int, ...]]
    ) -> dict[tuple[int, ...], Future[None]]:
        """Starts to compile, in order, what was not compiled before; `forward` then finds it.

        shapes: rows, length, D, and the number of categories that may be injected or 0.
        """

        def compiled(shape: tuple[int, ...]) -> None:
            *rows, num_injected = shape
            batch = [jax.ShapeDtypeStruct(rows, jnp.float16)]
            batch.append(jax.ShapeDtypeStruct(rows[:2], bool))
            if num_injected:
                batch.append(jax.ShapeDtypeStruct((rows[0], num_injected), bool))
            self.forward.lower(params, *batch).compile()
            self._compiled.add(shape)

        new = [shape for shape in dict.fromkeys(shapes) if shape not in self._compiled]
        return {shape: compiler.submit(compiled, shape) for shape in new}

    def _of_crops(
        self, crops: list[dict[str, np.ndarray]], calibration: Calibration | None
    ) -> VideoScores:
        """One video, from the readout of each of its crops."""
        found = {name: np.stack([crop[name] for crop in crops]) for name in crops[0]}
        logits = log_odds_of_mean(found.pop("logits"))
        video_logit = self._pooling.video_logit(logits)
        without_core = {name: np.zeros(0) for name in ("category_probs", "category_weights")}
        mean = {name: value.mean(axis=0) for name, value in found.items()}
        return VideoScores(
            scores=calibrated(logits, calibration),
            video_score=float(calibrated(np.array(video_logit), calibration)),
            logits=logits,
            video_logit=video_logit,
            **(without_core | mean),
        )


def calibrated(logits: np.ndarray, calibration: Calibration | None) -> np.ndarray:
    """Scores of logits, in float64."""
    if calibration is None:
        return sigmoid(logits)
    return sigmoid(calibration.slope * logits + calibration.offset)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Crops that travel together: (video, crop) of each, padded to num_rows x length."""

    members: list[tuple[int, int]]
    num_rows: int
    length: int

    def shape(self, columns: np.ndarray) -> tuple[int, int, int]:
        """Of their features."""
        return self.num_rows, self.length, len(columns)

    def of_videos(self, values: np.ndarray) -> np.ndarray:
        """[rows, ...]: what values [V, ...] have of the video of each row, 0 in rows of padding."""
        found = np.zeros((self.num_rows, *values.shape[1:]), values.dtype)
        found[: len(self.members)] = values[[video for video, _ in self.members]]
        return found


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
    """Groups all crops of all videos by padded length, longest first; one shape per length."""
    by_length: dict[int, list[tuple[int, int]]] = {}
    for video, bag in enumerate(bags):
        length = num_segments or bucket_length(bag.num_segments)
        by_length.setdefault(length, []).extend(
            (video, crop) for crop in range(bag.features.shape[0])
        )
    for length, members in sorted(by_length.items(), reverse=True):
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
