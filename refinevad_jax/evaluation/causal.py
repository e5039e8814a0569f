"""Scores of a stream: each from the segments up to it, and never changed by what comes later.

The network reads a window of the newest segments and gives a logit for the last one. Smoothing and
centring of the run follow in their causal form, over the logits of the stream's own past. One
stream is `CausalScorer`; `replay` gives a whole video the same scores, many windows per call.

Axis letters: R windows, N crops, T segments of a video, W of a window, D channels, C categories.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from refinevad_jax.data.bags import Bag
from refinevad_jax.data.recordings import NEWEST, StreamMedian, less_median
from refinevad_jax.evaluation.scoring import (
    PER_SEGMENT,
    SEGMENTS_PER_CALL,
    Pooling,
    VideoScores,
    calibrated,
)
from refinevad_jax.files.half import require_half
from refinevad_jax.metrics.calibration import log_odds_of_mean
from refinevad_jax.model.scorer import RunningMean
from refinevad_jax.runs.calibration import Calibration
from refinevad_jax.runs.run import Run
from refinevad_jax.runtime.compiler import compiler_options

WINDOW = 64  # segments, unless a user chooses
# What segments are compared with by a network that takes differences.
OF_STREAM = f"the median of the stream so far, of its newest {NEWEST} segments"


@dataclasses.dataclass(frozen=True)
class CausalRule:
    """How a run scores a stream; all lengths in segments.

    A run says what a share of a video means, and a stream has no length: the usual length stands
    for it, the median of the training videos.

    Attributes:
        window: how many of the newest segments the network reads.
        bin: so many segments are averaged to one row of the network, counted back from the newest:
            as many as the run's own bins hold in a video of the usual length. 1 for a run that
            scores full sequences.
        smoothing: width of the running mean of logits, 0 for none: a share of the usual length, as
            config.model.score_smoothing says.
        centering: share of the level that is taken away, as config.model.score_centering.
        level: width of the running mean of smoothed logits that is the level: the usual length.
    """

    window: int
    bin: int
    smoothing: float
    centering: float
    level: float

    @classmethod
    def of(cls, run: Run, window: int = WINDOW) -> "CausalRule":
        """The rule of a run. window: in segments, at least 1."""
        usual, bins = run.median_segments, run.config.eval.num_segments
        return cls(
            window=window,
            bin=max(1, round(usual / bins)) if bins else 1,
            smoothing=run.config.model.score_smoothing * usual,
            centering=run.config.model.score_centering,
            level=usual,
        )


class CausalNetwork:
    """The network of a run, compiled for windows of streams."""

    def __init__(
        self,
        graphdef: nnx.GraphDef[Any],
        params: Any,
        run: Run,
        calibration: Calibration | None,
        *,
        window: int = WINDOW,
    ) -> None:
        """calibration: of the run, as `Scorer` takes it; window: in segments."""
        self.rule = CausalRule.of(run, window)
        self.calibration = calibration
        self.pooling = Pooling.of(run.config.loss)
        self.columns = run.columns()
        self.widths = run.model_config.modality_widths
        self.takes_differences = run.takes_differences
        self._params = params
        # Every window is padded to the longest: one program, compiled before a source is opened.
        self._length = -(-self.rule.window // self.rule.bin)

        def forward(params: Any, features: jax.Array, valid: jax.Array) -> dict[str, jax.Array]:
            outputs = nnx.merge(graphdef, params)(features.astype(jnp.float32), valid)
            last = jnp.maximum(valid.sum(axis=1, keepdims=True) - 1, 0)
            found = outputs.readout() | {"logits": outputs.raw_logits}
            del found["scores"]
            for name in PER_SEGMENT:
                found[name] = jnp.take_along_axis(found[name], last, axis=1)[:, 0]
            return found

        self._forward = jax.jit(forward, compiler_options=compiler_options())

    @property
    def windows_per_call(self) -> int:
        """As many as one call takes at best."""
        return max(1, SEGMENTS_PER_CALL // self._length)

    def __call__(self, windows: Sequence[np.ndarray], num_rows: int) -> dict[str, np.ndarray]:
        """What the network says at the end of each window: its readout, "logits" as raw ones.

        windows: R arrays [W, D] of the channels `columns`, any W from 1 to that of the rule; less
        a median if the network `takes_differences`;
        num_rows: what R is padded to, as each number is compiled once. Returns [R] or [R, C] each.
        """
        features = np.zeros((num_rows, self._length, len(self.columns)), np.float16)
        valid = np.zeros(features.shape[:2], bool)
        for row, window in enumerate(windows):
            means = binned(window, self.rule.bin)
            features[row, : len(means)] = means
            valid[row, : len(means)] = True
        outputs = jax.device_get(self._forward(self._params, features, valid))
        return {name: value[: len(windows)] for name, value in outputs.items()}


def binned(segments: np.ndarray, size: int) -> np.ndarray:
    """Means of size segments each, counted back from the last; the first bin may hold fewer.

    segments: [W, D]. Returns [ceil(W / size), D].
    """
    if size == 1:
        return segments
    starts = np.arange(len(segments) % size or size, len(segments), size)
    starts = np.concatenate(([0], starts))
    counts = np.diff(starts, append=len(segments))
    return np.add.reduceat(segments.astype(np.float32), starts, axis=0) / counts[:, None]


class _Levels:
    """From the raw logits of a stream, one after the other, to those of its scores."""

    def __init__(self, rule: CausalRule) -> None:
        self._share = rule.centering
        self._smooth = RunningMean(rule.smoothing) if rule.smoothing else None
        self._level = RunningMean(rule.level)

    def push(self, logits: np.ndarray) -> float:
        """The logit of the newest segment, before calibration. logits: [N] of its crops."""
        logits = logits.astype(np.float64)
        if self._smooth is not None:
            logits = self._smooth.push(logits)
        logits = logits - self._share * np.maximum(self._level.push(logits), 0.0)
        return float(log_odds_of_mean(logits))


class CausalScorer:
    """One stream: takes features segment by segment, keeps a window of them and two means."""

    def __init__(self, network: CausalNetwork) -> None:
        self._network = network
        self._levels = _Levels(network.rule)
        self._median = StreamMedian(network.widths)
        self._features: collections.deque[np.ndarray] = collections.deque(
            maxlen=network.rule.window
        )

    def push(self, features: np.ndarray) -> tuple[float, np.ndarray]:
        """The score of this segment, and category probabilities [C] of the window.

        features: [N, D], N crops.
        """
        return push_together([self], [features])[0]

    def _windows(self, features: np.ndarray) -> list[np.ndarray]:
        """N windows [W, D] that end with this segment."""
        used = features[:, None, self._network.columns]
        newest = require_half(used, "the encoder's features").values[:, 0]
        self._features.append(newest)
        windows = np.stack(self._features, axis=1)
        if self._network.takes_differences:
            windows = less_median(windows, self._median.push(newest), self._network.widths)
        return list(windows)


def push_together(
    scorers: Sequence[CausalScorer], features: Sequence[np.ndarray]
) -> list[tuple[float, np.ndarray]]:
    """What `push` gives for each of several streams, in one call of their network.

    features: [N, D] each, the next segment of each stream. Each number of windows is compiled once.
    """
    network, num_crops = scorers[0]._network, len(features[0])
    windows = [
        window
        for scorer, own in zip(scorers, features, strict=True)
        for window in scorer._windows(own)
    ]
    found = network(windows, len(windows))
    probs = found.get("category_probs", np.zeros((len(windows), 0)))
    pushed = []
    for number, scorer in enumerate(scorers):
        rows = slice(number * num_crops, (number + 1) * num_crops)
        logit = np.array(scorer._levels.push(found["logits"][rows]))
        pushed.append((float(calibrated(logit, network.calibration)), probs[rows].mean(axis=0)))
    return pushed


def replay(network: CausalNetwork, bag: Bag) -> VideoScores:
    """The scores [T] that a stream of this video would get, and what is said of the video.

    bag: as it is packaged: a stream takes its own median, and knows nothing else of its recording.
    The categories are those of the window whose newest segment scores highest.
    """
    features = bag.features[..., network.columns]
    crops, length, _ = features.shape
    ends = [(end, crop) for end in range(1, length + 1) for crop in range(crops)]
    num_rows = min(network.windows_per_call, 1 << (len(ends) - 1).bit_length())
    medians: list[np.ndarray] = []
    if network.takes_differences:
        median = StreamMedian(network.widths)
        medians = [median.push(features[:, segment]) for segment in range(length)]

    def window(end: int, crop: int) -> np.ndarray:
        rows: np.ndarray = features[crop, max(0, end - network.rule.window) : end]
        return less_median(rows, medians[end - 1][crop], network.widths) if medians else rows

    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, len(ends), num_rows):
        windows = [window(*place) for place in ends[start : start + num_rows]]
        parts.append(network(windows, num_rows))
    found = {
        name: np.concatenate([part[name] for part in parts]).reshape(
            length, crops, *value.shape[1:]
        )
        for name, value in parts[0].items()
    }
    levels = _Levels(network.rule)
    logits = np.array([levels.push(crops_of_one) for crops_of_one in found.pop("logits")])
    video_logit = network.pooling.video_logit(logits)
    mean = {name: value.mean(axis=1) for name, value in found.items()}
    none, peak = np.zeros((length, 0)), int(logits.argmax())
    return VideoScores(
        scores=calibrated(logits, network.calibration),
        video_score=float(calibrated(np.array(video_logit), network.calibration)),
        logits=logits,
        video_logit=video_logit,
        category_probs=mean.get("category_probs", none)[peak],
        category_weights=mean.get("category_weights", none)[peak],
        shift_ratio=mean["shift_ratio"],
    )
