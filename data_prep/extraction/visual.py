"""Videos to features: a row per segment and crop."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_prep.extraction.jobs import Job, feature_file
from refinevad_jax.encoders.crops import PREPROCESSING
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.encoders.segments import read_segments
from refinevad_jax.encoders.video import Video


@dataclasses.dataclass(frozen=True)
class VisualWork:
    """Features of segments; the file holds (T, D) for one crop, or else (T, N, D).

    Attributes:
        encoder: see refinevad_jax.encoders.loading.
        num_crops: N, 1 or 10.
        batch_size: crops of segments encoded in one call.
    """

    encoder: VisualEncoder
    num_crops: int
    batch_size: int
    libraries = ("av", "jax", "numpy")

    @property
    def parts_per_call(self) -> int:
        """Segments; each has N crops."""
        return max(1, self.batch_size // self.num_crops)

    def settings(self, job: Job) -> dict[str, Any]:
        """The encoder and what it sees."""
        return {
            "encoder": self.encoder.name,
            "weights_sha256": self.encoder.weights_sha256,
            "num_crops": self.num_crops,
            "frames_per_segment": FRAMES_PER_SEGMENT,
            "preprocessing": PREPROCESSING,
        }

    def parts(self, job: Job, video: Video) -> Iterator[np.ndarray]:
        """Crops of segments: [N, 16, 224, 224, 3] uint8 each."""
        return (segment.crops for segment in read_segments(video, self.num_crops))

    def encode(self, parts: list[np.ndarray]) -> np.ndarray:
        """[S, N, D] of S segments."""
        return self.encoder.encode_segments(parts, self.parts_per_call)

    def content(self, results: list[np.ndarray]) -> tuple[bytes, dict[str, Any]]:
        """The features of T segments, [N, D] each."""
        features = np.stack(results)
        return feature_file(features[:, 0] if self.num_crops == 1 else features)
