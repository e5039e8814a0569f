"""CLIP ViT-L/14 visual, 768 channels a segment, by open_clip: the paper's encoder.

A segment's feature is the mean of its frames' embeddings, not scaled to length 1, as in the
released features of VadCLIP and IEF-VAD. The weights are OpenAI's, from a file that the user has:
nothing is downloaded. Needs the extra `open_clip_torch`.
"""

import functools
import pathlib
from typing import Any

import numpy as np

from refinevad_jax.encoders.visual import VisualEncoder
from refinevad_jax.errors import UserError
from refinevad_jax.file_hash import file_sha256

NAME = "clip-vit-l-14"
ARCHITECTURE = "ViT-L-14-quickgelu"  # OpenAI trained it with the quick form of GELU

_FRAMES_PER_CALL = 64
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_SCALE = (0.26862954, 0.26130258, 0.27577711)


def load_encoder(weights: pathlib.Path) -> VisualEncoder:
    """Builds the network and loads its weights, onto a GPU where PyTorch has one.

    Raises UserError where open_clip is not installed or the file holds other weights.
    """
    try:
        import open_clip
    except ImportError as error:
        raise UserError("the CLIP encoder needs open_clip: pip install open_clip_torch") from error
    if not weights.is_file():
        raise UserError(f"--weights={weights}: no such file; give OpenAI's ViT-L/14 weights")
    try:
        model = open_clip.create_model(ARCHITECTURE, pretrained=str(weights), device=_device())
    except Exception as error:  # whatever PyTorch raises for a file of another kind
        raise UserError(f"{weights}: not weights of CLIP {ARCHITECTURE} ({error})") from error
    width = model.visual.output_dim
    return VisualEncoder(NAME, width, file_sha256(weights), functools.partial(encode, model))


def encode(model: Any, segments: np.ndarray) -> np.ndarray:
    """Mean embedding of the frames of each segment.

    model: an open_clip network with encode_image; segments: [B, F, Y, X, 3] uint8 of the size it
    reads. Returns [B, D] float32.
    """
    import torch

    device = next(model.parameters()).device
    mean = torch.tensor(_MEAN, device=device).reshape(3, 1, 1)
    scale = torch.tensor(_SCALE, device=device).reshape(3, 1, 1)
    model.eval()
    frames = torch.from_numpy(segments.reshape(-1, *segments.shape[2:])).permute(0, 3, 1, 2)
    parts = []
    with torch.inference_mode():
        for some in frames.split(_FRAMES_PER_CALL):
            pixels = (some.to(device).float() / 255 - mean) / scale
            parts.append(model.encode_image(pixels).float().cpu())
    embeddings = torch.cat(parts).reshape(*segments.shape[:2], -1)
    return embeddings.mean(dim=1).numpy()


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
