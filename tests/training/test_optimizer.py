"""Which parameters an update moves, and how far."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from refinevad_jax.training.optimizer import (
    OptimizerConfig,
    decayed,
    learning_rates,
    make_optimizer,
)


def settings(**changes: object) -> OptimizerConfig:
    return OptimizerConfig(
        learning_rate=0.1, weight_decay=0.0, warmup_fraction=0.0, clip_norm=1e3, **changes
    )


def updates(**changes: object) -> dict[str, dict[str, jax.Array]]:
    params = {
        "core": {
            "category_head": {"kernel": jnp.ones((2, 2))},
            "category_input": {"kernel": jnp.ones((2, 2))},
            "prototypes": jnp.ones((2, 2)),
        },
        "scorer": {"kernel": jnp.ones((2, 2))},
    }
    optimizer = make_optimizer(settings(**changes), num_steps=10)
    gradient = jax.tree.map(jnp.ones_like, params)
    return optimizer.update(gradient, optimizer.init(params), params)[0]


@pytest.mark.parametrize(
    ("num_steps", "fraction", "first"),
    [
        (40, 0.1, [0.25, 0.5, 0.75, 1.0]),
        (12, 0.05, [1.0]),  # a warm-up of one step
        (12, 0.0, [1.0]),
        (4, 1.0, [0.25, 0.5, 0.75, 1.0]),
        (1, 0.05, [1.0]),
    ],
)
def test_the_rate_climbs_to_its_peak_and_no_step_has_the_rate_0(
    num_steps: int, fraction: float, first: list[float]
) -> None:
    config = OptimizerConfig(0.1, weight_decay=0.0, warmup_fraction=fraction, clip_norm=1.0)
    rates = learning_rates(config, num_steps)
    assert rates.dtype == np.float32 and rates.shape == (num_steps,)
    np.testing.assert_allclose(rates[: len(first)], 0.1 * np.array(first), rtol=1e-6)
    assert (rates > 0).all()
    assert (np.diff(rates[len(first) - 1 :]) < 0).all()


@pytest.mark.parametrize("changes", [{}, {"category_rate": 2.0, "trainable_prototypes": False}])
def test_its_state_begins_with_zeros(changes: dict[str, object]) -> None:
    """`runs.checkpoints.fresh_states` makes it so, whatever the shapes."""
    optimizer = make_optimizer(settings(**changes), num_steps=10)
    params = {"core": {"prototypes": jnp.ones((2, 2))}, "scorer": {"kernel": jnp.ones((2, 2))}}
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(optimizer.init(params)))


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


def test_names_stay_and_prototypes_made_of_them_are_not_decayed() -> None:
    params = {
        "core": {
            "names": jnp.ones((2, 4)),
            "prototypes": jnp.ones((4, 3)),
            "other": jnp.ones((2, 2)),
        }
    }
    found = decayed(params)["core"]
    assert found == {"names": False, "prototypes": False, "other": True}
