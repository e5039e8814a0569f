"""Scores while a source goes on: causal, with bounded memory, one JSON line per segment.

The score of a segment is the last one of the network run over the segments up to it, at most
`window` of them. Nothing that comes later changes it, and nothing older than the window is kept.
"""

import collections
import json
import time
from collections.abc import Iterator

import numpy as np

from refinevad_jax.detection.detector import Detector
from refinevad_jax.encoders.crops import CROP_SIZE
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.encoders.segments import ahead, read_segments
from refinevad_jax.encoders.video import Video, shown
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.scoring import bucket_length
from refinevad_jax.runs.scoring_rule import Threshold

_AHEAD = 4


class CausalScorer:
    """Takes features one segment after the other and keeps a window of them."""

    def __init__(self, detector: Detector, window: int) -> None:
        self._detector = detector
        self._features: collections.deque[np.ndarray] = collections.deque(maxlen=window)

    def push(self, features: np.ndarray) -> tuple[float, np.ndarray]:
        """The score of this segment, and category probabilities [C] of the window.

        features: [N, D], N crops.
        """
        self._features.append(features)
        found = self._detector.score(np.stack(self._features, axis=1))
        return float(found.scores[-1]), found.category_probs


def watch(
    source: str,
    detector: Detector,
    encoder: VisualEncoder,
    threshold: Threshold,
    *,
    window: int,
    num_crops: int,
) -> Iterator[str]:
    """JSON lines, one per segment, until the source ends.

    source: a file, an address, or the number of a camera. `latency_ms` runs from the last frame of
    the segment having been decoded to its score being known. An encoder slower than the source
    makes the source wait: four segments are decoded ahead, no more.
    """
    _compile(detector, encoder, window, num_crops)
    scorer = CausalScorer(detector, window)
    kind = "v4l2" if source.isdecimal() else ""
    address = f"/dev/video{source}" if source.isdecimal() else source
    with Video(address, live=True, kind=kind) as video:
        cut = ((segment, time.monotonic()) for segment in read_segments(video, num_crops))
        for index, (segment, arrived) in enumerate(ahead([cut], _AHEAD)):
            score, probs = scorer.push(encoder.encode_segments([segment.crops], 1)[0])
            latency = time.monotonic() - arrived
            named = zip(detector.categories, probs, strict=False)
            line = {
                "segment": index,
                "start_frame": index * FRAMES_PER_SEGMENT,
                "end_frame": (index + 1) * FRAMES_PER_SEGMENT,
                "start_seconds": round(float(segment.seconds[0]), 3),
                "score": round(score, 6),
                "alarm": score >= threshold.value,
                "categories": {name: round(float(p), 4) for name, p in named},
                "latency_ms": round(1000 * latency, 1),
            }
            yield json.dumps(line)
    if video.num_frames < FRAMES_PER_SEGMENT:
        raise UserError(
            f"{shown(source)}: ended before the {FRAMES_PER_SEGMENT} frames of one segment"
        )


def _compile(detector: Detector, encoder: VisualEncoder, window: int, num_crops: int) -> None:
    """Compiles what the stream will call before the source is opened, which may not wait."""
    empty = np.zeros((num_crops, FRAMES_PER_SEGMENT, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    encoder.encode_segments([empty], 1)
    for length in sorted({bucket_length(count) for count in range(1, window + 1)}):
        detector.score(np.zeros((num_crops, min(length, window), encoder.width), np.float32))
