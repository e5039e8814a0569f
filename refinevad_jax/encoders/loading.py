"""Encoders by the names that commands give them."""

import pathlib

import numpy as np

from refinevad_jax.encoders.encoder import TextEncoder, VisualEncoder
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

VISUAL = ("i3d", "clip")
TEXTUAL = ("minilm", "clip_text")


def load_visual_encoder(name: str, weights_file: str = "") -> VisualEncoder:
    """Loads one of VISUAL.

    weights_file: the weights of clip; those of i3d are in an installed package.
    Raises UserError if weights or a library are missing.
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
    from refinevad_jax.encoders import clip

    return clip.load_encoder(_clip_weights(name, weights_file))


def load_text_encoder(name: str, weights_file: str = "") -> TextEncoder:
    """Loads one of TEXTUAL.

    weights_file: the weights of clip_text; those of minilm are in an installed package.
    Raises UserError if weights or a library are missing.
    """
    if name == "minilm":
        from refinevad_jax.encoders import text

        encoder = text.load_encoder()
        return TextEncoder(text.NAME, file_sha256(text.weights_path()), encoder)
    from refinevad_jax.encoders import clip

    return clip.load_text_encoder(_clip_weights(name, weights_file))


def _clip_weights(name: str, weights_file: str) -> pathlib.Path:
    if not weights_file:
        raise UserError(f"--encoder={name} needs --weights=FILE: OpenAI's ViT-L/14 weights")
    return pathlib.Path(weights_file)
