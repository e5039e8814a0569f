"""--config: a file, or the name of a configuration that ships, from any folder."""

import pathlib

import pytest

from configs import own, survfight
from refinevad_jax.errors import UserError
from refinevad_jax.runtime import configurations
from tests.conftest import ROOT, call

MINE = "from refinevad_jax import config\n\ndef get_config():\n    return config.default()\n"


def test_a_name_and_its_path_are_the_configuration_that_ships(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = ROOT / "configs" / "ucf.py"
    assert configurations.find("ucf") == shipped
    assert configurations.find("configs/ucf.py") == shipped
    assert configurations.find("./configs/ucf.py") == shipped
    assert set(configurations.shipped()) == {path.stem for path in (ROOT / "configs").glob("*.py")}
    (tmp_path / "ucf").mkdir()  # a folder of that name is not a configuration
    assert configurations.find("ucf") == shipped


def test_a_file_that_exists_wins(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    for name in ("configs/ucf.py", "mine.py"):
        (tmp_path / name).write_text(MINE)
        assert configurations.find(name) == pathlib.Path(name)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("ufc", "--config=ufc: neither a file nor a configuration that ships; did you mean "),
        ("configs/xdd.py", "did you mean --config=xd? there are demo, mitbih, own, "),
        ("elsewhere/ucf.py", "did you mean --config=ucf? there are "),
        ("", "--config=: neither a file nor a configuration that ships; there are demo, mitbih, "),
    ],
)
def test_what_is_neither_is_refused_with_the_names(value: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        configurations.find(value)
    assert said in str(caught.value)


def test_the_set_that_ships_has_the_settings_of_any_small_set() -> None:
    expected = own.get_config()
    expected.data.update(dataset="survfight", selection_split="val")
    assert survfight.get_config() == expected


def test_every_configuration_says_what_it_is_for_in_the_help() -> None:
    found = configurations.summaries()
    assert all(text.endswith(".") for text in found.values())
    help_text = call("refinevad_jax.ladder", "--help").stdout
    listed = help_text.partition("Configurations that ship:\n")[2].splitlines()
    assert listed[: len(found)] == [f"  {name:12s} {text}" for name, text in found.items()]


@pytest.mark.parametrize("flag", [["--config=own"], ["--config", "own"], ["-config", "own"]])
def test_keys_are_set_after_a_name_too(flag: list[str]) -> None:
    script = (
        "from refinevad_jax.runtime import command_line\n"
        "config = command_line.config_flag()\n"
        "command_line.run(lambda: print(config.value.seed, config.value.data.dataset))\n"
    )
    done = call("-c", script, *flag, "--config.seed", "7", "--config.data.dataset=d")
    assert (done.stdout, done.stderr) == ("7 d\n", "")
