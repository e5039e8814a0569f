"""Encoders by the names that commands give them."""

import pathlib

from refinevad_jax.encoders.encoder import TextEncoder, VisualEncoder
from refinevad_jax.errors import UserError

VISUAL = ("i3d", "i3d_bfloat16", "clip")
TEXTUAL = ("minilm", "clip_text")


def load_visual_encoder(name: str, weights_file: str = "") -> VisualEncoder:
    """Loads one of VISUAL.

    weights_file: the weights of clip; those of i3d are in an installed package.
    Raises UserError if weights or a library are missing.
    """
    if name == "i3d":
        from refinevad_jax.encoders import i3d

        return i3d.load_encoder()
    if name == "i3d_bfloat16":
        from refinevad_jax.encoders import i3d_openvino

        return i3d_openvino.load_encoder()
    from refinevad_jax.encoders import clip

    return clip.load_encoder(_clip_weights(name, weights_file))


def load_text_encoder(name: str, weights_file: str = "") -> TextEncoder:
    """Loads one of TEXTUAL.

    weights_file: the weights of clip_text; those of minilm are in an installed package.
    Raises UserError if weights or a library are missing.
    """
    if name == "minilm":
        from refinevad_jax.encoders import text

        return text.load_encoder()
    from refinevad_jax.encoders import clip

    return clip.load_text_encoder(_clip_weights(name, weights_file))


def _clip_weights(name: str, weights_file: str) -> pathlib.Path:
    if not weights_file:
        raise UserError(f"--encoder={name} needs --weights=FILE: OpenAI's ViT-L/14 weights")
    return pathlib.Path(weights_file)
