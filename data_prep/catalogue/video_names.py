r"""What the name of a video or of its feature file says: video id, crop, encoder, label tokens.

Released lists name a video by a path: `G:\UCF\Abuse028_x264_i3d.npy`,
`/data/XDTestClipFeatures/Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6__0.npy`. The id is what is
left without directory, file suffix and the endings that encoders add.
"""

import dataclasses
import re

from data_prep.catalogue import shanghaitech, ucf_crime, xd_violence
from refinevad_jax.encoders.video import SUFFIXES

_VIDEO = "|".join(map(re.escape, SUFFIXES))
_FILE_SUFFIX = re.compile(
    rf"(\.(npy|npz|txt|csv|mat|h5|hdf5|safetensors|pth?|pkl|pickle)|{_VIDEO})$", re.IGNORECASE
)
_VIDEO_SUFFIX = re.compile(rf"({_VIDEO})$", re.IGNORECASE)
_ENCODER_ENDING = re.compile(r"_(i3d|swin|emb|_vggish|_?gt)$")
_CROP_ENDING = re.compile(r"__(\d{1,2})$")


@dataclasses.dataclass(frozen=True)
class VideoName:
    """A path of a list, read.

    Attributes:
        video_id: without directory, suffix, encoder ending and crop.
        crop: the number behind `__`; None if the name has none.
        ending: the encoder's ending, `_i3d`, `_swin`, `_emb`, `__vggish` or "".
    """

    video_id: str
    crop: int | None
    ending: str


def is_video_path(path: str) -> bool:
    """Whether a path names a video file, by its suffix."""
    return _VIDEO_SUFFIX.search(path.strip()) is not None


def parse_path(path: str) -> VideoName:
    """Reads the path of a feature or video file, with slashes or back-slashes.

    What looks like a crop or an encoder's ending is part of the name of a video file.
    """
    if is_video_path(path):
        return VideoName(strip_video_path(path), None, "")
    stem = _FILE_SUFFIX.sub("", re.split(r"[/\\]", path.strip())[-1])
    ending = _ENCODER_ENDING.search(stem)
    stem = stem[: ending.start()] if ending else stem
    crop = _CROP_ENDING.search(stem)
    if crop:
        video_id, index = stem[: crop.start()], int(crop.group(1))
    elif match := re.search(shanghaitech.CROP_NAME, path.strip()):
        video_id, index = match.group(1), int(match.group(2))
    else:
        video_id, index = stem, None
    # 14 names of the XD-Violence annotation keep the video's own suffix.
    return VideoName(_VIDEO_SUFFIX.sub("", video_id), index, ending.group() if ending else "")


def strip_video_path(path: str) -> str:
    """A video's id from its path: without directory and video suffix, nothing else removed."""
    return _VIDEO_SUFFIX.sub("", re.split(r"[/\\]", path.strip())[-1])


def is_normal_label(label: str | None) -> bool:
    """Whether a label string means "no anomaly" in any of the released lists; None does not."""
    text = (label or "").strip()
    return text.lower() == "normal" or text in ("A", "0", "0.0")


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
    if match := re.fullmatch(ucf_crime.NORMAL_NAME, video_id):
        return f"Normal{match.group(1)}"
    return video_id.removesuffix("_x264")
