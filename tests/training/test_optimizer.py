"""Which parameters an update moves, and how far."""

import jax
import jax.numpy as jnp
import numpy as np

from refinevad_jax.training.optimizer import OptimizerConfig, make_optimizer


def updates(**changes: object) -> dict[str, dict[str, jax.Array]]:
    config = OptimizerConfig(
        learning_rate=0.1, weight_decay=0.0, warmup_fraction=0.0, clip_norm=1e3, **changes
    )
    params = {
        "core": {
            "category_head": {"kernel": jnp.ones((2, 2))},
            "category_input": {"kernel": jnp.ones((2, 2))},
            "prototypes": jnp.ones((2, 2)),
        },
        "scorer": {"kernel": jnp.ones((2, 2))},
    }
    optimizer = make_optimizer(config, num_steps=10)
    gradient = jax.tree.map(jnp.ones_like, params)
    return optimizer.update(gradient, optimizer.init(params), params)[0]


def test_categories_have_a_rate_of_their_own() -> None:
    plain, faster = updates(), updates(category_rate=5.0)
    for name in ("category_head", "category_input"):
        np.testing.assert_allclose(
            faster["core"][name]["kernel"], 5 * plain["core"][name]["kernel"], rtol=1e-6
        )
    np.testing.assert_array_equal(faster["scorer"]["kernel"], plain["scorer"]["kernel"])
    np.testing.assert_array_equal(faster["core"]["prototypes"], plain["core"]["prototypes"])


def test_frozen_prototypes_stay() -> None:
    frozen = updates(trainable_prototypes=False)
    assert not np.asarray(frozen["core"]["prototypes"]).any()
    assert np.asarray(frozen["scorer"]["kernel"]).all()
