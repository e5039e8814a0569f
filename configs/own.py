"""A few hundred clips of one's own, docs/own-video.md: a small network, minutes on a processor.

    python -m refinevad_jax.main --config=configs/own.py --config.data.dataset=NAME --workdir=DIR

The sizes are those of configs/demo.py, chosen on its rendered clips; with thousands of videos take
configs/ucf.py, the paper's.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """Without a validation split: part of train is held out to choose the checkpoint."""
    config = config_lib.default()
    config.data.update(dataset="own", num_segments=32)
    config.model.update(width=64, mlp_width=128, num_layers=1, tau=0.2, scorer_width=64)
    config.model.positions = "decay"
    config.train.update(batch_size=32, num_epochs=60)
    config.optimizer.learning_rate = 1e-3
    return config
