"""Which videos to read: a folder, a single file, or a list."""

import os
import pathlib

from refinevad_jax.encoders.video import SUFFIXES, find_videos
from refinevad_jax.errors import UserError


def read_videos(source: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """The videos that --videos names: (file, path that its feature file will have, with suffix).

    source: a folder, searched to its depths; a video file; or a text file of one path a line,
    relative to its own folder, or CSV whose first column, headed `path`, is the path. Absolute
    paths are cut down to what follows their common folder.
    Raises UserError where nothing is found, a path leaves the list's folder, or is listed twice.
    """
    try:
        if source.is_dir():
            found = find_videos(source)
            if not found:
                raise UserError(f"{source}: no video in it; {', '.join(SUFFIXES)} are looked for")
            return [(path, path.relative_to(source).as_posix()) for path in found]
        if source.suffix.lower() in SUFFIXES:
            return [(source, source.name)]
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UserError(f"--videos={source}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--videos={source}: is neither a folder, a video nor a list") from error
    entries = [line.split(",")[0].strip().replace("\\", "/") for line in lines]
    entries = [entry for entry in entries if entry and not entry.startswith("#")]
    if entries[:1] == ["path"]:
        entries = entries[1:]
    if not entries:
        raise UserError(f"--videos={source}: lists no video")
    for entry in entries:
        if entries.count(entry) > 1:
            raise UserError(f"--videos={source}: {entry} is listed twice; remove one")
    absolute = [entry for entry in entries if pathlib.PurePosixPath(entry).is_absolute()]
    common = os.path.commonpath([str(pathlib.Path(entry).parent) for entry in absolute] or ["/"])
    return [_entry(source, entry, common) for entry in entries]


def _entry(source: pathlib.Path, entry: str, common: str) -> tuple[pathlib.Path, str]:
    path = pathlib.Path(entry)
    if path.is_absolute():
        return path, path.relative_to(common).as_posix()
    if ".." in path.parts:
        raise UserError(f"--videos={source}: {entry} leaves the list's folder; write it in full")
    return source.parent / path, path.as_posix()
