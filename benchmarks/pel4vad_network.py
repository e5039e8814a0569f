"""PEL4VAD's network and loss in PyTorch, after the paper (Pu et al., TIP 2024); for pel4vad.py.

Axis letters: B videos, T segments, C categories, D channels.
"""

import math

import torch
import torch.nn.functional as nnf
from torch import nn

from benchmarks.peer_training import Peer

ATTENTION_WIDTH, OUTPUT_WIDTH, DROPOUT = 128, 300, 0.1
WINDOW, CAUSAL_STEPS = 9, 9  # segments
TEMPERATURE, SHARPNESS = 0.09, 10.0
PROMPT_WEIGHT = 1.0
TOP_DIVISOR = 16
PUBLISHED_SHARE = 50 / 60  # of the cosine that falls to 0: 50 epochs of one laid out for 60


class ContextAggregation(nn.Module):
    """One similarity of segments, read globally and in a window, mixed by a learned share."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (
            nn.Linear(num_channels, ATTENTION_WIDTH) for _ in range(3)
        )
        self.output = nn.Linear(ATTENTION_WIDTH, num_channels)
        self.share = nn.Parameter(torch.tensor(0.0))
        self.slope, self.offset = nn.Parameter(torch.tensor(0.6)), nn.Parameter(torch.tensor(0.2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, D] -> [B, T, D]."""
        time = torch.arange(x.shape[1], dtype=x.dtype)
        distance = (time[:, None] - time).abs()
        near = torch.exp(-(self.slope * distance**2 - self.offset).abs())
        similarity = self.query(x) @ self.key(x).transpose(1, 2)
        similarity = similarity / math.sqrt(ATTENTION_WIDTH) + near
        inside = similarity.masked_fill(distance > WINDOW // 2, -math.inf)
        share, value = torch.sigmoid(self.share), self.value(x)
        mixed = share * similarity.softmax(-1) @ value + (1 - share) * inside.softmax(-1) @ value
        rooted = nnf.relu(mixed).sqrt() - nnf.relu(-mixed).sqrt()
        return self.output(nnf.normalize(rooted, dim=1))  # over time, as published


class Network(Peer):
    """Context, two layers per segment, a classifier that looks back; prompts in training alone."""

    HALF_BATCH, LOOK_EVERY = 64, 10
    LEARNING_RATE, WEIGHT_DECAY = 5e-4, 0.0

    def __init__(self, num_channels: int, num_categories: int) -> None:
        super().__init__()
        half = num_channels // 2
        self.context = ContextAggregation(num_channels)
        self.norm = nn.LayerNorm(num_channels)
        self.reduce, self.narrow = nn.Linear(num_channels, half), nn.Linear(half, OUTPUT_WIDTH)
        self.classifier = nn.Conv1d(OUTPUT_WIDTH, 1, CAUSAL_STEPS)
        self.dropout = nn.Dropout(DROPOUT)
        self.prompts = nn.Parameter(torch.randn(1 + num_categories, half))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    @staticmethod
    def rate(done: float) -> float:
        """Along a cosine, which has not reached 0 at the last step."""
        return 0.5 * (1 + math.cos(math.pi * done * PUBLISHED_SHARE))

    def features_and_scores(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, T, D] -> features [B, T, D / 2] and scores [B, T]."""
        x = self.norm(features + self.context(features))
        x = self.dropout(nnf.gelu(self.reduce(x)))
        narrow = self.dropout(nnf.gelu(self.narrow(x))).transpose(1, 2)
        logits = self.classifier(nnf.pad(narrow, (CAUSAL_STEPS - 1, 0)))
        return x, torch.sigmoid(logits[:, 0])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """[B, T, D] -> scores [B, T]."""
        return self.features_and_scores(features)[1]

    def loss(self, batch: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Of a batch [B, T, D]; labels: [B, C], all 0 for a normal video."""
        features, scores = self.features_and_scores(batch)
        found = prompt_loss(features, scores, labels, self.prompts, self.log_scale.exp())
        return score_loss(scores, labels) + PROMPT_WEIGHT * found


def score_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of a normal video's highest score, and of an anomalous one's T // 16 + 1."""
    anomalous = labels.any(dim=1)
    top = scores.topk(scores.shape[1] // TOP_DIVISOR + 1, dim=1).values
    videos = torch.where(anomalous, top.mean(dim=1), top[:, 0])
    return nnf.binary_cross_entropy(videos, anomalous.to(scores.dtype))


def prompt_loss(
    features: torch.Tensor,
    scores: torch.Tensor,
    labels: torch.Tensor,
    prompts: torch.Tensor,
    scale: torch.Tensor,
) -> torch.Tensor:
    """Draws what a video shows to the prompt of its category, its background to that of normal.

    features: [B, T, H]; scores: [B, T]; labels: [B, C]; prompts: [1 + C, H], normal first; scale:
    of cosines. A row of the batch is the foreground of a video, or the background of an anomalous
    one; the divergence of its similarity to the prompts of all rows from where its label is.
    """
    anomalous = labels.any(dim=1)
    foreground = _attended(features, scores)
    background = _attended(features, 1 - scores)[anomalous]
    normal = torch.cat([(~anomalous).to(labels.dtype)[:, None], labels], dim=1)
    only_normal = torch.zeros_like(normal[anomalous])
    only_normal[:, 0] = 1
    rows, kinds = torch.cat([foreground, background]), torch.cat([normal, only_normal])
    own = kinds @ prompts / kinds.sum(dim=1, keepdim=True)
    cosine = nnf.normalize(rows, dim=1) @ nnf.normalize(own, dim=1).T
    same = (kinds[:, None] == kinds).all(dim=2).to(rows.dtype)
    target = torch.softmax(SHARPNESS * same, dim=1)
    return nnf.kl_div(torch.log_softmax(scale * cosine, dim=1), target, reduction="batchmean")


def _attended(features: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """[B, H] mean of features with weights exp(10 s) - 1."""
    weights = nnf.normalize(torch.expm1(SHARPNESS * scores), p=1, dim=1)
    return (weights[:, None] @ features)[:, 0]
