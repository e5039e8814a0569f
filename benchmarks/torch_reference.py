"""RefineVAD and its losses written straightforwardly in PyTorch, as published repositories are.

For benchmarks alone; needs torch. Only the paper's settings, and bags without padding, so that no
mask is carried. Axis letters: B videos, T segments, D channels, H width, C categories.
"""

import math
import multiprocessing
import pathlib
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import nn

from benchmarks import records


def gelu(x: torch.Tensor) -> torch.Tensor:
    """The tanh form, as jax.nn.gelu."""
    return nnf.gelu(x, approximate="tanh")


class Attention(nn.Module):
    """Multi-head attention by PyTorch's fused function."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.output = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)

    def forward(self, queries: torch.Tensor, sequence: torch.Tensor) -> torch.Tensor:
        """[B, Tq, H], [B, T, H] -> [B, Tq, H]."""

        def split(x: torch.Tensor) -> torch.Tensor:
            return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        key, value = self.key_value(sequence).chunk(2, dim=-1)
        mixed = nnf.scaled_dot_product_attention(
            split(self.query(queries)), split(key), split(value)
        )
        return self.output(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm Transformer block."""

    def __init__(self, width: int, heads: int, mlp_width: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.mlp_in, self.mlp_out = nn.Linear(width, mlp_width), nn.Linear(mlp_width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, H] -> [B, T, H]."""
        normed = self.attention_norm(x)
        x = x + self.dropout(self.attention(normed, normed))
        return x + self.dropout(self.mlp_out(gelu(self.mlp_in(self.mlp_norm(x)))))


class RefineVAD(nn.Module):
    """The network of configs/ucf.py."""

    def __init__(self, channels: int, categories: int, model: Any) -> None:
        super().__init__()
        width = model.width
        self.folding, self.tau = model.folding, model.tau
        self.input_norm = nn.LayerNorm(channels, eps=1e-6)
        self.gate = nn.ModuleList([nn.Linear(1, 16), nn.Linear(16, 16), nn.Linear(16, 1)])
        self.projection = nn.Linear(channels, width)
        self.projection_norm = nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(
            Block(width, model.num_heads, model.mlp_width, model.dropout)
            for _ in range(model.num_layers)
        )
        self.output_norm = nn.LayerNorm(width, eps=1e-6)
        self.coarse_score = nn.Linear(width, 1, bias=False)
        self.classifier = nn.Linear(width, 2 * categories)
        self.prototypes = nn.Parameter(torch.randn(categories, width) / math.sqrt(width))
        self.mixture = nn.ModuleList([nn.Linear(2 * width, 64), nn.Linear(64, 2)])
        self.cross_attention = Attention(width, model.num_heads)
        self.context_norm = nn.LayerNorm(width, eps=1e-6)
        self.scorer_norm = nn.LayerNorm(2 * width, eps=1e-6)
        self.scorer = nn.ModuleList(
            [nn.Linear(2 * width, model.scorer_width), nn.Linear(model.scorer_width, 1)]
        )
        self.dropout = nn.Dropout(model.dropout)

    def shift(self, x: torch.Tensor) -> torch.Tensor:
        """MoTAR with the straight-through ramp. [B, T, D] -> [B, T, D]."""
        x = self.input_norm(x / x.norm(dim=-1, keepdim=True).clamp_min(1e-6))
        change = (x[:, 1:] - x[:, :-1]).detach().var(dim=-1, unbiased=False)
        log = torch.log(torch.cat([change[:, :1], change], dim=1) + 1e-8)
        log = (log - log.mean(1, keepdim=True)) * torch.rsqrt(
            log.var(1, keepdim=True, unbiased=False) + 1e-6
        )
        hidden = gelu(self.gate[1](gelu(self.gate[0](log[..., None]))))
        edge = torch.sigmoid(self.gate[2](hidden)) * (x.shape[-1] / self.folding)
        channel = torch.arange(x.shape[-1], device=x.device)
        count = edge.floor()
        once, twice = channel < count, channel < 2 * count
        ramp = x.shape[-1] / 16

        def soft(position: torch.Tensor) -> torch.Tensor:
            return ((position + ramp / 2 - channel) / ramp).clamp(0, 1)

        first, both = soft(edge), soft(2 * edge)
        second = both - first
        before = once + first - first.detach()
        after = (twice & ~once) + second - second.detach()
        previous, following = nnf.pad(x, (0, 0, 1, 0))[:, :-1], nnf.pad(x, (0, 0, 0, 1))[:, 1:]
        return x + before * (previous - x) + after * (following - x)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Features [B, T, D] and labels [B, C]; gives what the losses read."""
        x = self.projection_norm(self.projection(self.shift(x)))
        x = self.dropout(x + positions(x.shape[1], x.shape[2], x.device))
        for block in self.blocks:
            x = block(x)
        x = self.output_norm(x)
        attention = torch.softmax(self.coarse_score(x)[..., 0], dim=-1)
        video = torch.einsum("bt,bth->bh", attention, x)
        logits = self.classifier(video).unflatten(-1, (-1, 2))
        probs = torch.softmax(logits, dim=-1)[..., 1]
        weights = torch.softmax(probs / self.tau, dim=-1)
        weighted = weights[..., None] * self.prototypes
        pair = torch.cat([video[:, None].expand_as(weighted), weighted], dim=-1)
        place = torch.sigmoid(self.mixture[1](gelu(self.mixture[0](pair))))
        injected = labels / labels.sum(-1, keepdim=True).clamp_min(1)
        feature = (weights + injected) @ self.prototypes
        context = self.context_norm(x + self.cross_attention(feature[:, None], x))
        hidden = gelu(self.scorer[0](self.scorer_norm(torch.cat([x, context], dim=-1))))
        return {
            "scores": torch.sigmoid(self.scorer[1](self.dropout(hidden))[..., 0]),
            "logits": logits,
            "probs": probs,
            "weights": weights,
            "mean": place[..., 0],
            "sigma": 0.01 + 0.49 * place[..., 1],
        }


def positions(length: int, width: int, device: torch.device) -> torch.Tensor:
    """Sine and cosine in turn. [T, H]."""
    rates = 10000.0 ** (-torch.arange(0, width, 2, device=device) / width)
    angle = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


def loss(out: dict[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """L_MIL by ranking + 0.1 L_GMM + 0.2 L_cat; the second half of the batch is anomalous."""
    scores = out["scores"]
    half, length = len(scores) // 2, scores.shape[1]
    video = scores.topk(length // 16 + 1, dim=-1).values.mean(-1)
    mil = nnf.relu(1 - video[half:, None] + video[None, :half]).mean()
    category = nnf.binary_cross_entropy_with_logits(
        out["logits"][..., 1] - out["logits"][..., 0], labels
    )
    alpha = out["weights"] * out["probs"]
    total = alpha.sum(-1, keepdim=True).clamp_min(1e-12)
    alpha = (alpha / total * out["probs"].amax(-1, keepdim=True)).detach()
    time = (torch.arange(length, device=scores.device) + 0.5) / length
    distance = (time[None, :, None] - out["mean"][:, None]) / out["sigma"][:, None]
    target = torch.einsum("btc,bc->bt", torch.exp(-0.5 * distance**2), alpha)
    return mil + 0.1 * ((scores - target) ** 2).mean() + 0.2 * category


def set_parameters(model: RefineVAD, params: Any) -> None:
    """Copies the parameters of the JAX network, a nested dict, into this one."""
    core, gate = params["core"], params["motar"]["gate"]
    pairs: list[tuple[nn.Module, Any]] = [
        (model.input_norm, params["modality_norm"]["norms"]["modality_0"]),
        *zip(model.gate, (gate[name] for name in ("w1", "w2", "w3")), strict=True),
        (model.coarse_score, core["category_head"]["coarse_score"]),
        (model.classifier, core["category_head"]["classifier"]),
        (model.mixture[0], core["mixture_head"]["hidden"]),
        (model.mixture[1], core["mixture_head"]["output"]),
        (model.context_norm, core["context_norm"]),
        (model.scorer_norm, params["scorer"]["norm"]),
        (model.scorer[0], params["scorer"]["hidden"]),
        (model.scorer[1], params["scorer"]["output"]),
    ]
    encoder = params["motar"]["encoder"]
    for name in ("projection", "projection_norm", "output_norm"):
        pairs.append((getattr(model, name), encoder[name]))
    for module, name in zip(model.blocks, encoder["blocks"], strict=True):
        block = encoder["blocks"][name]
        for part in ("attention_norm", "mlp_norm", "mlp_in", "mlp_out"):
            pairs.append((getattr(module, part), block[part]))
        for part in ("query", "key_value", "output"):
            pairs.append((getattr(module.attention, part), block["attention"][part]))
    for part in ("query", "key_value", "output"):
        pairs.append((getattr(model.cross_attention, part), core["cross_attention"][part]))
    with torch.no_grad():
        model.prototypes.copy_(torch.from_numpy(np.array(core["prototypes"])))
        for module, values in pairs:
            weight = values["kernel"].T if "kernel" in values else values["scale"]
            module.weight.copy_(torch.from_numpy(np.array(weight)))  # type: ignore[operator]
            if "bias" in values:
                module.bias.copy_(torch.from_numpy(np.array(values["bias"])))  # type: ignore[operator]


# How PyTorch runs a step: as written, compiled, compiled and recorded as CUDA graphs.
MODES = {"eager": "", "compile": "default", "compile_graphs": "reduce-overhead"}


class Trainer:
    """AdamW with clipping, on bags in memory or, as published loops, in one .npy file per video.

    device: where the network and the bags in memory are. config.train.precision="bfloat16" is
    autocast; float32 products may use TF32 where the device has it, as those of JAX.
    """

    def __init__(
        self, config: Any, bags: Any, folder: pathlib.Path | None, device: str = "cpu"
    ) -> None:
        """folder: for the files; None if only memory is asked for."""
        channels, categories = bags.features.shape[-1], bags.labels.shape[-1]
        torch.set_float32_matmul_precision("high")
        self._device = torch.device(device)
        self.network = RefineVAD(channels, categories, config.model).to(self._device)
        rate = config.optimizer.learning_rate
        fused = True if device == "cuda" else None
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), rate, weight_decay=1e-2, fused=fused
        )
        self._bags, self._folder, self._rng = bags, folder, np.random.default_rng(0)
        self._features = torch.from_numpy(bags.features[:, 0]).to(self._device)
        self._labels = torch.from_numpy(bags.labels).float().to(self._device)
        self._half = config.train.batch_size // 2
        self._bfloat16 = config.train.precision == "bfloat16"
        self._losses = {"eager": self._loss}
        for video, rows in enumerate(bags.features[:, 0] if folder else ()):
            np.save(folder / f"{video}.npy", rows)

    def run(self, count: int, *, files: bool, mode: str = "eager") -> tuple[float, float]:
        """So many steps on random videos, half normal, half anomalous: clock and processor."""
        if mode not in self._losses:
            self._losses[mode] = torch.compile(self._loss, mode=MODES[mode])
        return records.timed(lambda: self._run(count, files, mode))

    def _run(self, count: int, files: bool, mode: str) -> float:
        lists = self._bags.normal[0], self._bags.anomalous[0]
        drawn = np.stack(
            [
                np.concatenate([self._rng.choice(rows, self._half) for rows in lists])
                for _ in range(count)
            ]
        )
        for videos, rows in zip(drawn, torch.from_numpy(drawn).to(self._device), strict=True):
            if files:
                loaded = np.stack([np.load(self._folder / f"{video}.npy") for video in videos])
                features = torch.from_numpy(loaded).to(self._device)
            else:
                features = self._features[rows]
            value = self._step(features.float(), self._labels[rows], mode)
        return value.item()  # on a GPU it waits for all steps

    def _step(self, x: torch.Tensor, y: torch.Tensor, mode: str) -> torch.Tensor:
        """One update on features [B, T, D] and labels [B, C]."""
        if mode == "compile_graphs":
            torch.compiler.cudagraph_mark_step_begin()
        value = self._losses[mode](x, y)
        self.optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        return value.detach()

    def _loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            found = self.network(x, y)
        return loss({name: value.float() for name, value in found.items()}, y)

    def peak_gb(self) -> float:
        """The most memory of the GPU that tensors have taken; 0 without one."""
        return torch.cuda.max_memory_allocated() / 1e9 if self._device.type == "cuda" else 0.0

    def plain_loss(self, params: Any, videos: np.ndarray) -> float:
        """The loss of the JAX network's parameters without dropout, to compare with its own."""
        set_parameters(self.network, params)
        self.network.eval()
        with torch.no_grad():
            rows = torch.from_numpy(videos).to(self._device)
            y = self._labels[rows]
            value = loss(self.network(self._features[rows].float(), y), y)
        self.network.train()
        return value.item()


class Worker:
    """A Trainer in another process: threads of one library do not slow those of another."""

    def __init__(
        self, config: Any, bags: Any, folder: pathlib.Path | None, device: str = "cpu"
    ) -> None:
        self._pool = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(config, bags, folder, device),
        )

    def run(self, count: int, *, files: bool, mode: str = "eager") -> tuple[float, float]:
        """As of Trainer."""
        return self.begin(count, files=files, mode=mode).result()

    def begin(self, count: int, *, files: bool, mode: str) -> Future[tuple[float, float]]:
        """The same, without waiting for it."""
        return self._pool.submit(_run, count, files=files, mode=mode)

    def plain_loss(self, params: Any, videos: np.ndarray) -> float:
        """As of Trainer."""
        return self._pool.submit(_plain_loss, params, videos).result()

    def peak_gb(self) -> float:
        """As of Trainer."""
        return self._pool.submit(_peak_gb).result()

    def close(self) -> None:
        """Ends the process."""
        self._pool.shutdown(cancel_futures=True)


_trainers: list[Trainer] = []


def _start(config: Any, bags: Any, folder: pathlib.Path | None, device: str) -> None:
    _trainers.append(Trainer(config, bags, folder, device))


def _run(count: int, *, files: bool, mode: str) -> tuple[float, float]:
    return _trainers[0].run(count, files=files, mode=mode)


def _plain_loss(params: Any, videos: np.ndarray) -> float:
    return _trainers[0].plain_loss(params, videos)


def _peak_gb() -> float:
    return _trainers[0].peak_gb()
