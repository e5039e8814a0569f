"""A folder that appears whole or not at all, whenever the process is interrupted or killed."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def staging_folder(final: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder beside `final`, on the same file system, removed at the end.

    What killed processes left there is removed first; parents that were made for nothing are
    removed last. Raises OSError where the place cannot be written.
    """
    missing = [folder for folder in final.parents if not folder.exists()]
    final.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(final.parent)
    staging = pathlib.Path(tempfile.mkdtemp(prefix=f".incomplete-{os.getpid()}-", dir=final.parent))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for folder in missing:
            with contextlib.suppress(OSError):  # not empty: the finished folder is in it
                folder.rmdir()


def replace_folder(new: pathlib.Path, final: pathlib.Path) -> None:
    """Puts a finished folder in its place; an earlier one is moved aside first, then removed."""
    aside = _aside(final)
    if final.exists():
        final.rename(aside)
    try:
        new.rename(final)
    except OSError:
        restore_replaced(final)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def restore_replaced(final: pathlib.Path) -> None:
    """Brings back the folder that a killed or failed replacement had moved aside."""
    aside = _aside(final)
    if aside.exists() and not final.exists():
        aside.rename(final)
    shutil.rmtree(aside, ignore_errors=True)


def _aside(final: pathlib.Path) -> pathlib.Path:
    return final.parent / f".replaced-{final.name}"


def _remove_abandoned(parent: pathlib.Path) -> None:
    """Removes staging folders whose process was killed."""
    for folder in parent.glob(".incomplete-*"):
        pid = folder.name.split("-")[1]
        # In a container every run may get the same id: a folder of our own id is an old one.
        if pid.isdigit() and (int(pid) == os.getpid() or not _is_running(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
