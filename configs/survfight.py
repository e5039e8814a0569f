"""Fights in surveillance video: the data set and the detector that ship with the project.

    python -m data_prep.package --builtin=survfight --data_dir=data
    python -m refinevad_jax.main --config=configs/survfight.py --workdir=runs/survfight

The features are real, the arrangement of clips into bags is made up (docs/data.md). `make detector`
trains with this page what refinevad_jax.detect uses without --workdir.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """The settings of configs/own.py, with a validation split (docs/results.md: how chosen).

    That split chooses the checkpoint by video AUC, and gives the threshold.
    """
    config = config_lib.default()
    config.data.update(dataset="survfight", selection_split="val", num_segments=32)
    config.model.update(width=128, num_layers=0, attention_query="segment")
    config.model.update(dropout=0.5)
    config.model.update(category_input="features", score_smoothing=0.06)
    config.loss.update(mil="bce", category_weight=1.0)
    config.train.update(batch_size=64, num_epochs=5, min_steps=300, label_injection=False)
    config.optimizer.update(learning_rate=1e-3, category_rate=4.0)
    return config
