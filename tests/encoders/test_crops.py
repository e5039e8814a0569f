"""Crops against hand values and another bilinear interpolation."""

import jax
import numpy as np
import pytest

from refinevad_jax.encoders.crops import corner, crops, resized_size


def test_sizes_and_corners() -> None:
    assert resized_size(240, 320) == (256, 341)
    assert resized_size(320, 240) == (341, 256)
    assert resized_size(7, 9) == (256, 329)
    assert corner((256, 340), "centre") == (16, 58)
    assert corner((256, 340), "bottom right") == (32, 116)
    assert corner((256, 340), "top left") == (0, 0)


@pytest.mark.parametrize("shape", [(120, 160), (100, 75), (17, 33), (300, 900)])
def test_a_crop_does_not_depend_on_the_others(shape: tuple[int, int]) -> None:
    """Ten crops are cut from one resized frame, a single one is resized alone."""
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    np.testing.assert_array_equal(crops(pixels, 10)[:1], crops(pixels))


@pytest.mark.parametrize("shape", [(120, 160), (360, 480), (100, 75), (17, 33)])
def test_centre_is_plain_bilinear(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    size = resized_size(*shape)
    resized = jax.image.resize(
        pixels.astype(np.float32), (*size, 3), method="linear", antialias=False
    )
    row, column = corner(size, "centre")
    expected = np.asarray(resized)[row : row + 224, column : column + 224]
    np.testing.assert_allclose(crops(pixels)[0], expected, atol=0.51)


def test_ten_crops_in_the_order_of_the_field() -> None:
    """A gradient downwards in red, to the right in green, says where each crop was cut."""
    pixels = np.zeros((256, 340, 3), np.uint8)
    pixels[..., 0] = np.arange(256)[:, None]
    pixels[..., 1] = np.arange(340)[None] // 2
    found = crops(pixels, 10)
    assert found.shape == (10, 224, 224, 3)
    rows = found[:, 0, 0, 0].tolist()
    assert rows == [16, 0, 0, 32, 32] * 2
    left = found[:5, 0, 0, 1].tolist()
    assert left == [29, 0, 58, 0, 58]
    np.testing.assert_array_equal(found[5:], found[:5, :, ::-1])
    np.testing.assert_array_equal(found[:1], crops(pixels))
