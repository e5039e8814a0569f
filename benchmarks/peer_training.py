"""The training of another system in PyTorch: batches, steps, looks; what a network has to offer.

B videos, T segments, C categories, D channels.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

VIDEOS_PER_CALL = 64


class Peer(nn.Module):
    """A network with its loss. In eval mode, calling it on [B, T, D] gives scores [B, T].

    Attributes:
        HALF_BATCH: videos of either kind in a batch.
        LEARNING_RATE, WEIGHT_DECAY: of Adam.
        LOOK_EVERY: steps between two looks at the selection videos.
    """

    HALF_BATCH: int
    LEARNING_RATE: float
    WEIGHT_DECAY: float
    LOOK_EVERY: int

    def loss(self, batch: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Of a batch [B, T, D] whose first half is normal; labels: [B, C], 0 or 1."""
        raise NotImplementedError

    @staticmethod
    def rate(done: float) -> float:
        """The learning rate as a share of LEARNING_RATE, at a share of the steps."""
        del done
        return 1.0


Score = Callable[[np.ndarray], np.ndarray]


def looks(
    network: Callable[[int, int], Peer],
    features: np.ndarray,
    labels: np.ndarray,
    steps: int,
    seed: int,
) -> Iterator[tuple[int, Score]]:
    """Trains on features [V, T, D] with labels [V, C] bool; stops to look every few steps.

    network: makes one of D channels and C categories. Yields the step, and what scores videos as
    the network is then: [W, T, D] to [W, T] float64. The last step is looked at too.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    peer = network(features.shape[-1], labels.shape[1])
    optimizer = torch.optim.Adam(
        peer.parameters(), lr=peer.LEARNING_RATE, weight_decay=peer.WEIGHT_DECAY
    )
    anomalous = labels.any(axis=1)
    lists = [_endless(np.flatnonzero(chosen), rng) for chosen in (~anomalous, anomalous)]

    def score(others: np.ndarray) -> np.ndarray:
        peer.eval()
        with torch.no_grad():
            parts = torch.from_numpy(others).split(VIDEOS_PER_CALL)
            return torch.cat([peer(part) for part in parts]).numpy().astype(np.float64)

    for step in range(1, steps + 1):
        peer.train()
        rows = [next(indices) for indices in lists for _ in range(peer.HALF_BATCH)]
        for group in optimizer.param_groups:
            group["lr"] = peer.LEARNING_RATE * peer.rate((step - 1) / steps)
        loss = peer.loss(
            torch.from_numpy(features[rows]), torch.from_numpy(labels[rows].astype(np.float32))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % peer.LOOK_EVERY == 0 or step == steps:
            yield step, score


def _endless(rows: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """The rows of a list, shuffled again at every pass."""
    while True:
        yield from rng.permutation(rows)
