"""A few hundred clips of one's own, docs/own-video.md: a small network, minutes on a processor.

    python -m refinevad_jax.main --config=configs/own.py --config.data.dataset=NAME --workdir=DIR

What suits a set differs (docs/results.md): python -m refinevad_jax.tune --config=own chooses how
features are scaled or compared with their recording, whether neighbours are mixed, whether a linear
scorer is enough and how many steps, by the labels of the training videos, and writes a
configuration. With thousands of videos take configs/ucf.py, the paper's.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """Without a validation split: part of train is held out to choose the checkpoint."""
    config = config_lib.default()
    config.data.update(dataset="own", num_segments=32)
    # Small, no Transformer; on ECG a width of 64 differs more by seed.
    config.model.update(width=128, num_layers=0, attention_query="segment")
    config.model.update(dropout=0.5)
    config.model.update(category_input="features", score_smoothing=0.06)
    config.loss.update(mil="bce", category_weight=1.0)
    config.train.update(batch_size=64, num_epochs=5, min_steps=300, label_injection=False)
    config.optimizer.update(learning_rate=1e-3, category_rate=4.0)
    return config
