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
_ROWS_AT_ONCE = 32  # so that they stay in the processor's cache, whatever the frame's size
PREPROCESSING = "short side 256, bilinear, crops of 224"


def crops(pixels: np.ndarray, num_crops: int = 1) -> np.ndarray:
    """Cuts one frame.

    pixels: [Y, X, 3] uint8 of any size. num_crops: 1, the centre, or 10, see PLACES.
    Returns [num_crops, 224, 224, 3] uint8.
    """
    size = resized_size(*pixels.shape[:2])
    if num_crops == 1:
        return _region(pixels, size, corner(size, "centre"), (CROP_SIZE, CROP_SIZE))[None]
    resized = _region(pixels, size, (0, 0), size)
    corners = [corner(size, place) for place in PLACES]
    places = np.stack([resized[y : y + CROP_SIZE, x : x + CROP_SIZE] for y, x in corners])
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


def _region(
    pixels: np.ndarray, size: tuple[int, int], first: tuple[int, int], region: tuple[int, int]
) -> np.ndarray:
    """`region` rows and columns from `first` on of the frame resized to `size`: [y, x, 3] uint8."""
    above, below, down = _weights(pixels.shape[0], size[0], first[0], region[0])
    left, right, across = _weights(pixels.shape[1], size[1], first[1], region[1])
    across = across.repeat(3).reshape(-1, 3)  # NumPy is slow if it has to repeat the last axis
    low, high = int(left[0]), int(right[-1]) + 1
    strip = pixels[:, low:high]
    found = np.empty((*region, 3), np.uint8)
    for start in range(0, region[0], _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        rows = strip[above[some]].astype(np.float32)
        rows += (strip[below[some]] - rows) * down[some, None, None]
        left_side = rows.take(left - low, axis=1)
        left_side += (rows.take(right - low, axis=1) - left_side) * across
        found[some] = np.rint(left_side, out=left_side)
    return found


@functools.lru_cache(maxsize=64)
def _weights(
    length: int, resized: int, first: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each of `count` pixels from `first` on: its two neighbours and the share of the second."""
    centre = (np.arange(first, first + count) + 0.5) * (length / resized) - 0.5
    centre = np.clip(centre, 0, length - 1)
    before = np.floor(centre).astype(np.int64)
    after = np.minimum(before + 1, length - 1)
    return before, after, (centre - before).astype(np.float32)
