"""The documents: links, the site's navigation, and commands that exist. `make docs` builds them."""

import ast
import pathlib
import re
import shlex
from collections.abc import Iterator

import pytest
import yaml

from refinevad_jax import config
from refinevad_jax.runtime.commands import COMMANDS
from tests.conftest import ROOT

ROOT_PAGES = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*ROOT_PAGES, *DOCS]
HOOKS = (ROOT / "docs" / "site_pages.py").read_text(encoding="utf-8")
FLAG = re.compile(r"DEFINE_\w+\(\s*\"(\w+)\"")
NAMED = {"python -m " + command.module: command.module for command in COMMANDS.values()}
NAMED |= {f"refinevad {name}": command.module for name, command in COMMANDS.items()}
STARTS = re.compile(
    rf"(?<![\w.])({'|'.join(map(re.escape, sorted(NAMED, key=len)[::-1]))})(?![\w.])"
)


def without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: pathlib.Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", without_code(path.read_text(encoding="utf-8")), re.M)
    plain = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in plain}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: pathlib.Path) -> None:
    text = without_code(path.read_text(encoding="utf-8"))
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for link in found:
        if ":" in link:
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.is_file(), f"{path.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{path.name}: {link}"


def table(name: str) -> dict[str, str]:
    """A table of docs/site_pages.py, which imports what the tests do not have."""
    for node in ast.parse(HOOKS).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def test_the_navigation_has_every_page_once() -> None:
    def pages(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            yield from (page for value in entry.values() for page in pages(value))
        elif isinstance(entry, list):
            yield from (page for value in entry for page in pages(value))

    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    expected = [path.name for path in DOCS]
    expected += list(table("PAGES").values()) + [f"api/{name}.md" for name in table("API")]
    assert sorted(pages(settings["nav"])) == sorted(expected)
    for place in [*table("PAGES"), *table("API").values()]:
        assert (ROOT / place).exists(), place


def commands(path: pathlib.Path) -> Iterator[tuple[str, list[str]]]:
    """Module and flags of every command of ours that a page shows, in a block or in backticks."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ").replace("\\|", "|")
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    for line in lines + re.findall(r"`([^`]+)`", without_code(text)):
        for match in STARTS.finditer(line):
            words = shlex.split(line[match.end() :].split(" #")[0].split("|")[0])
            flags = [word.removeprefix("--").split("=")[0] for word in words if word[:2] == "--"]
            yield NAMED[match[1]], flags


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_have_the_flags_that_pages_show(path: pathlib.Path) -> None:
    keys = {f"config.{key}" for key in config.flat(config.default())}
    shared = {
        name: set(FLAG.findall((ROOT / f"refinevad_jax/runtime/{name}.py").read_text("utf-8")))
        for name in ("command_line", "detector_flags")
    }
    for module, flags in commands(path):
        source = (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
        known = {*FLAG.findall(source), *shared["command_line"], "help"}
        if "detector_flags(" in source:
            known |= shared["detector_flags"]
        known |= {"no" + flag for flag in known}
        for flag in flags:
            assert flag in known or flag in keys, f"{path.name}: {module} --{flag}"
