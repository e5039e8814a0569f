"""pyproject.toml, the requirements files and the lock agree."""

import re
import shlex
import tomllib

import yaml

from refinevad_jax import __version__
from refinevad_jax.encoders import captions
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lines(name: str) -> list[str]:
    """The requirements of a file, without those of a file that it includes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith(("#", "-r "))]


def extra(name: str) -> list[str]:
    """The requirements of an extra, with those of the extras that it names."""
    found = []
    for line in PROJECT["optional-dependencies"][name]:
        if inner := re.fullmatch(r"refinevad_jax\[(.*)\]", line):
            found += [requirement for each in inner[1].split(",") for requirement in extra(each)]
        else:
            found.append(line)
    return found


def distribution(requirement: str) -> str:
    """Name as the lock writes it."""
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def test_the_requirements_files_are_the_dependencies() -> None:
    assert lines("requirements.txt") == PROJECT["dependencies"]
    assert sorted(lines("requirements-dev.txt")) == sorted(extra("dev"))
    assert (ROOT / "requirements-dev.txt").read_text().startswith("-r requirements.txt\n")
    assert lines("requirements-docs.txt") == extra("docs")


def test_the_citation_names_the_version() -> None:
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {__version__}" in lines


def test_the_changes_name_the_version() -> None:
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_hooks_before_a_commit_are_those_of_the_tests() -> None:
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    ruff, local = settings["repos"]
    assert f"ruff=={ruff['rev'].removeprefix('v')}" in extra("dev")
    assert {hook["id"] for hook in ruff["hooks"]} == {"ruff-format", "ruff-check"}
    (mypy,) = local["hooks"]
    assert mypy["entry"] == ".venv/bin/mypy" and not mypy["pass_filenames"]
    assert any(line.startswith("mypy==") for line in extra("dev"))


def test_the_lock_has_one_version_of_every_dependency() -> None:
    """make lock was run after the last change of the dependencies."""
    locked = [line.partition("==") for line in lines("constraints.txt")]
    names = [name for name, _, _ in locked]
    assert len(set(names)) == len(names)  # else Pythons differ: see --fork-strategy
    needed = PROJECT["dependencies"] + extra("dev") + extra("docs")
    assert {distribution(line) for line in needed} <= set(names)


def test_the_cluster_of_the_tests_has_a_lock_of_its_own() -> None:
    locked = lines("constraints-cluster.txt")
    assert all(re.match(r"[\w.-]+==\S+", line) for line in locked)
    assert {"dask", "distributed"} < {line.partition("==")[0] for line in locked}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for needed in extra("beam") + extra("mlflow"):
        assert distribution(needed) in {line.partition("==")[0] for line in locked}
        assert f'"{needed}"' in makefile  # of make lock


def test_the_extra_of_captions_is_what_its_message_says() -> None:
    assert shlex.split(captions._INSTALL) == ["pip", "install", *extra("captions")]
