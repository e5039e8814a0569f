"""Fights in surveillance video: the data set and the detector that ship with the project.

    python -m data_prep.package --builtin=survfight --data_dir=data
    python -m refinevad_jax.main --config=configs/survfight.py --workdir=runs/survfight

The features are real, the arrangement of clips into bags is made up (docs/data.md). `make detector`
trains with this page what refinevad_jax.detect uses without --workdir.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """The settings of configs/ucf_text.py, smaller, without centring, with the paper's loss.

    Chosen among 14 by their means over four choices of val sources (exploratory): 0.61 of the
    anomalous frames found at 1 % false alarms, frame AP 0.85, AUC 0.92; the others had 0.38 to
    0.56, 0.78 to 0.84 and 0.90 to 0.92. More than five epochs, more noise and a smaller network did
    not help.

    Tried again on single clips of sources that gave neither training data nor the threshold, in
    eight choices (exploratory): shorter bags, a longer normal part, surroundings always of the same
    source, a smaller network with more dropout and weight decay, no smoothing, no dilations, no
    shift. None was better by two standard errors over sources. A threshold from the held-out
    sources of all other choices flagged 2 of 98 normal clips, and 19 of 98 fights in place of 58.
    """
    config = config_lib.default()
    config.data.update(dataset="survfight", selection_split="val", num_segments=32)
    config.model.update(width=64, num_layers=0, dilations=(1, 2, 4), attention_query="segment")
    config.model.update(dropout=0.5, scorer_width=64)
    config.model.update(category_input="features", score_smoothing=0.06)
    config.loss.update(top_k_divisor=4, category_weight=1.0)
    config.train.update(batch_size=32, num_epochs=5, label_injection=False)
    config.train.selection_metric = "step"  # by video AUC on val the first epoch would be taken
    config.optimizer.update(learning_rate=1e-3, category_rate=4.0)
    return config
