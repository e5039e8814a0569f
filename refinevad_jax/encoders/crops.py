"""Frames to the square crops that encoders read, in the field's order.

The short side becomes 256 pixels by plain bilinear interpolation (half-pixel centres, no
smoothing), then squares of 224 are cut out. Released features of the field are made so; those
that say 340 x 256 are 4:3 videos whose width was rounded.
"""

import functools

import numpy as np

SHORT_SIDE = 256
CROP_SIZE = 224
# Roc-Ng's I3D, VadCLIP and IEF-VAD; the second five are the first five mirrored.
PLACES = ("centre", "top left", "top right", "bottom left", "bottom right")
NUM_CROPS = (1, 10)
PREPROCESSING = "short side 256, bilinear, crops of 224"


def crops(pixels: np.ndarray, num_crops: int = 1) -> np.ndarray:
    """Cuts one frame.

    pixels: [Y, X, 3] uint8 of any size. num_crops: 1, the centre, or 10, see PLACES.
    Returns [num_crops, 224, 224, 3] uint8.
    """
    size = resized_size(*pixels.shape[:2])
    if num_crops == 1:
        return _region(pixels, size, corner(size, "centre"))[None]
    places = np.stack([_region(pixels, size, corner(size, place)) for place in PLACES])
    return np.concatenate([places, places[:, :, ::-1]])


def resized_size(height: int, width: int) -> tuple[int, int]:
    """(rows, columns) after the short side has become 256; at least 256 each."""
    scale = SHORT_SIDE / min(height, width)
    return max(SHORT_SIDE, round(height * scale)), max(SHORT_SIDE, round(width * scale))


def corner(size: tuple[int, int], place: str) -> tuple[int, int]:
    """Row and column of a crop's first pixel in a resized frame."""
    down, right = size[0] - CROP_SIZE, size[1] - CROP_SIZE
    if place == "centre":
        return down // 2, right // 2
    return (down if "bottom" in place else 0), (right if "right" in place else 0)


def _region(pixels: np.ndarray, size: tuple[int, int], first: tuple[int, int]) -> np.ndarray:
    """The crop at `first` of the frame resized to `size`: [224, 224, 3] uint8."""
    above, below, down = _weights(pixels.shape[0], size[0], first[0])
    left, right, across = _weights(pixels.shape[1], size[1], first[1])
    low, high = int(left[0]), int(right[-1]) + 1
    strip = pixels[:, low:high]
    rows = strip[above].astype(np.float32)
    rows += (strip[below] - rows) * down[:, None, None]
    left_side = rows[:, left - low]
    left_side += (rows[:, right - low] - left_side) * across[:, None]
    return np.rint(left_side).astype(np.uint8)


@functools.lru_cache(maxsize=64)
def _weights(length: int, resized: int, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each of 224 pixels from `first` on: its two neighbours and the share of the second."""
    centre = (np.arange(first, first + CROP_SIZE) + 0.5) * (length / resized) - 0.5
    centre = np.clip(centre, 0, length - 1)
    before = np.floor(centre).astype(np.int64)
    after = np.minimum(before + 1, length - 1)
    return before, after, (centre - before).astype(np.float32)
