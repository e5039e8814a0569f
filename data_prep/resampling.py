"""How four repositories bring a video's features to a fixed number of segments.

Kept bit for bit, for checking features that were resampled before they were released, and for
comparing with this package's own batches (refinevad_jax.data.batches). Sources: VadCLIP, RTFM,
UR-DMU and PEL4VAD, `src/utils/tools.py`, `utils.py` and their like.
"""

import itertools

import numpy as np


def mean_per_bin(features: np.ndarray, num_segments: int) -> np.ndarray:
    """RTFM (32), UR-DMU and BN-WVAD (200): the mean of the rows between linspace edges.

    features: [T, D]. Returns [num_segments, D] float32. An empty bin takes the row at its edge, so
    that short videos repeat rows.
    """
    edges = np.linspace(0, len(features), num_segments + 1, dtype=int)
    result = np.zeros((num_segments, features.shape[1]), np.float32)
    for i, (start, end) in enumerate(itertools.pairwise(edges)):
        result[i] = features[start:end].mean(axis=0) if start != end else features[start]
    return result


def vadclip_train(features: np.ndarray, num_segments: int = 256) -> tuple[np.ndarray, int]:
    """VadCLIP's training input: mean_per_bin for longer videos, zeros after shorter ones.

    features: [T, D]. Returns [num_segments, D] and the number of segments that are the video's.
    """
    if len(features) > num_segments:
        return mean_per_bin(features, num_segments), num_segments
    padding = ((0, num_segments - len(features)), (0, 0))
    return np.pad(features, padding), len(features)


def vadclip_test(features: np.ndarray, num_segments: int = 256) -> np.ndarray:
    """VadCLIP's test input: chunks of num_segments, zeros after the video.

    features: [T, D]. Returns [chunks, num_segments, D], one chunk for T < num_segments and
    T // num_segments + 1 otherwise: an exact multiple gets a chunk of zeros more.
    """
    chunks = len(features) // num_segments + 1
    padding = ((0, chunks * num_segments - len(features)), (0, 0))
    return np.pad(features, padding).reshape(chunks, num_segments, -1)


def rows_at(features: np.ndarray, num_segments: int = 200) -> np.ndarray:
    """PEL4VAD and XDVioDet: single rows of longer videos, zeros after shorter ones.

    features: [T, D]. Returns [num_segments, D].
    """
    if len(features) > num_segments:
        return features[np.linspace(0, len(features) - 1, num_segments, dtype=np.uint16)]
    return np.pad(features, ((0, num_segments - len(features)), (0, 0)))
