"""UCF-Crime on the paper's features: CLIP ViT-L/14 visual and InternVideo2.5 text.

    python -m data_prep.package --source=features --name=ucf --data_dir=data ...   (docs/data.md)
    python -m refinevad_jax.main --config=configs/ucf.py --workdir=runs/ucf

RefineVAD, AAAI 2026, https://arxiv.org/abs/2511.13204: frame AUC 88.92 on its features, which have
not been published. No result of this configuration is reported here.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """The defaults: what the paper states, and ours where it is silent (S and D in docs/method.md).

    No validation split exists, so part of train is held out.
    """
    config = config_lib.default()
    config.data.dataset = "ucf"
    return config
