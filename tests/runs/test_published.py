"""A published run reads like a workdir, does not train, and nothing wrong in it passes."""

import json
import pathlib
import shutil

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from refinevad_jax import analysis
from refinevad_jax.detection.detector import Detector
from refinevad_jax.errors import UserError
from refinevad_jax.evaluation.model_card import publish, publish_hub
from refinevad_jax.evaluation.run import Settings, evaluate
from refinevad_jax.runs.checkpoints import restore
from refinevad_jax.runs.published import FILES
from refinevad_jax.runs.run import read_run, without_places
from refinevad_jax.runs.weights import write_weights
from refinevad_jax.training import loop

QUIET = Settings(num_curves=0, report=False, verbose=False)


@pytest.fixture(scope="module")
def workdir(trained: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A copy of the tiny run, whose best checkpoint is evaluated on val."""
    copy = tmp_path_factory.mktemp("published") / "run"
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns("eval"))
    evaluate(copy, split="val", step="best", settings=QUIET)
    return copy


@pytest.fixture(scope="module")
def published(workdir: pathlib.Path) -> pathlib.Path:
    folder = workdir.parent / "small"
    publish(workdir, folder, step="best", about="# Tiny\n\nFor tests.\n")
    assert {path.name for path in folder.iterdir()} == FILES - {"stream.json"}
    return folder


def test_it_holds_the_same_run(workdir: pathlib.Path, published: pathlib.Path) -> None:
    run, original = read_run(published), read_run(workdir)
    original.config.data.data_dir = pathlib.Path(original.config.data.data_dir).name
    assert run.config == original.config and run.info == original.info
    _, params, step = restore(run, published, "best")
    _, expected, expected_step = restore(run, workdir, "best")
    assert step == expected_step
    jax.tree.map(np.testing.assert_array_equal, params, expected)
    assert restore(run, published, "last")[2] == restore(run, published, str(step))[2] == step
    with pytest.raises(UserError, match=f"step '9999': .* is a published run, of step {step}"):
        restore(run, published, "9999")
    assert analysis.load_model(published).core is not None


def test_no_path_of_this_machine_is_passed_on(published: pathlib.Path) -> None:
    for path in published.iterdir():
        assert str(published.parent.parent).encode() not in path.read_bytes()


def test_paths_of_folders_become_their_names() -> None:
    config = {"seed": 1, "data": {"data_dir": "/home/me/data"}, "transfer": {"workdir": "~/a/b"}}
    assert without_places(config) == {
        "seed": 1,
        "data": {"data_dir": "data"},
        "transfer": {"workdir": "b"},
    }
    config = {"data": {"data_dir": "data"}, "transfer": {"workdir": ""}}
    assert without_places(config) == config


def test_detection_reads_it(workdir: pathlib.Path, published: pathlib.Path) -> None:
    found = Detector(published, "best").threshold(None, None)
    assert found == Detector(workdir, "best").threshold(None, None)
    assert found.source == "1 % false alarms on val"


def test_an_evaluation_of_it_goes_to_the_current_folder(
    workdir: pathlib.Path,
    published: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = read_run(workdir).config
    data = {
        "dataset": config.data.dataset,
        "data_dir": str(pathlib.Path(config.data.data_dir).absolute()),
    }
    before = sorted(path.name for path in published.rglob("*"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small-tiny-val-last").mkdir()
    with pytest.raises(UserError, match="small-tiny-val-last exists and is not an evaluation"):
        evaluate(published, split="val", step="last", settings=QUIET, **data)
    for _ in range(2):  # the second time in place of the first
        content = evaluate(published, split="val", step="best", settings=QUIET, **data)
    stored = json.loads((published / "evaluations.json").read_text())["tiny-val-best"]
    assert content == stored
    assert "stays as it is: results go to small-tiny-val-best\n" in capsys.readouterr().out
    assert (tmp_path / "small-tiny-val-best" / "metrics.json").is_file()
    assert sorted(path.name for path in published.rglob("*")) == before


def test_the_card_says_what_it_is(published: pathlib.Path) -> None:
    card = (published / "README.md").read_text()
    assert card.startswith("# Tiny\n\nFor tests.\n")
    for words in ("| data set | tiny |", "Evaluation tiny-val-best", "| 1.00 |"):
        assert words in card


def test_a_folder_for_a_hub_has_metadata_and_says_what_is_not_stated(
    workdir: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    publish_hub(workdir, tmp_path / "hub", step="best", about="")
    card = (tmp_path / "hub" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: refinevad_jax\n")
    for words in ("# RefineVAD on tiny\n", "**Licence**: not stated.", "It knows A, B, C,"):
        assert words in card
    assert "| data set | tiny |" in card and "Evaluation tiny-val-best" in card
    assert analysis.load_model(tmp_path / "hub").core is not None


def test_publishing_again_gives_the_same_bytes(
    workdir: pathlib.Path, published: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for _ in range(2):  # the second time in place of the first
        publish(workdir, tmp_path / "again", step="best", about="# Tiny\n\nFor tests.\n")
    for path in published.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    (tmp_path / "again" / "mine.txt").touch()
    with pytest.raises(UserError, match="again exists and is not a published run"):
        publish(workdir, tmp_path / "again", step="best", about="")
    assert len(list((tmp_path / "again").iterdir())) == len(FILES)


def test_training_does_not_go_on_in_it(published: pathlib.Path, tiny_config: ConfigDict) -> None:
    before = {path.name: path.read_bytes() for path in published.iterdir()}
    with pytest.raises(UserError, match=r"is a published run .* cannot go on; choose another"):
        loop.train(tiny_config, published)
    assert {path.name: path.read_bytes() for path in published.iterdir()} == before


def test_damage_is_named(published: pathlib.Path, tmp_path: pathlib.Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(published, broken)
    run, weights = read_run(broken), broken / "model.safetensors"
    content = weights.read_bytes()
    for wrong in (b"", content[:100], content[:-4], content[:-1] + bytes([content[-1] ^ 1])):
        weights.write_bytes(wrong)
        with pytest.raises(UserError, match=r"model\.safetensors: damaged; bring the file back"):
            restore(run, broken, "best")
    weights.write_bytes(content)
    _, params, step = restore(run, broken, "best")
    write_weights(weights, jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params), step)
    with pytest.raises(UserError, match=r"is not that of the network in config\.json"):
        restore(run, broken, "best")
    weights.write_bytes(content)
    run.config.model.scorer_width = 4
    with pytest.raises(UserError, match=r"'scorer.*' is not that of the network in config\.json"):
        restore(run, broken, "best")
    for wrong in ("{", "[1]", '{"a": 1}'):
        (broken / "evaluations.json").write_text(wrong)
        with pytest.raises(UserError, match=r"evaluations\.json: damaged"):
            Detector(broken, "best").threshold(None, None)
