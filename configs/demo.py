"""The first minute: a small model on I3D features of rendered clips, by data_prep.simulate.

    make demo

The pictures are drawn: numbers show that the parts work, not how good the method is.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """The network of configs/own.py; small enough for two processor cores."""
    config = config_lib.default()
    config.data.update(dataset="clips", selection_split="val", num_segments=32)
    config.model.update(width=64, num_layers=0, attention_query="segment")
    config.model.update(dropout=0.5, scorer_width=64)
    config.model.update(category_input="features", score_smoothing=0.06)
    config.loss.update(mil="bce", category_weight=1.0)
    config.train.update(batch_size=32, num_epochs=5, min_steps=300, label_injection=False)
    config.optimizer.update(learning_rate=1e-3, category_rate=4.0)
    return config
