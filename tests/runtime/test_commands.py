"""The table of commands, how each is written, and `refinevad COMMAND`."""

import os
import pathlib
import shlex
import signal
import subprocess
import sys

import pytest

from refinevad_jax import __version__
from refinevad_jax.runtime import commands
from tests.conftest import ROOT, call

# What the script `refinevad` does, for an environment in which it is not installed.
SCRIPT = "import sys; sys.argv[0] = 'refinevad'; from refinevad_jax.__main__ import main; main()"
FORMS = {
    "module": ["refinevad_jax.main"],
    "package": ["refinevad_jax", "train"],
    "script": ["-c", SCRIPT, "train"],
}


@pytest.fixture
def started_as(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Undoes start_as after the test."""
    monkeypatch.setattr(commands, "_program", "")
    return monkeypatch


def refinevad(*words: str) -> subprocess.CompletedProcess[str]:
    """The script, as installed."""
    return call("-c", SCRIPT, *words)


def test_the_table_names_every_entry_point_and_no_other() -> None:
    found = {
        f"{folder}.{path.stem}"
        for folder in ("refinevad_jax", "data_prep")
        for path in (ROOT / folder).glob("*.py")
        if path.stem != "__main__" and '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    }
    assert {command.module for command in commands.COMMANDS.values()} == found


def test_a_command_is_spelled_so_that_a_shell_reads_the_same_words(
    started_as: pytest.MonkeyPatch,
) -> None:
    words = ["--workdir=my runs/a", "--config.data.dataset=it's", "a b.mp4", "--plain=x", "--flag"]
    text = commands.spell("train", *words)
    assert text.startswith("python -m refinevad_jax.main --workdir='my runs/a' ")
    assert shlex.split(text) == ["python", "-m", "refinevad_jax.main", *words]
    commands.start_as("refinevad")
    words.append("--input=python -m data_prep.check")  # a file of that name
    assert shlex.split(commands.spell("train", *words)) == ["refinevad", "train", *words]


def test_texts_have_the_form_in_which_the_user_started(started_as: pytest.MonkeyPatch) -> None:
    text = (
        "python -m data_prep.package x; 'python -m data_prep.simulate_video'. "
        "python -m refinevad_jax.evaluate, python -m refinevad_jax.evaluation.run and "
        "python -m benchmarks.load"
    )
    assert commands.as_started(text) == text
    commands.start_as("refinevad")
    assert commands.as_started(text) == (
        "refinevad package x; 'refinevad simulate_video'. "
        "refinevad evaluate, python -m refinevad_jax.evaluation.run and "
        "python -m benchmarks.load"
    )
    assert commands.as_started("python -m data_prep.check.") == "refinevad check."
    text = "features of data_prep.extract, the run of refinevad_jax.main; data_prep.own_data, "
    text += "configs/data_prep.own"
    assert commands.as_started(text) == (
        "features of refinevad extract, the run of refinevad train; data_prep.own_data, "
        "configs/data_prep.own"
    )


@pytest.mark.parametrize(
    ("text", "form"),
    [("refinevad", "refinevad check"), ("rm -rf x;\n\x1b[2J", "python -m data_prep.check")],
)
def test_a_command_that_we_start_spells_as_we_do(text: str, form: str) -> None:
    code = "from refinevad_jax.runtime import commands; print(commands.spell('check'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"REFINEVAD_STARTED_AS": text},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{form}\n"


def test_the_overview_and_the_version() -> None:
    for words in ([], ["help"], ["--help"]):
        done = refinevad(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert "usage: refinevad COMMAND" in done.stdout
        assert all(f"\n  {name} " in done.stdout for name in commands.COMMANDS)
    assert "usage: python -m refinevad_jax COMMAND" in call("refinevad_jax").stdout
    assert refinevad("--version").stdout == f"refinevad_jax {__version__}\n"


def test_an_unknown_command_names_the_nearest() -> None:
    done = refinevad("trian")
    said = "error: no command 'trian', did you mean 'train'? refinevad alone lists them\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert "no command '--workdir=x'; refinevad alone" in refinevad("--workdir=x").stderr


@pytest.mark.parametrize("name", ["train", "package", "ladder", "evaluate", "compare"])
def test_help_shows_usage_lines_in_the_called_form(name: str) -> None:
    module = commands.COMMANDS[name].module
    as_module = call(module, "--help").stdout
    as_script = refinevad(name, "--help").stdout
    as_package = call("refinevad_jax", name, "--help").stdout
    assert f"python -m {module}" in as_module
    assert f"refinevad {name} " in as_script and f"python -m {module}" not in as_script
    assert f"python -m refinevad_jax {name} " in as_package
    # Nothing but the form differs.
    assert as_script.replace("refinevad ", "python -m refinevad_jax ") == as_package
    assert as_script.count("\n") == as_module.count("\n")


@pytest.mark.parametrize("form", FORMS)
def test_misuse_is_the_same_in_every_form(form: str, tmp_path: pathlib.Path) -> None:
    data = f"--config.data.data_dir={tmp_path}"
    done = call(*FORMS[form], "--config=demo", f"--workdir={tmp_path}/w", data)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: no data set 'clips' in ")


@pytest.mark.parametrize("form", ["module", "script"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_every_form_with_the_same_code(
    form: str, number: signal.Signals, tmp_path: pathlib.Path
) -> None:
    """A configuration that sends the signal to its own process, as a user does in mid-start."""
    config = tmp_path / "mine.py"
    config.write_text(
        "import os, time\n"
        "from refinevad_jax import config\n"
        "def get_config():\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    time.sleep(20)\n"
        "    return config.default()\n"
    )
    done = call(*FORMS[form], f"--config={config}", f"--workdir={tmp_path / 'w'}")
    assert done.returncode == 128 + number, done.stderr
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
