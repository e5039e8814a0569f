"""The Dockerfiles, read: what they copy is there, what they run exists. Nothing is built here."""

import fnmatch
import re
import shlex
import tomllib

import pytest

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FILES = ("Dockerfile", "Dockerfile.cuda")
Step = tuple[str, str]


def steps(name: str) -> list[Step]:
    """Instructions of a Dockerfile in order: word and the rest."""
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.partition(" ")[2]) for line in joined if line.strip()]


def sent(place: str) -> bool:
    """Whether .dockerignore lets a file of the root through."""
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [rule for rule in rules if fnmatch.fnmatch(place, rule.removeprefix("!"))]
    return bool(found) and found[-1].startswith("!")


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_is_there_and_enough(name: str) -> None:
    copied = set()
    for word, rest in steps(name):
        if word == "COPY" and not rest.startswith("--from"):
            copied |= set(rest.split()[:-1])
    for place in copied:
        assert (ROOT / place).exists() and sent(place), place
    # What the wheel is made of, and the versions that are installed beside it.
    parts = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "constraints.txt"}
    assert copied == parts | {"refinevad_jax", "data_prep", "configs"}


@pytest.mark.parametrize("name", FILES)
def test_what_is_run_exists(name: str) -> None:
    scripts, extras = PROJECT["scripts"], PROJECT["optional-dependencies"]
    assert scripts and all(rest != "root" for word, rest in steps(name) if word == "USER")
    runs = [rest for word, rest in steps(name) if word == "RUN"]
    calls = [shlex.split(call) for run in runs for call in run.split("&&")]
    assert {call[0].partition("=")[0] for call in calls} <= {"pip", "useradd", "wheel", *scripts}
    assert {call[1] for call in calls if call[0] == "pip"} == {"wheel", "install"}
    assert ["refinevad", "--version"] in calls
    assert set(re.findall(r"\[(\w+)\]\"", " ".join(runs))) <= set(extras)
    assert dict(steps(name))["ENTRYPOINT"] == '["refinevad"]'


def test_both_stand_on_one_pinned_base() -> None:
    bases = {rest.split()[0] for name in FILES for word, rest in steps(name) if word == "FROM"}
    (base,) = bases
    image, _, tag = base.partition(":")
    version = re.match(r"(3\.\d+)\.\d+-slim-", tag)
    assert image == "python" and version
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["classifiers"]
