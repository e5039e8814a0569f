"""Mean and deviation of the training segments, put where the network keeps them.

Axis letters: S seeds, V videos, N crops, T segments, D feature channels.
"""

import dataclasses

import numpy as np

from refinevad_jax.data.batches import TrainingBags
from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.runs.checkpoints import TrainState

# Of a channel that is the same everywhere.
SMALLEST = 1e-6


def standardized(states: TrainState, bags: TrainingBags, network: ModelConfig) -> TrainState:
    """States [S, ...] whose networks standardise by the videos that each of them is trained on.

    States of networks that do not standardise are given back as they are.
    """
    if network.normalization != "training":
        return states
    sums = _sums_of_videos(bags, network.modality_widths)
    mean, deviation = (
        np.stack(values)
        for values in zip(
            *(
                _moments(*(part[np.union1d(normal, anomalous)].sum(axis=0) for part in sums))
                for normal, anomalous in zip(bags.normal, bags.anomalous, strict=True)
            ),
            strict=True,
        )
    )
    norm = states.params["modality_norm"] | {"mean": mean, "deviation": deviation}
    return dataclasses.replace(states, params=states.params | {"modality_norm": norm})


def _sums_of_videos(
    bags: TrainingBags, widths: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with evidence, their sum and their sum of squares, each [V, D] float64."""
    shape = bags.features.shape
    found = np.zeros((3, shape[0], shape[3]))
    for video in range(shape[0]):
        rows = _rows(bags, video)
        parts = np.split(rows, np.cumsum(widths)[:-1], axis=-1)
        known = np.concatenate(
            [np.broadcast_to((part != 0).any(-1, keepdims=True), part.shape) for part in parts], -1
        )
        found[:, video] = known.sum(axis=0), rows.sum(axis=0), (rows**2).sum(axis=0)
    return found[0], found[1], found[2]


def _rows(bags: TrainingBags, video: int) -> np.ndarray:
    """All segments of all crops of a video: [N x T, D] float64."""
    features = bags.features
    if isinstance(features, np.ndarray):
        rows = features[video]
    else:
        rows = np.stack([features.row(video, crop) for crop in range(features.shape[1])])
    return rows.reshape(-1, rows.shape[-1]).astype(np.float64)


def _moments(
    count: np.ndarray, total: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation per channel [D] float32; a channel without any evidence has 0 and 1."""
    known = np.maximum(count, 1)
    mean = total / known
    deviation = np.sqrt(np.maximum(squares / known - mean**2, 0.0))
    deviation = np.where(count > 0, np.maximum(deviation, SMALLEST), 1.0)
    return mean.astype(np.float32), deviation.astype(np.float32)
