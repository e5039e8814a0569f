"""What extraction and detection ask of an encoder, whichever network is behind it."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

FRAMES_PER_SEGMENT = 16

# The encoders: how commands call them, and how data sets and checkpoints name them.
NAMES = {
    "i3d": "i3d-rgb-kinetics400",
    "i3d_bfloat16": "i3d-rgb-kinetics400-bfloat16",
    "clip": "clip-vit-l-14",
    "minilm": "all-MiniLM-L6-v2",
    "clip_text": "clip-vit-l-14-text",
}


@dataclasses.dataclass(frozen=True)
class VisualEncoder:
    """An encoder of segments with its weights.

    Attributes:
        name: as data sets and checkpoints record it.
        width: D, channels of a feature.
        weights_sha256: digest of the weight file.
        encode: [B, 16, 224, 224, 3] uint8 to [B, D] float32.
        library: the package whose version its records state.
        one_size: whether another B has to be compiled first, so that it should always be the same.
    """

    name: str
    width: int
    weights_sha256: str
    encode: Callable[[np.ndarray], np.ndarray]
    library: str = "jax"
    one_size: bool = False

    def encode_segments(self, crops: Sequence[np.ndarray], most: int) -> np.ndarray:
        """Features [S, N, D] of S segments, [N, 16, 224, 224, 3] uint8 each.

        most: at least S. If one size is compiled, calls are filled up to this number of segments.
        """
        num_crops, *shape = crops[0].shape
        rows = np.zeros(((most if self.one_size else len(crops)) * num_crops, *shape), np.uint8)
        rows[: len(crops) * num_crops] = np.concatenate(crops)
        return self.encode(rows).reshape(-1, num_crops, self.width)[: len(crops)]


@dataclasses.dataclass(frozen=True)
class TextEncoder:
    """An encoder of sentences with its weights.

    Attributes:
        name: as data sets and checkpoints record it.
        weights_sha256: digest of the weight file.
        encode: S sentences to [S, D] float32.
    """

    name: str
    weights_sha256: str
    encode: Callable[[Sequence[str]], np.ndarray]
