"""Which videos to read: a folder, a single file, or a list."""

import collections
import os
import pathlib

from data_prep.sources.lists import read_released_list
from refinevad_jax.encoders.video import SUFFIXES, find_videos
from refinevad_jax.errors import UserError


def read_videos(source: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """The videos that --videos names: (file, path that its feature file will have, with suffix).

    source: a folder, searched to its depths; a video file; or a list in any grammar of
    data_prep.sources.lists, its paths relative to the list's folder. Absolute paths are cut down to
    what follows their common folder.
    Raises UserError if nothing is found, or if a path leaves the list's folder or is listed twice.
    """
    if source.is_dir():
        found = find_videos(source)
        if not found:
            raise UserError(f"{source}: no video in it; {', '.join(SUFFIXES)} are looked for")
        return [(path, path.relative_to(source).as_posix()) for path in found]
    if source.suffix.lower() in SUFFIXES:
        return [(source, source.name)]
    paths = [entry.path.replace("\\", "/") for entry in read_released_list(source).entries]
    for path, count in collections.Counter(paths).items():
        if count > 1:
            raise UserError(f"--videos={source}: {path} is listed twice; remove one")
    absolute = [path for path in paths if pathlib.PurePosixPath(path).is_absolute()]
    common = os.path.commonpath([str(pathlib.Path(path).parent) for path in absolute] or ["/"])
    return [_entry(source, path, common) for path in paths]


def _entry(source: pathlib.Path, entry: str, common: str) -> tuple[pathlib.Path, str]:
    path = pathlib.Path(entry)
    if path.is_absolute():
        return path, path.relative_to(common).as_posix()
    if ".." in path.parts:
        raise UserError(f"--videos={source}: {entry} leaves the list's folder; write it in full")
    return source.parent / path, path.as_posix()
