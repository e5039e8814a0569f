"""ECG of the MIT-BIH Arrhythmia Database, what refinevad_jax.tune chose for it from configs/own.py.

    python -m benchmarks.small_sets --input=mitbih_ds1.npz --data_dir=data
    python -m refinevad_jax.main --config=configs/mitbih.py --workdir=runs/mitbih

Not video: a set of another kind, on which a method shows whether it carries over (docs/results.md).
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """configs/own.py for segments alone, less the median of their record; the last of 300 steps."""
    config = config_lib.default()
    config.data.update(dataset="mitbih", num_segments=32, normalization="recording")
    config.model.update(width=128, num_layers=0, shift="none", attention_query="segment")
    config.model.update(dropout=0.5, category_input="features")
    config.loss.update(mil="bce", category_weight=1.0)
    config.train.update(num_epochs=10, min_steps=300, label_injection=False)
    config.train.selection_metric = "step"
    config.optimizer.update(learning_rate=1e-3, category_rate=4.0)
    return config
