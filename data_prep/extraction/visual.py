"""Videos to features: a row per segment and crop."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from data_prep.extraction.jobs import Job, Work
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.encoders.loading import load_visual_encoder
from refinevad_jax.encoders.record import feature_file, visual_settings
from refinevad_jax.encoders.segments import read_segments
from refinevad_jax.encoders.video import Frame


def visual_work(encoder: VisualEncoder, num_crops: int, batch_size: int) -> Work:
    """Features of segments; the file holds (T, D) for one crop, or else (T, N, D).

    Args:
        encoder: see refinevad_jax.encoders.loading.
        num_crops: N, 1 or 10.
        batch_size: crops of segments encoded in one call.
    """
    segments_per_call = max(1, batch_size // num_crops)
    settings = visual_settings(encoder, num_crops)

    def parts(job: Job, frames: Iterable[Frame]) -> Iterator[np.ndarray]:
        """Crops of segments: [N, 16, 224, 224, 3] uint8 each."""
        return (segment.crops for segment in read_segments(frames, num_crops))

    def content(results: list[np.ndarray]) -> tuple[bytes, dict[str, Any]]:
        """The features of T segments, [N, D] each."""
        features = np.stack(results)
        return feature_file(features[:, 0] if num_crops == 1 else features)

    return Work(
        libraries=("av", encoder.library, "numpy"),
        settings=lambda job: settings,
        parts=parts,
        encode=lambda parts: encoder.encode_segments(parts, segments_per_call),
        content=content,
        parts_per_call=segments_per_call,
        unit="segments",
    )


@functools.lru_cache(maxsize=1)
def load_visual_work(
    name: str, weights: str, num_crops: int, batch_size: int, cache: str | None
) -> Work:
    """Loads an encoder, once per process, and turns the compiler's cache on.

    Arguments as of load_visual_encoder, visual_work and enable_cache.
    """
    from refinevad_jax.runtime.compiler import enable_cache

    enable_cache(cache)
    return visual_work(load_visual_encoder(name, weights), num_crops, batch_size)
