r"""UCF-Crime described by timed sentences (UCA), embedded by all-MiniLM-L6-v2.

python -m data_prep.package --source=timed_text --input=FOLDER --name=ucf_text \
    --taxonomy=ucf_crime --data_dir=data
python -m refinevad_jax.main --config=configs/ucf_text.py --workdir=runs/ucf_text
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """The full model on text bags; checkpoints chosen on val by video-level AUC."""
    config = config_lib.default()
    config.data.dataset = "ucf_text"
    config.data.selection_split = "val"
    config.data.num_segments = 32
    config.eval.num_segments = 32
    return config
