"""SHA-256 of input files, for the provenance of a data set."""

import hashlib
import pathlib
from collections.abc import Sequence

from refinevad_jax.errors import UserError
from refinevad_jax.files.hashes import file_sha256

# Feature archives of the field take tens of GB: above this, file contents are not hashed.
MAX_HASHED_BYTES = 2 * 10**9


def hash_files(files: Sequence[pathlib.Path], root: pathlib.Path) -> dict[str, str]:
    """One SHA-256 over all files.

    Over path, size and content; over path and size where there are more than 2 GB. The answer says
    which.
    """
    sizes = {path: path.stat().st_size for path in files}
    with_content = sum(sizes.values()) <= MAX_HASHED_BYTES
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(root).as_posix()}\0{sizes[path]}\0".encode())
        if with_content:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return {
        "sha256": digest.hexdigest(),
        "over": "path, size and content" if with_content else "path and size",
    }


def hash_input(path: pathlib.Path | None) -> dict[str, str] | None:
    """Name and SHA-256 of a list or annotation file, or of the files of a folder; of None, None.

    Raises UserError where it does not exist.
    """
    if path is None:
        return None
    if path.is_dir():
        files = [file for file in path.iterdir() if file.is_file()]
        return {"folder": path.name, **hash_files(files, path)}
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    return {"file": path.name, "sha256": file_sha256(path)}
