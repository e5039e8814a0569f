"""config.json of a workdir: what cannot be read here is refused in one line."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from ml_collections import ConfigDict

from refinevad_jax import analysis
from refinevad_jax import config as config_lib
from refinevad_jax.data.bags import read_info, read_split
from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import json_sha256
from refinevad_jax.runs.run import Run, read_run, write_run
from refinevad_jax.training import loop


def rewritten(trained: pathlib.Path, workdir: pathlib.Path, change: Callable[[Any], Any]) -> None:
    """The config.json of a run, as if another version had written it."""
    content = json.loads((trained / "config.json").read_text())
    del content["sha256"]
    content["versions"]["commit"] = "0123456789ab"
    change(content)
    content["sha256"] = json_sha256(content)
    (workdir / "config.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda content: content["config"]["model"].update(segment_categories=False),
            "at commit 0123456789ab (unknown key model.segment_categories)",
        ),
        (
            lambda content: content["config"]["model"].update(dilations=[1, 2]),
            "at commit 0123456789ab (model.dilations=[1, 2], which has been removed)",
        ),
        (
            lambda content: content["config"]["model"].pop("shift"),
            "at commit 0123456789ab (no key model.shift)",
        ),
        (
            lambda content: (content.pop("versions"), content["config"].pop("seed")),
            "by another version of this project (no key seed)",
        ),
    ],
    ids=["an unknown key", "a key that was removed", "a key that was added", "no commit"],
)
def test_a_run_of_another_version_is_refused_in_one_line(
    change: Callable[[Any], Any], reason: str, trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    rewritten(trained, tmp_path, change)
    with pytest.raises(UserError) as caught:
        analysis.load_model(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'config.json'}: written {reason}, whose checkpoints do not load here; use "
        "that version, or train again in a new workdir"
    )


def test_training_does_not_go_on_in_a_workdir_of_another_version(
    trained: pathlib.Path, tiny_config: ConfigDict, tmp_path: pathlib.Path
) -> None:
    def older(content: Any) -> None:
        content["config"]["loss"]["segment_category_weight"] = 0.0

    rewritten(trained, tmp_path, older)
    text = (tmp_path / "config.json").read_text()
    with pytest.raises(UserError, match=r"written .*unknown key loss\.segment_category_weight"):
        loop.train(tiny_config, tmp_path)
    assert (tmp_path / "config.json").read_text() == text
    assert not (tmp_path / "checkpoints").exists()


def test_what_is_missing_is_damage(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rewritten(trained, tmp_path, lambda content: content.pop("data"))
    with pytest.raises(UserError, match=r"config\.json: damaged \('data'\)"):
        read_run(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config\.json: damaged \('sha256'\)"):
        read_run(tmp_path)


def test_the_data_of_a_run_may_be_renamed_and_moved(
    trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shutil.copy(trained / "config.json", tmp_path)
    run = read_run(tmp_path)
    name = run.config.data.dataset
    config = ConfigDict(run.config)
    config.data.update(dataset="renamed", data_dir="elsewhere")
    renamed = dataclasses.replace(run, config=config)
    renamed = dataclasses.replace(renamed, info=dataclasses.replace(run.info, name="renamed"))
    other = dataclasses.replace(renamed.info, provenance={"lists": "others"})
    with pytest.raises(
        UserError, match=rf"config\.data\.dataset was '{name}' and is now 'renamed'"
    ):
        write_run(tmp_path, dataclasses.replace(renamed, info=other))
    write_run(tmp_path, renamed)
    found = read_run(tmp_path)
    assert (found.config.data.dataset, found.config.data.data_dir) == ("renamed", "elsewhere")
    assert found.info.name == "renamed"


def test_a_run_that_did_not_use_a_removed_key_loads_and_goes_on(
    trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for key, neutral in config_lib.REMOVED.items():
        group, _, name = key.partition(".")
        assert name not in config_lib.default()[group]
        rewritten(
            trained,
            tmp_path,
            lambda content: content["config"][group].update({name: neutral}),  # noqa: B023
        )
        run = read_run(tmp_path)
        assert run.config == read_run(trained).config
        write_run(tmp_path, run)  # the same run
        (tmp_path / "config.json").unlink()


def test_a_run_from_before_a_key_came_loads_and_goes_on(
    trained: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for key, value in config_lib.ADDED.items():
        group, _, name = key.partition(".")
        assert config_lib.default()[group][name] == value
        rewritten(trained, tmp_path, lambda content: content["config"][group].pop(name))  # noqa: B023
        run = read_run(tmp_path)
        assert run.config == read_run(trained).config
        write_run(tmp_path, run)  # the same run
        (tmp_path / "config.json").unlink()


def test_a_run_by_recordings_says_if_there_are_none(
    tiny_config: ConfigDict, tiny_data: pathlib.Path
) -> None:
    info, bags = read_info(str(tiny_data), "tiny"), read_split(str(tiny_data), "tiny", "val")
    run = Run(tiny_config, info)
    assert all(one is two for one, two in zip(run.inputs(bags), bags, strict=True))
    assert run.inputs_words(bags) == run.inputs_note(bags, "val") == ""
    tiny_config.data.normalization = "recording"
    assert run.inputs_note(bags, "val") == (
        "config.data.normalization='recording': no recording has two videos of 'val', so the "
        "features of each video are less its own median"
    )
    together = [dataclasses.replace(bag, recording="cam") for bag in bags]
    assert run.inputs_note(together, "val") == ""
    assert "without labels (12 of 12 videos" in run.inputs_words(together)
    assert run.inputs_words(bags).startswith("features less the median of each video: none")
