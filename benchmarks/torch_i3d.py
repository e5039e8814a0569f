"""I3D in PyTorch on the same folded weights, for benchmarks alone; needs torch."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf

from refinevad_jax.encoders import i3d


def encoder(folded: Mapping[str, tuple[Any, Any]]) -> Callable[[np.ndarray], np.ndarray]:
    """Features [B, 1024] of [B, F, 224, 224, 3] uint8.

    folded: as refinevad_jax.encoders.i3d.load_weights gives them.
    """
    layout = torch.channels_last_3d
    units = {
        name: (
            torch.from_numpy(np.array(kernel).transpose(4, 3, 0, 1, 2).copy()).to(
                memory_format=layout
            ),
            torch.from_numpy(np.array(bias)),
        )
        for name, (kernel, bias) in folded.items()
    }

    def padded(net: torch.Tensor, window: Sequence[int], strides: Sequence[int]) -> torch.Tensor:
        """With zeros, as "SAME" asks; no value that is pooled is below 0."""
        pads: list[int] = []
        for length, size, stride in zip(net.shape[2:], window, strides, strict=True):
            total = max((-(-length // stride) - 1) * stride + size - length, 0)
            pads = [total // 2, total - total // 2, *pads]
        return nnf.pad(net, pads)

    def unit(name: str, stride: int, net: torch.Tensor) -> torch.Tensor:
        kernel, bias = units[name]
        net = padded(net, kernel.shape[2:], (stride,) * 3)
        return nnf.conv3d(net, kernel, bias, stride=stride).relu_()

    def max_pool(net: torch.Tensor, window: Sequence[int], strides: Sequence[int]) -> torch.Tensor:
        # In space as of single pictures, then along time: max_pool3d takes ten times as long.
        net = padded(net, window, strides).transpose(1, 2)
        flat = net.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        net = nnf.max_pool2d(flat, window[1:], strides[1:]).unflatten(0, net.shape[:2])
        kept = (net.shape[1] - window[0]) // strides[0] + 1
        seen = [net[:, i : i + strides[0] * (kept - 1) + 1 : strides[0]] for i in range(window[0])]
        return functools.reduce(torch.maximum, seen).transpose(1, 2)

    def encode(segments: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            net = torch.from_numpy(segments).permute(0, 4, 1, 2, 3).float() * (2 / 255) - 1
            net = net.contiguous(memory_format=layout)
            return (
                i3d.walk(net, unit, max_pool, functools.partial(torch.cat, dim=1))
                .mean(dim=(2, 3, 4))
                .numpy()
            )

    return encode
