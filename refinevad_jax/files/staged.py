"""Files and folders that appear whole or not at all, and one process at a time in a folder."""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from refinevad_jax.errors import UserError

DEVICES = pathlib.Path("/dev")


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes a file that appears whole or not at all, and is on the disk before it has its name.

    Raises OSError, which names it, if it cannot be written; an earlier file then stays as it was.
    """
    with staged_file(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        staging_path(path).replace(path)


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a JSON file as write_bytes does."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file as write_bytes does."""
    write_bytes(path, text.encode())


def write_described(output: pathlib.Path, content: bytes, facts: dict[str, Any]) -> dict[str, Any]:
    """Writes a file and OUTPUT.json, which says what it is; both are whole before one is in place.

    The JSON comes first and has the file's SHA-256 as `sha256`: a process that is killed between
    the two leaves no file without its JSON, and one of an earlier call is told by the digest.
    output: of --output, for the error. Raises UserError if they cannot be written.
    """
    stated = facts | {"sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(stated, indent=1, allow_nan=False) + "\n"
    beside = output.with_name(output.name + ".json")
    try:
        with staged_file(output) as file, staged_file(beside) as other:
            for one, part in ((file, content), (other, text.encode())):
                one.write(part)
                one.flush()
                os.fsync(one.fileno())
            staging_path(beside).replace(beside)
            staging_path(output).replace(output)
    except OSError as error:
        raise UserError(f"--output={output}: cannot be written ({error.strerror})") from error
    return stated


def require_writable(flag: str, folder: pathlib.Path) -> None:
    """Tries out whether files can be made in a folder, which need not be there yet; leaves nothing.

    For commands that work for a while before they write. flag: that names the folder, for the
    error. Raises UserError if the folder cannot be made or written.
    """
    missing: list[pathlib.Path] = []
    try:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--{flag}={folder}: is a file; choose a folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"--{flag}={folder}: cannot be written ({reason}); choose another folder"
        ) from error
    finally:
        for one in missing:
            with contextlib.suppress(OSError):  # not made, or another process is at work there
                one.rmdir()


def staging_path(path: pathlib.Path) -> pathlib.Path:
    """Where a file is written before it has its name.

    Always the same for one file, so that the next call takes over what a killed process left, and
    short, because a name may already be as long as the file system allows.
    """
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".incomplete-{digest}{path.suffix[:8]}")


def is_device(path: pathlib.Path) -> bool:
    """Whether a path is a device or a pipe, or a name of the system's for an open file.

    /dev/stdout is a link, which leads to a regular file if output is redirected to one: a new file
    would take the place of the link, for all processes.
    """
    folder = pathlib.Path(os.path.realpath(path.parent))  # also of links in a circle
    named = folder == DEVICES or folder.is_relative_to("/proc")
    return named or (path.exists() and not (path.is_file() or path.is_dir()))


@contextlib.contextmanager
def staged_file(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """The empty file at staging_path(path), held for this process; removed unless it was renamed.

    Makes the folder. A second process that writes the same file waits until the first has finished.
    Raises OSError, which names the file, also if a folder, a device or a pipe has the name: the new
    file would take its place.
    """
    staged = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():  # also "", which is the present folder
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if is_device(path):
            raise OSError(errno.EINVAL, "is a device or a pipe, not a file")
        staged = staging_path(path)
        with _held(staged) as file:
            file.truncate(0)
            try:
                yield file
            finally:
                if _is(staged, file):
                    staged.unlink()
    except OSError as error:
        if error.filename in (None, str(staged)):  # the user knows the file by its own name
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _held(path: pathlib.Path, flags: int = 0) -> IO[bytes]:
    """The file at a path, made if needed, open and held for this process once it is free.

    flags: with fcntl.LOCK_NB, raises BlockingIOError instead of waiting for another process.
    """
    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | flags)
            if _is(path, file):
                return file
        except OSError:
            file.close()
            raise
        file.close()  # who held it has renamed or removed it since it was opened here


def _is(path: pathlib.Path, file: IO[bytes]) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def locked(folder: pathlib.Path, name: str = "") -> Iterator[None]:
    """Makes the folder and holds it, or what is called `name` in it, for this process.

    The lock ends with the process, however it ends. Its file is removed when the work is done, and
    so are folders that were made for nothing. Raises UserError naming the process that holds the
    lock, OSError if the folder cannot be written.
    """
    path = folder / (f".{name}.lock" if name else ".lock")
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        file = _held(path, fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = ""
        with contextlib.suppress(OSError):
            holder = path.read_text(encoding="utf-8").strip()
        raise UserError(
            f"{folder / name} is in use by process {holder or '?'}; wait for it, end it (kill "
            f"{holder or 'PID'}) or choose another folder"
        ) from error
    try:
        with contextlib.suppress(OSError):  # a full disk: the number is a courtesy
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()
        for one in missing:
            with contextlib.suppress(OSError):  # not empty: the work is in it
                one.rmdir()


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def staging_folder(final: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder beside `final`, on the same file system, removed at the end.

    `final` is held for this process meanwhile, and what a killed one left is tidied up first.
    Raises UserError if another process holds it, or if something in the block cannot be written.
    """
    try:
        with locked(final.parent, final.name):
            _restore_replaced(final)
            staging = staging_path(final)
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:  # it may name a file of the temporary folder, or none
        raise UserError(f"{final}: cannot be written ({error.strerror or error})") from error


def replace_folder(new: pathlib.Path, final: pathlib.Path) -> None:
    """Puts a finished folder in its place; an earlier one is there until the new one is.

    Both lie below the staging folder's parent. The earlier one may then be at `new`, for the caller
    to remove.
    """
    if final.exists():
        if _exchange(new, final):
            return
        final.rename(_aside(final))
    try:
        new.rename(final)
    finally:
        _restore_replaced(final)


def _exchange(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Swaps two folders in one step; False if the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0


def _restore_replaced(final: pathlib.Path) -> None:
    """Brings back what a replacement had moved aside if it was killed or failed, or removes it."""
    aside = _aside(final)
    if aside.exists() and not final.exists():
        aside.rename(final)
    shutil.rmtree(aside, ignore_errors=True)


def _aside(final: pathlib.Path) -> pathlib.Path:
    return final.parent / f".replaced-{final.name}"
