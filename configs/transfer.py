r"""XD-Violence with CORE taken from a run on UCF-Crime, the rest trained anew.

python -m refinevad_jax.main --config=configs/transfer.py --workdir=runs/xd_from_ucf \
    --config.transfer.workdir=runs/ucf
python -m refinevad_jax.evaluate --workdir=runs/ucf --dataset=xd --allow_mismatch    # zero-shot

The paper: frame AP 87.52 with CORE of UCF-Crime, 77.56 zero-shot, on features that have not been
published. The prototypes stay as they were; --config.train.trainable_prototypes=True trains them.
Categories that the other run does not know start fresh. If both runs have
--config.model.category_names=sentences, those too have a prototype and an output from their name.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """The paper's settings on XD-Violence; config.transfer.workdir must be given."""
    config = config_lib.default()
    config.data.dataset = "xd"
    config.transfer.update(workdir="runs/ucf", parts=("core",))
    config.train.trainable_prototypes = False
    return config
