"""One process at a time in a place that is written to."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from refinevad_jax.errors import UserError


@contextlib.contextmanager
def locked(folder: pathlib.Path, name: str = "") -> Iterator[None]:
    """Makes the folder and holds it, or what is called `name` in it, for this process.

    The lock ends with the process, however it ends; its file goes when the work is done, and so do
    folders that were made for nothing. Raises UserError naming the process that holds it, or where
    the folder cannot be written.
    """
    path = folder / (f".{name}.lock" if name else ".lock")
    what = folder / name
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path)
    except OSError as error:
        raise UserError(f"{what}: cannot be written ({error.strerror})") from error
    if descriptor is None:
        raise UserError(
            f"{what} is in use by process {_holder(path)}; wait for it or choose another folder"
        )
    try:
        with contextlib.suppress(OSError):  # a full disk: the number is a courtesy
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)
        for one in missing:
            with contextlib.suppress(OSError):  # not empty: the work is in it
                one.rmdir()


def _acquire(path: pathlib.Path) -> int | None:
    """A descriptor of the lock's file that holds it; None where another process does."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one who held it may have removed the file after it was opened here.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _holder(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "?"
    except OSError:
        return "?"
