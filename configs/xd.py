"""XD-Violence on the paper's features: CLIP ViT-L/14 visual and InternVideo2.5 text.

    python -m data_prep.package --source=features --name=xd --taxonomy=xd_violence ...
    python -m refinevad_jax.main --config=configs/xd.py --workdir=runs/xd

RefineVAD, AAAI 2026, https://arxiv.org/abs/2511.13204: frame AP 88.66 on its features, which have
not been published. No result of this configuration is reported here.
"""

from ml_collections import ConfigDict

from refinevad_jax import config as config_lib


def get_config() -> ConfigDict:
    """The defaults, as in configs/ucf.py; videos may have up to three categories."""
    config = config_lib.default()
    config.data.dataset = "xd"
    return config
