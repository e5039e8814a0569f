"""Cameras and their names, as --input gives them."""

import pathlib
import re
from collections.abc import Sequence

from refinevad_jax.encoders.pipe import STDIN, is_pipe
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.addresses import is_address, shown, without_secrets
from refinevad_jax.runtime.command_line import one_line

_NAMED = re.compile(r"([^/\\:?=]+)=(.+)", re.DOTALL)
_ADDRESS = re.compile(r"[\w.+-]+(:[\w.+-]+)*://")
_LONGEST = 80


def read_inputs(inputs: Sequence[str]) -> dict[str, str]:
    """Sources by the names of their cameras.

    inputs: SOURCE or NAME=SOURCE. Without a name, the source has that of its file, or its address
    without secrets. Raises UserError if two have one name, a file is missing or a name is unusable.
    """
    found: dict[str, str] = {}
    for text in inputs:
        match = _NAMED.fullmatch(text)
        name, source = match.groups() if match else (_name_of(text), text)
        flag = f"--input={shown(text) if not match else f'{name}={shown(source)}'}"
        if is_address(source) and not _ADDRESS.match(source):
            raise UserError(
                f"{without_secrets(flag)}: is not an address; a name, as in NAME=SOURCE, has none "
                "of the signs / \\ : ? ="
            )
        if not name.strip() or len(name) > _LONGEST or not name.isprintable():
            raise UserError(
                f"{flag}: the name of a camera has 1 to {_LONGEST} visible signs; give NAME=SOURCE"
            )
        if name in found:
            raise UserError(f"{flag}: two cameras are called {name}; give NAME=SOURCE")
        if source == STDIN and STDIN in found.values():
            raise UserError(f"{flag}: standard input can be one camera alone")
        live = is_address(source) or source.isdecimal() or is_pipe(source)
        if not live and not pathlib.Path(source).is_file():
            raise UserError(f"{flag}: no such file; check the path")
        found[name] = source
    return found


def _name_of(source: str) -> str:
    """A name for a source that was given without one."""
    if source == STDIN:
        return "standard input"
    if source.isdecimal():
        return f"camera {source}"
    if is_address(source):
        return one_line(shown(source)).partition("://")[2][:_LONGEST]
    return pathlib.Path(source).stem[:_LONGEST]
