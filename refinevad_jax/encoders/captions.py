"""Captions of a few frames by InternVideo2.5, the paper's, or a model with the same `chat`.

The model is loaded by transformers with the code that its repository brings, so the caller has to
agree to run that. Each frame is one square of the size that the model reads, bicubic, normalised
as for ImageNet; the question names the frames one by one, as the model's card does.
"""

import dataclasses
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax.errors import UserError

MODEL = "OpenGVLab/InternVideo2_5_Chat_8B"
PROMPT = "Describe what happens in this surveillance video in one sentence."
FRAMES_PER_GROUP = 4  # InternVideo2.5 merges the tokens of four frames

_INSTALL = "pip install torch torchvision timm einops 'transformers==4.40.1'"
_COMMIT = re.compile("[0-9a-f]{40}")
_DEFAULT_SIZE = 448
_MEAN = (0.485, 0.456, 0.406)
_SCALE = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Captioner:
    """A loaded model.

    Attributes:
        name: as given; commit: of its repository on the Hub, "" for a folder.
        size: rows and columns of the squares that the model sees.
        max_new_tokens: longest caption.
    """

    name: str
    commit: str
    size: int
    max_new_tokens: int
    model: Any
    tokenizer: Any

    def caption(self, frames: Sequence[np.ndarray], prompt: str = PROMPT) -> str:
        """One line about frames in the order of time, [Y, X, 3] uint8 each.

        The number of frames is a multiple of FRAMES_PER_GROUP. Greedy, so that the same frames give
        the same words. Raises UserError if the model fails.
        """
        import torch

        pixels = torch.from_numpy(np.stack([squared(frame, self.size) for frame in frames]))
        names = "".join(f"Frame{i}: <image>\n" for i in range(1, len(frames) + 1))
        # The model writes into this dictionary.
        generation = {"do_sample": False, "num_beams": 1, "max_new_tokens": self.max_new_tokens}
        try:
            with torch.inference_mode():
                answer = self.model.chat(
                    self.tokenizer,
                    pixels.to(self.model.device, self.model.dtype),
                    names + prompt,
                    generation,
                    num_patches_list=[1] * len(frames),
                    history=None,
                    return_history=False,
                )
        except Exception as error:  # whatever the code of the model raises
            raise UserError(f"{self.name}: the model failed ({_first_line(error)})") from error
        return " ".join(str(answer).split())


def squared(frame: np.ndarray, size: int) -> np.ndarray:
    """A frame as the model reads it: [3, size, size] float32. frame: [Y, X, 3] uint8."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(frame))
    resized = picture.resize((size, size), Image.Resampling.BICUBIC)
    values = (np.asarray(resized, np.float32) / 255 - _MEAN) / _SCALE
    return values.transpose(2, 0, 1).astype(np.float32)


def load_captioner(name: str, *, revision: str, trust_code: bool, max_new_tokens: int) -> Captioner:
    """Loads a model and its tokenizer, in bfloat16 onto a GPU if PyTorch has one.

    name: repository on the Hub, fetched by transformers unless its cache has it, or a folder.
    revision: commit of that repository, so that what runs is what was read; "" for a folder.
    trust_code: whether Python code in that repository may run. Raises UserError if a library is
    missing, the model cannot be loaded or has no `chat`.
    """
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise UserError(f"captions need PyTorch and transformers: {_INSTALL}") from error
    if not trust_code:
        raise UserError(
            f"--model={name}: models with a chat bring their own Python code; read it, then "
            "give --trust_remote_code to run it"
        )
    if not pathlib.Path(name).is_dir() and not _COMMIT.fullmatch(revision):
        raise UserError(
            f"--model={name}: its repository may change; give --revision=COMMIT, the 40 digits of "
            "the commit that you have read"
        )
    # bandit does not see that it is pinned (B615).
    pinned: dict[str, Any] = {"revision": revision or None, "trust_remote_code": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **pinned)  # nosec B615
        model = AutoModel.from_pretrained(name, **pinned)  # nosec B615
    except Exception as error:  # files, network, the code of the model
        raise UserError(
            f"--model={name}: cannot be loaded ({_first_line(error)}); InternVideo2.5 needs "
            f"{_INSTALL}"
        ) from error
    if not hasattr(model, "chat"):
        raise UserError(f"--model={name}: {type(model).__name__} has no chat(); choose {MODEL}")
    on_gpu = torch.cuda.is_available()
    model = model.to("cuda" if on_gpu else "cpu", torch.bfloat16 if on_gpu else torch.float32)
    return Captioner(
        name=name,
        commit=str(getattr(model.config, "_commit_hash", "") or ""),
        size=int(getattr(model.config, "force_image_size", None) or _DEFAULT_SIZE),
        max_new_tokens=max_new_tokens,
        model=model.eval(),
        tokenizer=tokenizer,
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
