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

    States of networks that do not standardise are given back as they are. The bags are as the
    network takes them: with the normalization "recording" differences from a median already.
    """
    if network.normalization == "modality":
        return states
    by_median = network.normalization == "video"
    around_zero = network.normalization in ("video", "recording")
    sums = _sums_of_videos(bags, network.modality_widths, by_median)
    found = []
    for lists in zip(bags.normal, bags.anomalous, strict=True):
        count, total, squares = (part[np.union1d(*lists)].sum(axis=0) for part in sums)
        found.append(_moments(count, total, squares, around_zero=around_zero))
    mean, deviation = (np.stack(values) for values in zip(*found, strict=True))
    norm = states.params["modality_norm"] | {"deviation": deviation}
    if not around_zero:
        norm |= {"mean": mean}
    return dataclasses.replace(states, params=states.params | {"modality_norm": norm})


def _sums_of_videos(
    bags: TrainingBags, widths: tuple[int, ...], by_median: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with evidence, their sum and their sum of squares, each [V, D] float64.

    by_median: the rows are taken less the median of their video and crop.
    """
    shape = bags.features.shape
    found = np.zeros((3, shape[0], shape[3]))
    for video in range(shape[0]):
        rows = _rows(bags, video)  # [N, T, D]
        parts = np.split(rows, np.cumsum(widths)[:-1], axis=-1)
        known = np.concatenate(
            [np.broadcast_to((part != 0).any(-1, keepdims=True), part.shape) for part in parts], -1
        )
        if by_median:
            rows = _from_median(rows, known)
        total, squares = rows.sum(axis=(0, 1)), (rows**2).sum(axis=(0, 1))
        found[:, video] = known.sum(axis=(0, 1)), total, squares
    return found[0], found[1], found[2]


def _from_median(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Rows [N, T, D] less the median over what is known of T, 0 elsewhere."""
    if known.all():
        return rows - np.median(rows, axis=1, keepdims=True)
    if not known.any(axis=1).all():  # nanmedian warns of a column of NaN
        known = known | ~known.any(axis=1, keepdims=True)  # of zeros alone
    median = np.nanmedian(np.where(known, rows, np.nan), axis=1, keepdims=True)
    return np.where(known, rows - median, 0.0)


def _rows(bags: TrainingBags, video: int) -> np.ndarray:
    """All segments of a video: [N, T, D] float64."""
    features = bags.features
    if isinstance(features, np.ndarray):
        rows = features[video]
    else:
        rows = np.stack([features.row(video, crop) for crop in range(features.shape[1])])
    return rows.astype(np.float64)


def _moments(
    count: np.ndarray, total: np.ndarray, squares: np.ndarray, *, around_zero: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation per channel [D] float32; a channel without any evidence has 0 and 1.

    around_zero: the mean is 0, whatever it is.
    """
    known = np.maximum(count, 1)
    mean = np.zeros_like(total) if around_zero else total / known
    deviation = np.sqrt(np.maximum(squares / known - mean**2, 0.0))
    deviation = np.where(count > 0, np.maximum(deviation, SMALLEST), 1.0)
    return mean.astype(np.float32), deviation.astype(np.float32)
