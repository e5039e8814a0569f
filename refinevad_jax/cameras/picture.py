"""Small pictures of what a camera sees."""

import io

import numpy as np

THUMBNAIL_SIZE = 320  # pixels of the longer side
_QUALITY = 75


def shrunk(pixels: np.ndarray, size: int) -> np.ndarray:
    """A frame [Y, X, 3] uint8 whose longer side is at most `size` pixels: [y, x, 3] uint8."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((size, size))
    return np.asarray(picture)


def jpeg(pixels: np.ndarray) -> bytes:
    """[y, x, 3] uint8 as JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
