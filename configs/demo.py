"""The first minute: a small model on the simulated set of `python -m data_prep.simulate`.

    make demo

Numbers from it are simulated: they show that the parts work, not how good the method is.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """Small enough for two processor cores."""
    config = config_lib.default()
    config.data.update(dataset="sim", selection_split="val", num_segments=64)
    config.model.update(width=64, mlp_width=128, num_heads=4, tau=0.2, scorer_width=64)
    config.train.update(batch_size=32, num_epochs=30)
    config.optimizer.learning_rate = 1e-3
    return config
