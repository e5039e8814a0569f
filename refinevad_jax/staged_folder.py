"""A folder that appears whole or not at all, whenever the process is interrupted or killed."""

import contextlib
import ctypes
import os
import pathlib
import shutil
from collections.abc import Iterator

from refinevad_jax.folder_lock import locked
from refinevad_jax.staged_file import staging_path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def staging_folder(final: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder beside `final`, on the same file system, removed at the end.

    `final` is held for this process meanwhile, and what a killed one left is tidied up first.
    Raises UserError where another process holds it or the place cannot be written.
    """
    with locked(final.parent, final.name):
        _restore_replaced(final)
        staging = staging_path(final)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def replace_folder(new: pathlib.Path, final: pathlib.Path) -> None:
    """Puts a finished folder in its place; an earlier one is there until the new one is.

    Both lie below the staging folder's parent; what `new` leads to afterwards is to be removed.
    """
    if final.exists() and _exchange(new, final):
        return
    aside = _aside(final)
    if final.exists():
        final.rename(aside)
    try:
        new.rename(final)
    except OSError:
        _restore_replaced(final)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Swaps two folders in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0


def _restore_replaced(final: pathlib.Path) -> None:
    """Brings back the folder that a killed or failed replacement had moved aside."""
    aside = _aside(final)
    if aside.exists() and not final.exists():
        aside.rename(final)
    shutil.rmtree(aside, ignore_errors=True)


def _aside(final: pathlib.Path) -> pathlib.Path:
    return final.parent / f".replaced-{final.name}"
