"""UR-DMU's network and loss in PyTorch, after the paper (Zhou et al., AAAI 2023); for ur_dmu.py.

Axis letters: B videos, T segments, C categories, D channels, H width.
"""

import math

import torch
import torch.nn.functional as nnf
from torch import nn

from benchmarks.peer_training import Peer

WIDTH, LAYERS, HEADS, DROPOUT = 512, 2, 4, 0.5
MEMORIES = 60  # rows of either memory
TOP_DIVISOR = 16
MARGIN = 100.0
MEMORY_WEIGHT, TRIPLET_WEIGHT, KL_WEIGHT, DISTANCE_WEIGHT = 0.1, 0.1, 1e-3, 1e-4


def highest(values: torch.Tensor) -> torch.Tensor:
    """Positions of the n // 16 + 1 highest along the last axis of n."""
    return values.topk(values.shape[-1] // TOP_DIVISOR + 1, dim=-1).indices


def mean_of_highest(values: torch.Tensor) -> torch.Tensor:
    """Their mean, without the last axis."""
    return values.gather(-1, highest(values)).mean(dim=-1)


class GlobalLocalAttention(nn.Module):
    """Attention by content beside one by distance in time, each with its own values."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.output = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.Dropout(DROPOUT))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, H] -> [B, T, H]."""
        shape = *x.shape[:2], HEADS, WIDTH // HEADS
        query, key, content, place = (
            part.reshape(shape).transpose(1, 2) for part in self.inputs(x).chunk(4, dim=-1)
        )
        by_content = nnf.scaled_dot_product_attention(query, key, content)
        time = torch.arange(x.shape[1], dtype=x.dtype)
        near = torch.softmax(-(time[:, None] - time).abs() / math.e, dim=-1)
        joined = torch.cat([by_content, near @ place], dim=-1)
        return self.output(joined.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """A pre-norm Transformer layer with that attention."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(WIDTH), GlobalLocalAttention())
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(WIDTH, WIDTH),
            nn.Dropout(DROPOUT),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, H] -> [B, T, H]."""
        x = x + self.attention(x)
        return x + self.mlp(x)


class Memory(nn.Module):
    """Learned rows: how near a segment is to the nearest of them, and their sum by nearness."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.empty(MEMORIES, WIDTH))
        nn.init.uniform_(self.rows, -(WIDTH**-0.5), WIDTH**-0.5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, T, H] -> nearness [B, T] in (0, 1) and [B, T, H]."""
        nearness = torch.sigmoid(x @ self.rows.T / math.sqrt(WIDTH))
        return mean_of_highest(nearness), nearness @ self.rows


class Network(Peer):
    """Convolution, two layers, the memories of normal and anomalous, a classifier."""

    HALF_BATCH, LOOK_EVERY = 64, 10
    LEARNING_RATE, WEIGHT_DECAY = 1e-4, 5e-5

    def __init__(self, num_channels: int, num_categories: int) -> None:
        super().__init__()
        del num_categories  # categories are not part of the system
        self.embedding = nn.Conv1d(num_channels, WIDTH, 3, padding=1)
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.normal, self.anomalous = Memory(), Memory()
        self.mean, self.log_variance = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.classifier = nn.Sequential(
            nn.Linear(2 * WIDTH, 128), nn.ReLU(), nn.Linear(128, 1), nn.Sigmoid()
        )

    def embedded(self, features: torch.Tensor) -> torch.Tensor:
        """[B, T, D] -> [B, T, H]."""
        return self.layers(nnf.relu(self.embedding(features.transpose(1, 2))).transpose(1, 2))

    def classified(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """[B, T, H] each -> scores [B, T]."""
        return self.classifier(torch.cat([x, memory], dim=-1))[..., 0]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, T, D] -> scores [B, T]."""
        x = self.embedded(features)
        return self.classified(x, self.mean(self.anomalous(x)[1]) + self.mean(self.normal(x)[1]))

    def loss(self, batch: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Of a batch [B, T, D] whose first half is normal."""
        del labels
        x = self.embedded(batch)
        normal, anomalous = x.chunk(2)
        own, own_sum = self.normal(normal)
        other, other_sum = self.anomalous(normal)
        found, found_sum = self.anomalous(anomalous)
        rest, rest_sum = self.normal(anomalous)
        # What the normal memory says of normal videos is uncertain: a draw in training, its mean
        # in scoring.
        mean, log_variance = self.mean(own_sum), self.log_variance(own_sum)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        of_anomalous = self.mean(found_sum)
        memory = [drawn + self.mean(other_sum), of_anomalous + self.mean(rest_sum)]
        scores = self.classified(x, torch.cat(memory))
        return (
            score_loss(scores)
            + MEMORY_WEIGHT * memory_loss(own, other, found, rest)
            + TRIPLET_WEIGHT
            * triplet_loss(taken(normal, own), taken(anomalous, rest), taken(anomalous, found))
            + KL_WEIGHT * divergence(mean, log_variance)
            + DISTANCE_WEIGHT * distance_loss(taken(drawn, own), taken(of_anomalous, found))
        )


def taken(values: torch.Tensor, nearness: torch.Tensor) -> torch.Tensor:
    """[B, H], the mean of values [B, T, H] over the segments of the highest nearness [B, T]."""
    index = highest(nearness)[..., None].expand(-1, -1, values.shape[-1])
    return values.gather(1, index).mean(dim=1)


def score_loss(scores: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of a video's highest scores [B, T], the first half normal."""
    labels = torch.cat([torch.zeros(len(scores) // 2), torch.ones(len(scores) // 2)])
    return nnf.binary_cross_entropy(mean_of_highest(scores), labels)


def memory_loss(
    own: torch.Tensor, other: torch.Tensor, found: torch.Tensor, rest: torch.Tensor
) -> torch.Tensor:
    """What the nearness [B, T] to the memories must be.

    Of normal videos to the normal memory (own) 1 and to the anomalous one (other) 0, in every
    segment; of anomalous videos some segments are near the anomalous memory (found), and some far
    from the normal one (rest).
    """
    ones = torch.ones(len(found))
    return (
        nnf.binary_cross_entropy(mean_of_highest(found), ones)
        + nnf.binary_cross_entropy(mean_of_highest(1 - rest), ones)
        + nnf.binary_cross_entropy(own, torch.ones_like(own))
        + nnf.binary_cross_entropy(other, torch.zeros_like(other))
    )


def triplet_loss(
    anchor: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
) -> torch.Tensor:
    """Of directions [B, H]: normal, the normal part of an anomalous video, its anomalous part."""
    units = [nnf.normalize(values, dim=-1) for values in (anchor, positive, negative)]
    return nnf.triplet_margin_loss(*units, margin=1.0)


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """From N(0, 1), [B, T, H] each: summed over segments, as published, mean over the rest."""
    terms = mean**2 + log_variance.exp() - 1 - log_variance
    return 0.5 * terms.sum(dim=1).mean()


def distance_loss(normal: torch.Tensor, anomalous: torch.Tensor) -> torch.Tensor:
    """Of [B, H] each: the norms must differ by the margin."""
    return nnf.relu(MARGIN - anomalous.norm(dim=-1) + normal.norm(dim=-1)).mean()
