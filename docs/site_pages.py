"""Hooks of mkdocs.yml: pages from outside docs/, links to files, lists as GitHub reads them.

The README and the other pages of the root become pages of the site, and the API pages are made of
docstrings. A link to another file of the repository leads to a copy of it. What leads nowhere is
left as it is, and the strict build refuses it.
"""

import itertools
import pathlib
import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).resolve().parents[1]
# File of the repository, and its page.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "refinevad_jax/detectors/survfight/README.md": "survfight.md",
}
# Page of the API, and the modules whose docstrings it shows: files, or the files of a folder.
API = {
    "analysis": "refinevad_jax/analysis.py",
    "model": "refinevad_jax/model",
    "losses": "refinevad_jax/training/losses.py",
    "metrics": "refinevad_jax/metrics",
}
_FENCE = re.compile(r" *(```|~~~)")
_ITEM = re.compile(r" *([-*+]|\d+\.) ")
_ROW = re.compile(r" *\|")
_STARTS_LIST = re.compile(r" *([-*+]|1\.) ")  # after a line of a paragraph
_CODE = re.compile(r"<code>[^<]*</code>")
_LINK = re.compile(r'(\]\(|src=")([^)#"\s]+)')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the root and those of the API."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for name, place in API.items():
        files.append(File.generated(config, f"api/{name}.md", content=api_page(name, place)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lists and links of a page, for this site."""
    sources = {name: source for source, name in PAGES.items()}
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        if ":" in match[2]:
            return match[0]
        if target in PAGES:
            return match[1] + PAGES[target]
        if target.startswith("docs/"):
            return match[1] + target.removeprefix("docs/")
        if not (ROOT / target).is_file():
            return match[0]
        copy = f"files/{target}.txt"
        if not files.get_file_from_path(copy):
            files.append(File.generated(config, copy, abs_src_path=str(ROOT / target)))
        return match[1] + copy

    return as_github_reads(_LINK.sub(link, markdown))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A bar inside code of a table, which GitHub wants escaped."""
    return _CODE.sub(lambda match: match[0].replace("\\|", "|"), html)


def api_page(name: str, place: str) -> str:
    """A page that shows the docstrings of a file, or of each file of a folder."""
    paths = sorted((ROOT / place).glob("*.py")) if (ROOT / place).is_dir() else [ROOT / place]
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in paths
        if path.name != "__init__.py"
    ]
    return f"# {name}\n\n" + "".join(f"::: {module}\n\n" for module in modules)


def as_github_reads(markdown: str) -> str:
    """The text for Python-Markdown: a blank line before lists and tables, items four deep."""
    lines: list[str] = []
    fence: int | None = None  # how far the open fence is moved
    for line in markdown.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        shift = -indent % 4 if indent >= 2 else 0
        if _FENCE.match(line):
            shift, fence = (shift, shift) if fence is None else (fence, None)
        elif fence is not None:
            shift = fence
        elif lines and lines[-1].strip() and _interrupts(line, lines):
            lines.append("")
        lines.append(" " * shift + line if line.strip() else line)
    return "\n".join(lines)


def _interrupts(line: str, before: list[str]) -> bool:
    """Whether a line begins a list or a table after lines of another block without a blank one."""
    if _ROW.match(line):
        return not _ROW.match(before[-1])
    if not _STARTS_LIST.match(line):
        return False
    block = itertools.takewhile(str.strip, reversed(before))
    return not any(_ITEM.match(each) for each in block)
