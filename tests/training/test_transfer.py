"""Parts of one run in another: what is carried over, what stays fresh, what is refused."""

import copy
import dataclasses
import pathlib
import shutil

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from data_prep.catalogue.ucf_crime import TAXONOMY as UCF_CRIME
from data_prep.catalogue.xd_violence import TAXONOMY as XD_VIOLENCE
from refinevad_jax import analysis
from refinevad_jax import config as config_lib
from refinevad_jax.data import taxonomy as taxonomy_lib
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError
from refinevad_jax.model.refinevad import abstract, create
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.run import Run, read_run
from refinevad_jax.training import loop
from refinevad_jax.training.transfer import MODULES, _merged, transferred


def test_categories_of_ucf_and_xd_meet_by_name_and_synonym() -> None:
    found = taxonomy_lib.matching(UCF_CRIME, XD_VIOLENCE)
    names = [UCF_CRIME.categories[i] if i >= 0 else None for i in found]
    assert names == ["Fighting", "Shooting", None, "Abuse", "RoadAccidents", "Explosion"]
    probs = np.arange(13, dtype=np.float32) / 13
    mapped = taxonomy_lib.mapped(probs, found)
    np.testing.assert_allclose(mapped, [6 / 13, 9 / 13, 0, 0, 7 / 13, 5 / 13])
    assert "without a counterpart: Riot" in taxonomy_lib.in_words(UCF_CRIME, XD_VIOLENCE)


def run_with(trained: pathlib.Path, taxonomy: Taxonomy | None = None, **transfer: object) -> Run:
    run = read_run(trained)
    run.config.transfer.update(workdir=str(trained), **transfer)
    info = dataclasses.replace(run.info, taxonomy=taxonomy) if taxonomy else run.info
    return Run(run.config, info)


def test_core_is_carried_over_and_the_rest_stays_fresh(trained: pathlib.Path) -> None:
    run = run_with(trained, parts=("core",))
    _, fresh = create(run.model_config, jax.random.key(5))
    _, donated, _ = restore(run, trained, "best")
    params, note = transferred(fresh, run)
    np.testing.assert_array_equal(params["core"]["prototypes"], donated["core"]["prototypes"])
    kernel = "classifier", "kernel"
    np.testing.assert_array_equal(
        params["core"]["category_head"][kernel[0]][kernel[1]],
        donated["core"]["category_head"][kernel[0]][kernel[1]],
    )
    np.testing.assert_array_equal(
        params["scorer"]["output"]["kernel"], fresh["scorer"]["output"]["kernel"]
    )
    assert "prototypes" in note.split("fresh:")[0] and "scorer" in note.split("fresh:")[1]


def test_categories_that_the_donor_does_not_know_stay_fresh(trained: pathlib.Path) -> None:
    taxonomy = Taxonomy("other", ("x", "c"), ("X", "C"))
    run = run_with(trained, taxonomy, parts=("core",))
    _, fresh = create(run.model_config, jax.random.key(5))
    donor = read_run(trained)
    _, donated, _ = restore(donor, trained, "best")
    params, note = transferred(fresh, run)
    np.testing.assert_array_equal(params["core"]["prototypes"][0], fresh["core"]["prototypes"][0])
    np.testing.assert_array_equal(params["core"]["prototypes"][1], donated["core"]["prototypes"][2])
    new = params["core"]["category_head"]["classifier"]
    old = donated["core"]["category_head"]["classifier"]
    np.testing.assert_array_equal(new["bias"][2:], old["bias"][4:])
    np.testing.assert_array_equal(new["kernel"][:, 2:], old["kernel"][:, 4:])
    assert "C -> C; without a counterpart: X" in note


def test_deviations_from_another_median_do_not_fit(trained: pathlib.Path) -> None:
    run, donor = run_with(trained, parts=("motar",)), read_run(trained)
    run.config.data.normalization, donor.config.data.normalization = "recording", "video"
    shapes = [abstract(one.model_config)[1] for one in (run, donor)]
    assert jax.tree.map(lambda leaf: leaf.shape, shapes[0]["modality_norm"]) == jax.tree.map(
        lambda leaf: leaf.shape, shapes[1]["modality_norm"]
    )
    words = "config.data.normalization is 'video' there and 'recording' here"
    with pytest.raises(UserError, match=words):
        _merged(*shapes, run, donor)


def test_a_transferred_run_trains_with_frozen_prototypes(
    trained: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny_config.transfer.update(workdir=str(trained), parts=("motar", "core"))
    tiny_config.train.update(trainable_prototypes=False, num_epochs=1)
    tiny_config.seed = 3
    loop.train(tiny_config, tmp_path)
    assert "fresh: scorer" in capsys.readouterr().out
    before = analysis.load_model(trained, "best").core.prototypes[...]
    np.testing.assert_array_equal(
        analysis.load_model(tmp_path, "last").core.prototypes[...], before
    )


def test_every_module_belongs_to_one_part(trained: pathlib.Path) -> None:
    config = dataclasses.replace(read_run(trained).model_config, category_input="features")
    _, params = create(config, jax.random.key(0))
    modules = [name for part in config_lib.TRANSFER_PARTS for name in MODULES[part]]
    assert sorted(modules) == sorted(params)


def test_a_run_goes_on_when_its_donor_has_gone(
    trained: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    donor = tmp_path / "donor"
    shutil.copytree(trained, donor)
    tiny_config.transfer.workdir = str(donor)
    loop.train(tiny_config, tmp_path / "run")
    shutil.rmtree(donor)
    loop.train(tiny_config, tmp_path / "run")


def test_a_donor_that_does_not_fit_is_refused_before_anything_is_compiled(
    trained: pathlib.Path,
    tiny_config: ConfigDict,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "Training", lambda *_: pytest.fail("compiled"))

    def refused(parts: tuple[str, ...], **model: object) -> str:
        config = copy.deepcopy(tiny_config)
        config.model.update(model)
        config.transfer.update(workdir=str(trained), parts=parts)
        with pytest.raises(UserError) as caught:
            loop.train(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()
        return str(caught.value)

    said = refused(("core",), width=32, scorer_width=4)
    assert said == (
        f"config.transfer.workdir: 'core' of {trained}/config.json does not fit this run: "
        "config.model.width is 16 there and 32 here; give --config.model.width=16, or leave 'core' "
        "out of config.transfer.parts"
    )
    assert "shift is 'adaptive' there and 'none' here" in refused(("motar",), shift="none")
    assert "injection is 'soft' there and 'none' here" in refused(("scorer",), injection="none")
    tiny_config.data.modalities = ("text",)
    said = refused(("motar", "core"))
    assert "D is 24 (16 + 8, data set 'tiny') there and 8 (8, data set 'tiny') here" in said
    assert "package features of the same encoders, or leave 'motar' out" in said
    refused(("core",), category_input="features")
    tiny_config.transfer.step = "7"
    tiny_config.data.modalities = ()
    assert "step '7'" in refused(("core",))


def test_what_makes_a_category_of_a_name_is_carried_over_for_any_names(
    named: pathlib.Path, trained: pathlib.Path
) -> None:
    run = run_with(named, Taxonomy("other", ("x", "c"), ("X", "C")), parts=("core",))
    _, donated, _ = restore(read_run(named), named, "best")
    fresh = jax.tree.map(np.zeros_like, donated)
    fresh["core"]["names"] = np.ones((2, 384))
    params, note = transferred(fresh, run)
    np.testing.assert_array_equal(params["core"]["names"], np.ones((2, 384)))
    for part in ("prototypes", "category_head"):
        jax.tree.map(np.testing.assert_array_equal, params["core"][part], donated["core"][part])
    assert "fresh: core.names, " in note and note.endswith("; names: X, C")
    for own, donor in ((named, trained), (trained, named)):
        run = run_with(own)
        run.config.transfer.workdir = str(donor)
        _, fresh, _ = restore(read_run(own), own, "best")
        with pytest.raises(UserError, match=r"category_names is .* there and .* here; give"):
            transferred(fresh, run)
