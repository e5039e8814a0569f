"""Winograd's form of a convolution against the library's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from refinevad_jax.encoders import winograd


@pytest.mark.parametrize(("outputs", "taps"), [(2, 3), (4, 3), (4, 4)])
def test_the_matrices_filter(outputs: int, taps: int) -> None:
    rng = np.random.default_rng(0)
    inputs, kernel = rng.normal(size=outputs + taps - 1), rng.normal(size=taps)
    of_inputs, of_taps, of_products = winograd.matrices(outputs, taps)
    found = of_products @ ((of_taps @ kernel) * (of_inputs @ inputs))
    np.testing.assert_allclose(found, np.correlate(inputs, kernel, "valid"), atol=1e-12)


@pytest.mark.parametrize(
    ("outputs", "shape", "stride", "frames"),
    [
        (2, (3, 3, 3), 1, 2),  # as in Mixed_5
        (4, (3, 3, 3), 1, 8),
        (4, (7, 7, 7), 2, 16),  # as in the stem
        # Numbers of frames that fill no tile.
        (2, (3, 3, 3), 1, 1),
        (4, (3, 1, 5), 1, 7),
        (4, (7, 3, 3), 2, 5),
        (4, (7, 3, 3), 2, 13),
    ],
)
def test_equals_the_library(
    outputs: int, shape: tuple[int, int, int], stride: int, frames: int
) -> None:
    rng = np.random.default_rng(0)
    net = jnp.asarray(rng.normal(size=(2, frames, 9, 8, 3)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(*shape, 3, 4)), jnp.float32)
    transformed = winograd.transform(kernel, outputs=outputs, stride=stride)

    @jax.jit
    def both(
        net: jax.Array, kernel: jax.Array, transformed: winograd.Kernel
    ) -> tuple[jax.Array, jax.Array]:
        names = ("NDHWC", "DHWIO", "NDHWC")
        expected = jax.lax.conv_general_dilated(
            net, kernel, (stride,) * 3, "SAME", dimension_numbers=names
        )
        return winograd.convolution(net, transformed), expected

    found, expected = both(net, kernel, transformed)
    largest = float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)
