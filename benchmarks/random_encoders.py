"""The encoders' networks with random weights: how fast they are does not depend on the values."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from refinevad_jax.encoders import i3d

# Output channels of the units of every Inception module, in the order of its branches.
_INCEPTION = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def random_i3d(thinner: int = 1) -> i3d.Weights:
    """Weights of I3D's shapes without its package; every width is divided."""
    shapes, width = {}, 192 // thinner
    stem = {
        "Conv3d_1a_7x7": (7, 3, 64),
        "Conv3d_2b_1x1": (1, 64, 64),
        "Conv3d_2c_3x3": (3, 64, 192),
    }
    for name, (taps, given, made) in stem.items():
        given = given if given == 3 else given // thinner
        shapes[name] = (taps, taps, taps, given, made // thinner)
    for name, widths in _INCEPTION.items():
        one, *pairs, pooled = (max(1, made // thinner) for made in widths)
        shapes[f"{name}/Branch_0/Conv3d_0a_1x1"] = (1, 1, 1, width, one)
        for branch, (inner, made) in enumerate((pairs[:2], pairs[2:]), 1):
            shapes[f"{name}/Branch_{branch}/Conv3d_0a_1x1"] = (1, 1, 1, width, inner)
            shapes[f"{name}/Branch_{branch}/Conv3d_0b_3x3"] = (3, 3, 3, inner, made)
        shapes[f"{name}/Branch_3/Conv3d_0b_1x1"] = (1, 1, 1, width, pooled)
        width = one + pairs[1] + pairs[3] + pooled
    rng = np.random.default_rng(0)
    return {
        name: (
            jnp.asarray(rng.standard_normal(shape, np.float32) / np.prod(shape[:-1]) ** 0.5),
            jnp.zeros(shape[-1]),
        )
        for name, shape in shapes.items()
    }


def random_vit(thinner: int = 1) -> Any:
    """The image tower of CLIP ViT-L/14 by PyTorch's own layers, with encode_image as open_clip."""
    import torch
    from torch import nn

    width, layers = 1024 // thinner, 24 // thinner or 1

    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, width, 14, 14, bias=False)
            self.tokens = nn.Parameter(torch.randn(1, 257, width) / 32)
            self.first, self.last = nn.LayerNorm(width), nn.LayerNorm(width)
            layer = nn.TransformerEncoderLayer(
                width, 16, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
            self.projection = nn.Linear(width, 768, bias=False)

        def encode_image(self, pixels: Any) -> Any:
            patches = self.patches(pixels).flatten(2).transpose(1, 2)
            tokens = nn.functional.pad(patches, (0, 0, 1, 0)) + self.tokens
            return self.projection(self.last(self.layers(self.first(tokens))[:, 0]))

    return Tower().eval()
