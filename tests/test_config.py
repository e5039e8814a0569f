"""The schema, its checks, and every configuration file."""

import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from ml_collections import ConfigDict

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from refinevad_jax import config as config_lib
from refinevad_jax.data.bags import BagsInfo, Modality
from refinevad_jax.errors import UserError
from refinevad_jax.model.refinevad import abstract
from refinevad_jax.runs.run import Run

CONFIGS = sorted((pathlib.Path(__file__).parents[1] / "configs").glob("*.py"))


def load(path: pathlib.Path) -> ConfigDict:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_every_configuration_is_valid_and_builds(path: pathlib.Path) -> None:
    config = load(path)
    config_lib.validate(config)
    info = BagsInfo("x", UCF_CRIME, (Modality("visual", 768), Modality("text", 768)))
    model_config = Run(config, info).model_config
    graphdef, params = abstract(model_config)
    features, valid = jnp.zeros((2, 9, 1536)), jnp.ones((2, 9), bool)
    outputs = jax.eval_shape(lambda p: nnx.merge(graphdef, p)(features, valid), params)
    assert outputs.scores.shape == (2, 9)
    assert outputs.core.category_probs.shape == (2, 13)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.shift", "tsm"),
        ("model.folding", 1),
        ("model.tau", 0.0),
        ("train.batch_size", 7),
        ("train.num_epochs", 0),
        ("data.selection_split", "test"),
        ("data.train_split", "test"),
        ("optimizer.learning_rate", float("nan")),
        ("loss.mil", "hinge"),
        ("model.num_heads", 5),
        ("data.normalization", "none"),
        ("train.min_steps", -1),
    ],
)
def test_a_bad_value_is_named_with_its_key(key: str, value: object) -> None:
    config = config_lib.default()
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=rf"config\.{key}=|config\.model\.num_heads") as error:
        config_lib.validate(config)
    assert str(value) in str(error.value)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("train.learning_rate", "optimizer.learning_rate"),
        ("trian.num_epochs", "train.num_epochs"),
        ("train.epochs", "train.num_epochs"),
        ("eval.segments", "eval.num_segments"),
        ("num_segments", "data.num_segments"),
        ("model.tau.x", "model.tau"),
        ("zzz", ""),
    ],
)
def test_an_unknown_key_names_the_nearest(key: str, meant: str) -> None:
    assert config_lib.nearest_key(key) == meant
    assert not config_lib.is_key(key)
    assert not meant or config_lib.is_key(meant)


def test_what_is_no_configuration_is_shown() -> None:
    with pytest.raises(UserError, match=r"get_config\(\) gave 3; start from"):
        config_lib.validate(3)  # type: ignore[arg-type]


def test_unknown_and_missing_keys_are_named() -> None:
    config = config_lib.default()
    config.model.depth = 3
    with pytest.raises(UserError, match=r"no key config\.model\.depth; did you mean"):
        config_lib.validate(config)
    assert config_lib.unknown_key("loss.pooling").endswith("it has been removed; leave it out")
    config = config_lib.default()
    del config.loss.mil
    with pytest.raises(UserError, match=r"no key loss\.mil"):
        config_lib.validate(config)
