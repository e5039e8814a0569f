"""CLIP ViT-L/14 by open_clip, 768 channels: frames, the paper's visual encoder, and sentences.

A segment's feature is the mean of its frames' embeddings, not scaled to length 1, as in the
released features of VadCLIP and IEF-VAD; a sentence's is its embedding, not scaled either. The
weights are OpenAI's, from a file that the user has: nothing is downloaded. Needs the extra
`open_clip_torch`.
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax.encoders.encoder import NAMES, TextEncoder, VisualEncoder
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

NAME = NAMES["clip"]
TEXT_NAME = NAMES["clip_text"]
ARCHITECTURE = "ViT-L-14-quickgelu"  # OpenAI trained it with the quick form of GELU

_PER_CALL = 64  # frames or sentences
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_SCALE = (0.26862954, 0.26130258, 0.27577711)


def load_encoder(weights: pathlib.Path) -> VisualEncoder:
    """Builds the network and loads its weights, onto a GPU if PyTorch has one.

    Raises UserError if open_clip is not installed or the file holds other weights.
    """
    _, model = _load_model(weights)
    width = model.visual.output_dim
    run = functools.partial(encode, model)
    return VisualEncoder(NAME, width, file_sha256(weights), run, library="torch")


def load_text_encoder(weights: pathlib.Path) -> TextEncoder:
    """The text tower of the same weights; sentences are cut after 77 tokens, as in training.

    Raises UserError if open_clip is not installed or the file holds other weights.
    """
    open_clip, model = _load_model(weights)
    try:
        tokenizer = open_clip.get_tokenizer(ARCHITECTURE)
    except Exception as error:  # a vocabulary that is not in the package would be downloaded
        raise UserError(f"the vocabulary of CLIP {ARCHITECTURE} is not there ({error})") from error
    encode_all = functools.partial(encode_sentences, model, tokenizer)
    return TextEncoder(TEXT_NAME, file_sha256(weights), encode_all)


def _load_model(weights: pathlib.Path) -> tuple[Any, Any]:
    """The module open_clip, and the network with its weights."""
    try:
        import open_clip
    except ImportError as error:
        raise UserError("the CLIP encoder needs open_clip: pip install open_clip_torch") from error
    if not weights.is_file():
        raise UserError(f"--weights={weights}: no such file; give OpenAI's ViT-L/14 weights")
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = open_clip.create_model(ARCHITECTURE, pretrained=str(weights), device=device)
    except Exception as error:  # whatever PyTorch raises for a file of another kind
        raise UserError(f"{weights}: not weights of CLIP {ARCHITECTURE} ({error})") from error
    return open_clip, model.eval()


def encode_sentences(model: Any, tokenizer: Any, sentences: Sequence[str]) -> np.ndarray:
    """Embeds S sentences: [S, D] float32. model: an open_clip network with encode_text."""
    import torch

    device = next(model.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, len(sentences), _PER_CALL):
            tokens = tokenizer(list(sentences[start : start + _PER_CALL]))
            parts.append(model.encode_text(tokens.to(device)).float().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, model.text_projection.shape[-1]))


def encode(model: Any, segments: np.ndarray) -> np.ndarray:
    """Mean embedding of the frames of each segment.

    model: an open_clip network with encode_image; segments: [B, F, Y, X, 3] uint8 of the size it
    reads. Returns [B, D] float32.
    """
    import torch

    device = next(model.parameters()).device
    mean = torch.tensor(_MEAN, device=device).reshape(3, 1, 1)
    scale = torch.tensor(_SCALE, device=device).reshape(3, 1, 1)
    frames = torch.from_numpy(segments.reshape(-1, *segments.shape[2:])).permute(0, 3, 1, 2)
    parts = []
    with torch.inference_mode():
        for some in frames.split(_PER_CALL):
            pixels = (some.to(device).float() / 255 - mean) / scale
            parts.append(model.encode_image(pixels).float().cpu())
    embeddings = torch.cat(parts).reshape(*segments.shape[:2], -1)
    return embeddings.mean(dim=1).numpy()
