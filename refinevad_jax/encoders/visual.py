"""Visual encoders by name: what extraction and detection ask of one."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

FRAMES_PER_SEGMENT = 16
NAMES = ("i3d", "clip")


@dataclasses.dataclass(frozen=True)
class VisualEncoder:
    """An encoder with its weights.

    Attributes:
        name: as data sets and checkpoints record it.
        width: D, channels of a feature.
        weights_sha256: digest of the weight file.
        encode: [B, 16, 224, 224, 3] uint8 to [B, D] float32.
    """

    name: str
    width: int
    weights_sha256: str
    encode: Callable[[np.ndarray], np.ndarray]


def load_visual_encoder(name: str, weights_file: str = "") -> VisualEncoder:
    """Loads an encoder, one of NAMES.

    weights_file: the weights of clip; i3d has its own in an installed package.
    Raises UserError where weights or a library are missing.
    """
    if name == "i3d":
        from refinevad_jax.encoders import i3d

        weights = i3d.load_weights()
        return VisualEncoder(
            name=i3d.NAME,
            width=i3d.WIDTH,
            weights_sha256=file_sha256(i3d.weights_path()),
            encode=lambda segments: np.asarray(i3d.encode(weights, segments)),
        )
    if name == "clip":
        from refinevad_jax.encoders import clip

        if not weights_file:
            raise UserError("--encoder=clip needs --weights=FILE: OpenAI's ViT-L/14 weights")
        return clip.load_encoder(pathlib.Path(weights_file))
    raise UserError(f"unknown visual encoder {name!r}: there are {', '.join(NAMES)}")
