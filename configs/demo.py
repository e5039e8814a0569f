"""The first minute: a small model on I3D features of rendered clips, by data_prep.simulate.

    make demo

The pictures are drawn: numbers show that the parts work, not how good the method is.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """Small enough for two processor cores."""
    config = config_lib.default()
    config.data.update(dataset="clips", selection_split="val", num_segments=16)
    # Chosen on val by comparing a few runs; frame truth of val was looked at.
    config.model.update(width=64, mlp_width=128, num_layers=1, tau=0.2, scorer_width=64)
    config.model.positions = "decay"
    config.train.update(batch_size=32, num_epochs=60)
    config.optimizer.learning_rate = 1e-3
    return config
