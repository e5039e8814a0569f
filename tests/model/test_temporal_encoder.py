"""The encoder's convolutions of three taps against XLA's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from refinevad_jax.model.model_config import ModelConfig
from refinevad_jax.model.temporal_encoder import TemporalEncoder

CHANNELS, BRANCH = 6, 4


@pytest.mark.parametrize("distance", [1, 3, 20])
def test_a_dilation_is_a_convolution_of_three_taps(distance: int) -> None:
    config = ModelConfig(
        modality_widths=(CHANNELS,),
        num_categories=2,
        width=2 * BRANCH,
        num_layers=0,
        num_heads=1,
        dropout=0.0,
        dilations=(distance,),
    )
    encoder = TemporalEncoder(config, rngs=nnx.Rngs(0))
    features = jax.random.normal(jax.random.key(0), (2, 9, CHANNELS))
    found = encoder.project(features, jnp.ones((2, 9), bool))
    own, *taps = jnp.split(encoder.projection.kernel[...], 4, axis=1)
    convolved = jax.lax.conv_general_dilated(
        features,
        jnp.stack(taps),
        window_strides=(1,),
        padding=[(distance, distance)],
        rhs_dilation=(distance,),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )
    for part, expected in ((found[..., :BRANCH], features @ own), (found[..., BRANCH:], convolved)):
        mean, spread = expected.mean(-1, keepdims=True), expected.std(-1, keepdims=True)
        np.testing.assert_allclose(part, (expected - mean) / spread, atol=1e-3)
