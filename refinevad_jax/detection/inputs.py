"""The inputs of detection: which files a flag means, and what their outputs are called."""

import collections
import os
import pathlib
from collections.abc import Mapping, Sequence

from refinevad_jax.detection.features import has_digest
from refinevad_jax.encoders.encoder import NAMES
from refinevad_jax.encoders.loading import VISUAL
from refinevad_jax.encoders.pipe import is_pipe
from refinevad_jax.encoders.record import (
    read_record,
)
from refinevad_jax.encoders.video_files import find_videos, left_out_note, without_suffix
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import (
    CONTAINERS,
    TEXTS,
    UNSAFE,
    feature_paths,
    file_of,
)
from refinevad_jax.files.feature_files import SUFFIXES as FEATURES
from refinevad_jax.runtime.addresses import is_address, shown
from refinevad_jax.runtime.command_line import one_line

ENCODERS = {NAMES[name]: name for name in VISUAL}


def find_inputs(inputs: Sequence[str], output: pathlib.Path) -> dict[str, pathlib.Path]:
    """Every input by the name its outputs will have.

    A folder stands for the videos below it and for those .npy files of features that belong to none
    of them. What else lies there is named on the screen, except what an earlier detection wrote
    to `output` below it. Inputs of one name are told apart by their folders. Raises UserError if
    nothing is there or two inputs would have one name.
    """
    named: list[tuple[str, pathlib.Path]] = []
    for text in inputs:
        path = pathlib.Path(text)
        if path.is_dir():
            named += _in_folder(text, path, output).items()
        elif path.suffix.lower() in CONTAINERS and path.is_file():
            named += [(_name_of(one, path.parent), one) for one in feature_paths(path)]
        elif file_of(path).is_file():
            named.append((_name_of(path, path.parent), path))
        elif is_address(text) or is_pipe(text):
            what = "an address" if is_address(text) else "a pipe"
            raise UserError(f"--input={shown(text)}: {what} is a live source; add --stream")
        else:
            raise UserError(f"--input={shown(text)}: no such file or folder; check the path")
    count = collections.Counter(name for name, _ in named)
    places = {path: path.parent.resolve() for name, path in named if count[name] > 1}
    common = os.path.commonpath(places.values()) if places else ""
    found: dict[str, pathlib.Path] = {}
    for name, path in named:
        if path in places:  # told apart by their folders
            name = _name_of(places[path] / path.name, pathlib.Path(common))
        if name in found and found[name].resolve() == path.resolve():
            raise UserError(f"--input={path} is given twice; leave one out")
        if name in found:
            raise UserError(f"{found[name]} and {path} would both become {name}; rename one")
        found[name] = path
    return found


def is_text(path: pathlib.Path) -> bool:
    """Whether the path is text; otherwise pages could not name it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_video(path: pathlib.Path) -> bool:
    """Whether an input is taken for a video."""
    return file_of(path).suffix.lower() not in (*FEATURES, *UNSAFE)


def _in_folder(text: str, folder: pathlib.Path, output: pathlib.Path) -> dict[str, pathlib.Path]:
    """The inputs of a folder by name; prints what is left out."""
    written = output.resolve()
    within = written not in (folder.resolve(), *folder.resolve().parents)

    def counts(path: pathlib.Path) -> bool:
        return not (within and written in path.resolve().parents)

    searched = find_videos(folder)
    videos = [path for path in searched.videos if counts(path)]
    others = [path for path in searched.others if counts(path)]
    holding = [path for path in others if path.suffix.lower() in (".npy", *CONTAINERS)]
    if not (videos or holding):
        holding = [path for path in others if path.suffix.lower() in (*TEXTS, *UNSAFE)]
    features = [one for path in holding for one in feature_paths(path)]
    found: dict[str, pathlib.Path] = {}
    left_out: dict[pathlib.Path, str] = {}
    for path in [*videos, *features]:
        name = _name_of(path, folder)
        video = None if is_video(path) else _video_among(path, name, found, videos)
        if video:
            left_out[path] = f"features of {video.name}"
        elif name in found:
            raise UserError(f"{found[name]} and {path} would both become {name}; rename one")
        else:
            found[name] = path
    known = {*holding, *(path.with_suffix(".json") for path in features)}
    left_out |= {
        path: why for path, why in searched.left_out.items() if path not in known and counts(path)
    }
    if not found:
        more = f"; {left_out_note(left_out, folder)}" if left_out else ""
        raise UserError(f"--input={text}: no video and no file of features in it{more}")
    if left_out:
        print(one_line(f"--input={text}: {left_out_note(left_out, folder)}"))
    return found


def _name_of(path: pathlib.Path, folder: pathlib.Path) -> str:
    """What outputs are called after an input: its path below a folder without suffixes of files."""
    alone = not is_video(path) and file_of(path) == path
    return without_suffix(str((path.with_suffix("") if alone else path).relative_to(folder)))


def _video_among(
    features: pathlib.Path,
    name: str,
    found: Mapping[str, pathlib.Path],
    videos: Sequence[pathlib.Path],
) -> pathlib.Path | None:
    """The video that features belong to: by the same name, or because their record has its digest.

    found: inputs by name, the videos among them.
    """
    if name in found and is_video(found[name]):
        return found[name]
    try:
        record = read_record(features)
    except UserError:  # said when the features are read
        return None
    if not record:
        return None
    for video in videos:
        if video.name == record.values.get("video") and has_digest(video, record):
            return video
    return None
