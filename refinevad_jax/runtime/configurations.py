"""The configurations that ship with the project, found by name from any folder."""

import ast
import difflib
import pathlib

from refinevad_jax.errors import UserError

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# In an installed package they are inside it, in a checkout beside it.
FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")


def shipped() -> dict[str, pathlib.Path]:
    """The configurations that ship: their files by name, sorted."""
    for folder in FOLDERS:
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.py"))}
    return {}


def summaries() -> dict[str, str]:
    """What each configuration that ships is for: the first line of its docstring."""
    found = {}
    for name, path in shipped().items():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[name] = text.partition("\n")[0]
    return found


def find(value: str) -> pathlib.Path:
    """The file that --config=value means.

    A file that exists is taken as it is. NAME and configs/NAME.py are otherwise the configuration
    of that name that ships. Raises UserError naming those that ship.
    """
    path = pathlib.Path(value)
    if path.is_file():
        return path
    files = shipped()
    for name, file in files.items():
        if path in (pathlib.Path(name), pathlib.Path("configs", file.name)):
            return file
    near = difflib.get_close_matches(path.stem, files, 1)
    hint = f"did you mean --config={near[0]}? " if near else ""
    raise UserError(
        f"--config={value}: neither a file nor a configuration that ships; {hint}"
        f"there are {', '.join(files)}"
    )
