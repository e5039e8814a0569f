"""The SHA-256 of a file, for provenance."""

import hashlib
import pathlib


def file_sha256(path: pathlib.Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
