"""Scores while a source goes on: causal, with bounded memory, one JSON line per segment.

evaluation/causal.py makes the scores. Nothing that comes later changes one. Of what is older than
the window, two running means of logits are all that is kept.
"""

import datetime
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from refinevad_jax.detection.detector import Detector
from refinevad_jax.detection.live_source import LiveSource
from refinevad_jax.encoders.crops import CROP_SIZE
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.encoders.segments import ahead
from refinevad_jax.evaluation.causal import WINDOW, CausalNetwork, CausalScorer, push_together
from refinevad_jax.runs.scoring_rule import Threshold

_AHEAD = 4


def watch(
    source: str,
    detector: Detector,
    encoder: VisualEncoder,
    threshold: Threshold,
    *,
    window: int = WINDOW,
    num_crops: int,
    reconnect: float = 0.0,
) -> Iterator[str]:
    """JSON lines, one per segment, until the source ends.

    source, reconnect: see LiveSource, whose errors are raised. `latency_ms` runs from the last
    frame of the segment having been decoded to its score being known, which is at `clock` (UTC). An
    encoder slower than the source makes the source wait: four segments are decoded ahead, no more.
    After a gap the network goes on: its window still holds the segments before it. The first row
    then has `gap_seconds`.
    """
    network = detector.causal(window)
    warm_up(network, encoder, num_crops)
    scorer = CausalScorer(network)
    with LiveSource(source, reconnect) as live:
        for index, found in enumerate(ahead([live.segments(num_crops)], _AHEAD)):
            segment = found.segment
            score, probs = scorer.push(encoder.encode_segments([segment.crops], 1)[0])
            row = {
                "segment": index,
                "start_frame": index * FRAMES_PER_SEGMENT,
                "end_frame": (index + 1) * FRAMES_PER_SEGMENT,
            } | segment_row(
                segment.seconds[0],
                detector.categories,
                score,
                probs,
                threshold.value,
                found.arrived,
            )
            if found.gap_seconds:
                row["gap_seconds"] = round(found.gap_seconds, 3)
            yield json.dumps(row)


def segment_row(
    seconds: float,
    categories: Sequence[str],
    score: float,
    probs: np.ndarray,
    threshold: float,
    arrived: float,
) -> dict[str, Any]:
    """What is said of a segment whose score has just become known.

    seconds: of its first frame; probs: [C] of `categories`; arrived: when its last frame had been
    decoded, time.monotonic().
    """
    named = zip(categories, probs, strict=False)
    return {
        "start_seconds": round(float(seconds), 3),
        "score": round(score, 6),
        "alarm": score >= threshold,
        "categories": {name: round(float(p), 4) for name, p in named},
        "latency_ms": round(1000 * (time.monotonic() - arrived), 1),
        "clock": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
    }


def warm_up(
    network: CausalNetwork, encoder: VisualEncoder, num_crops: int, num_streams: int = 1
) -> None:
    """Compiles what streams will call, so many at once, before a source is opened."""
    empty = np.zeros((num_crops, FRAMES_PER_SEGMENT, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    features = encoder.encode_segments([empty] * num_streams, num_streams)
    push_together([CausalScorer(network) for _ in range(num_streams)], list(features))
