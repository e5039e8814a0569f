"""The keys of a run: nothing that is drawn shares one."""

import itertools

import jax
import numpy as np

from refinevad_jax.training.step import Stream, batch_keys, parameters_key, step_key


def test_no_two_draws_of_a_run_share_a_key() -> None:
    """fold_in(key, n) may be split(key)[n], so both of one key would collide."""
    keys = {}
    for seed in range(3):
        step = step_key(seed, 1)
        drawn = [jax.random.fold_in(step, stream) for stream in Stream]
        batches = jax.random.wrap_key_data(batch_keys([seed])[0])
        places = [parameters_key(seed), batches, *(step_key(seed, n) for n in range(3))]
        keys |= {(seed, n): key for n, key in enumerate([*places, *drawn])}
        # Parameters fold their number in; batches split.
        keys |= {
            (seed, "parameters", n): jax.random.fold_in(parameters_key(seed), n) for n in range(8)
        }
        keys |= {(seed, "batches", n): key for n, key in enumerate(jax.random.split(batches, 3))}
    found = {name: np.asarray(jax.random.key_data(key)).tobytes() for name, key in keys.items()}
    for one, other in itertools.combinations(found, 2):
        assert found[one] != found[other], (one, other)
