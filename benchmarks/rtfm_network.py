"""RTFM's network and loss in PyTorch, after the paper (Tian et al., ICCV 2021); for rtfm.py.

Axis letters: B videos, T segments, C categories, D channels.
"""

import torch
import torch.nn.functional as nnf
from torch import nn

from benchmarks.peer_training import Peer

MARGIN = 100.0
MAGNITUDE_WEIGHT, SMOOTHNESS_WEIGHT, SPARSITY_WEIGHT = 1e-4, 8e-4, 8e-3
DROPOUT = 0.7
TOP_DIVISOR = 16  # 3 of 32 segments, as published


class NonLocal(nn.Module):
    """Self-attention without softmax over segments, added to its input; starts as the identity."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.value, self.query, self.key = (nn.Conv1d(width, inner, 1) for _ in range(3))
        self.output, self.norm = nn.Conv1d(inner, width, 1), nn.BatchNorm1d(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, width, T] -> [B, width, T]."""
        weights = self.query(x).transpose(1, 2) @ self.key(x) / x.shape[-1]
        mixed = (weights @ self.value(x).transpose(1, 2)).transpose(1, 2)
        return x + self.norm(self.output(mixed))


class Network(Peer):
    """Multi-scale temporal network, then three linear layers to a score."""

    HALF_BATCH, LOOK_EVERY = 32, 5
    LEARNING_RATE, WEIGHT_DECAY = 1e-3, 5e-3

    def __init__(self, num_channels: int, num_categories: int, width: int = 512) -> None:
        super().__init__()
        del num_categories  # categories are not part of the system
        self.pyramid = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(num_channels, width, 3, dilation=d, padding=d),
                nn.ReLU(),
                nn.BatchNorm1d(width),
            )
            for d in (1, 2, 4)
        )
        self.reduce = nn.Sequential(nn.Conv1d(num_channels, width, 1, bias=False), nn.ReLU())
        self.non_local = NonLocal(width, width // 2)
        self.join = nn.Sequential(
            nn.Conv1d(4 * width, num_channels, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.BatchNorm1d(num_channels),
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.hidden, self.narrow = nn.Linear(num_channels, 512), nn.Linear(512, 128)
        self.output = nn.Linear(128, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def features_and_scores(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, T, D] -> features [B, T, D] and scores [B, T]."""
        x = features.transpose(1, 2)
        scales = [scale(x) for scale in self.pyramid]
        joined = self.join(torch.cat([*scales, self.non_local(self.reduce(x))], dim=1))
        x = self.dropout((x + joined).transpose(1, 2))
        hidden = self.dropout(nnf.relu(self.hidden(x)))
        hidden = self.dropout(nnf.relu(self.narrow(hidden)))
        return x, torch.sigmoid(self.output(hidden))[..., 0]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, T, D] -> scores [B, T]."""
        return self.features_and_scores(features)[1]

    def loss(self, batch: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Of a batch [B, T, D] whose first half is normal.

        Segments are hidden from the choice of the highest magnitudes by dropout.
        """
        del labels
        features, scores = self.features_and_scores(batch)
        seen = nnf.dropout(torch.ones_like(scores), DROPOUT)
        return loss(features, scores, seen)


def loss(features: torch.Tensor, scores: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """RTFM's loss, from features [B, T, D] and scores [B, T] whose first half is normal.

    The segments of a video are its T // 16 + 1 of the highest feature magnitude times seen [B, T]:
    their mean score meets the label, their mean feature's norm is drawn to the margin if anomalous
    and to 0 if normal. Scores of anomalous videos are drawn to be smooth and few.
    """
    half = len(scores) // 2
    top = scores.shape[1] // TOP_DIVISOR + 1
    index = (features.norm(dim=2) * seen).topk(top, dim=1).indices
    videos = scores.gather(1, index).mean(dim=1)
    labels = torch.cat([torch.zeros(half), torch.ones(len(scores) - half)])
    chosen = features.gather(1, index[..., None].expand(-1, -1, features.shape[2]))
    norm = chosen.mean(dim=1).norm(dim=1)
    magnitudes = (((MARGIN - norm[half:]).abs() + norm[:half]) ** 2).mean()
    smoothness = ((scores[half:, 1:] - scores[half:, :-1]) ** 2).sum()
    sparsity = scores[half:].norm(dim=1).mean()
    return (
        nnf.binary_cross_entropy(videos, labels)
        + MAGNITUDE_WEIGHT * magnitudes
        + SMOOTHNESS_WEIGHT * smoothness
        + SPARSITY_WEIGHT * sparsity
    )
