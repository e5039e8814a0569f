"""A file that appears whole or not at all, whenever the process is interrupted or killed."""

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
from collections.abc import Iterator
from typing import IO


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes a file that appears complete or not at all, on the disk before it has its name.

    Raises OSError where it cannot be written; an earlier file then stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged_file(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        staging_path(path).replace(path)


def staging_path(path: pathlib.Path) -> pathlib.Path:
    """Where a file is written before it has its name.

    Always the same for one file, so that the next call takes over what a killed process left, and
    short, because a name may already be as long as the file system allows.
    """
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".incomplete-{digest}{path.suffix[:8]}")


@contextlib.contextmanager
def staged_file(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """The empty file at staging_path(path), held for this process; removed unless it was renamed.

    A second process that writes the same file waits until the first has finished. Raises OSError,
    also where a folder has the name.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    staged = staging_path(path)
    while True:
        file = staged.open("ab")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is(staged, file):
                continue  # the process that held it has renamed it
            file.truncate(0)
            try:
                yield file
            finally:
                if _is(staged, file):
                    staged.unlink()
            return


def _is(path: pathlib.Path, file: IO[bytes]) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
