"""What the name of a video or of its feature file says by itself: suffix, label tokens, key.

What depends on the other names of a list or folder, crops and the endings of encoders, is in
listed_names.py.
"""

import re

from data_prep.catalogue import ucf_crime, xd_violence
from refinevad_jax.encoders.video_files import spelled, without_suffix

_FILES = r"\.(npy|npz|txt|csv|mat|h5|hdf5|safetensors|pt|pth|pkl|pickle)"
_FILE_SUFFIX = re.compile(rf"(?<=.)({_FILES})+$", re.IGNORECASE)


def is_video_path(path: str) -> bool:
    """Whether a path names a video file, by its suffix."""
    return without_suffix(path.strip()) != path.strip()


def strip_video_path(path: str) -> str:
    r"""A path without the suffixes of files, its folders divided by `/`.

    `G:\UCF\a.mp4` gives `G:/UCF/a`, `./a.mp4.npy` and `a.npy.npy` give `a`;
    `clip.2024-01-05` loses nothing.
    """
    folders, name = split_path(path)
    stem = _FILE_SUFFIX.sub("", name)
    return "/".join([*folders, without_suffix(stem)])


def split_path(path: str) -> tuple[tuple[str, ...], str]:
    """The folders and the last part of a path, in Unicode's composed form; `a/b/` ends in b."""
    *folders, name = re.split(r"[/\\]", spelled(path.strip().rstrip("/\\")))
    return tuple(part for part in folders if part not in ("", ".")), name


def is_normal_label(label: str | None) -> bool:
    """Whether a label string means "no anomaly" in any of the released lists; None does not."""
    text = (label or "").strip()
    if text in ("A", "0", "0.0") or text.lower() in ("normal", "false"):
        return True
    return re.fullmatch(ucf_crime.NORMAL_FOLDER, text, re.IGNORECASE) is not None


def label_tokens(label: str) -> list[str]:
    """The tokens of a label string: `B2-G-0` (XD-Violence) -> B2, G; `a,b` -> a, b."""
    if re.fullmatch(xd_violence.LABEL, label):
        return [part for part in label.split("-") if part != "0"]
    return [token for token in label.split(",") if token]


def match_key(video_id: str) -> str:
    """A UCF-Crime id as short as any release writes it, for comparing ids of several releases.

    `Abuse028_x264` -> `Abuse028`; `Normal_Videos_003_x264`, `Normal_Videos_003`, `Normal003` ->
    `Normal003`. Every other id stays as it is.
    """
    folder, slash, name = video_id.rpartition("/")
    if match := re.fullmatch(ucf_crime.NORMAL_NAME, name):
        return f"{folder}{slash}Normal{match.group(1)}"
    return f"{folder}{slash}{name.removesuffix('_x264')}"
