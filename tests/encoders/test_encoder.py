"""Calls of an encoder."""

import numpy as np
import pytest

from refinevad_jax.encoders.encoder import VisualEncoder


@pytest.mark.parametrize(("one_size", "called_with"), [(False, 4), (True, 6)])
def test_calls_are_filled_up_if_one_size_is_compiled(one_size: bool, called_with: int) -> None:
    sizes = []

    def encode(rows: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        return rows.reshape(len(rows), -1)[:, :5].astype(np.float32)

    encoder = VisualEncoder("first pixels", 5, "", encode, one_size=one_size)
    segments = np.random.default_rng(0).integers(0, 256, (2, 2, 16, 224, 224, 3), np.uint8)
    found = encoder.encode_segments(list(segments), 3)
    assert sizes == [called_with]
    np.testing.assert_array_equal(found, segments.reshape(2, 2, -1)[:, :, :5])
