r"""What the name of a video or of its feature file says: video id, crop, label.

Released lists name a video by a path: `G:\UCF\Abuse028_x264_i3d.npy`,
`/data/XDTestClipFeatures/Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6__0.npy`. The id is what is
left without directory, file suffix and the endings that encoders add.
"""

import dataclasses
import re

_FILE_SUFFIX = re.compile(r"\.(npy|npz|txt|mat|mp4|avi|mkv|mov|webm)$", re.IGNORECASE)
_VIDEO_SUFFIX = re.compile(r"\.(mp4|avi|mkv|mov|webm)$", re.IGNORECASE)
_ENCODER_ENDING = re.compile(r"_(i3d|swin|emb|_vggish|_?gt)$")
_CROP_ENDING = re.compile(r"__(\d{1,2})$")
# PEL4VAD's ShanghaiTech files carry the crop after a single underscore. IEF-VAD's `04_0012_1.avi`
# is a piece of a video, so the file must be an array.
_SHANGHAITECH_CROP = re.compile(r"(\d\d_\d{3,4})_(\d)\.npy$")

_UCF = re.compile(
    r"^(Abuse|Arrest|Arson|Assault|Burglary|Explosion|Fighting|RoadAccidents|Robbery|Shooting"
    r"|Shoplifting|Stealing|Vandalism)\d{3}(_x264)?$"
)
_UCF_NORMAL = re.compile(r"^Normal(?:_Videos_?)?(\d{3})(?:_x264)?$")
_XD = re.compile(r"^.+_label_((?:A|B[12456]|G|0)(?:-(?:A|B[12456]|G|0))*)$")
_MSAD = re.compile(
    r"^(Assault|Explosion|Fighting|Fire|Object_falling|People_falling|Robbery|Shooting"
    r"|Traffic_accident|Vandalism|Water_incident)_\d+$"
)
_MSAD_NORMAL = re.compile(r"^MSAD_normal_(testing_)?\w+$")
_TAD = re.compile(
    r"^0[1-7]_(Accident|IllegalTurn|IllegalOccupation|Retrograde|else|PedestrianOnRoad|RoadSpills)"
    r"_\d{3}$"
)
_TAD_NORMAL = re.compile(r"^Normal_\d{3}$")
_SHANGHAITECH = re.compile(r"^\d\d_\d{3,4}(_\d)?$")
_SHANGHAITECH_NORMAL = re.compile(r"^\d\d_\d{3}$")
_PED2 = re.compile(r"^(Train|Test)\d{3}$")
_PED2_NORMAL = re.compile(r"^Train\d{3}$")


@dataclasses.dataclass(frozen=True)
class VideoName:
    """A path of a list, read.

    Attributes:
        video_id: without directory, suffix, encoder ending and crop.
        crop: the number behind `__`; None where the name has none.
        ending: the encoder's ending, `_i3d`, `_swin`, `_emb`, `__vggish` or "".
    """

    video_id: str
    crop: int | None
    ending: str


def parse_path(path: str) -> VideoName:
    """Reads the path of a feature or video file, with slashes or back-slashes."""
    stem = _FILE_SUFFIX.sub("", re.split(r"[/\\]", path.strip())[-1])
    ending = _ENCODER_ENDING.search(stem)
    stem = stem[: ending.start()] if ending else stem
    crop = _CROP_ENDING.search(stem)
    if crop:
        video_id, index = stem[: crop.start()], int(crop.group(1))
    elif shanghaitech := _SHANGHAITECH_CROP.search(path.strip()):
        video_id, index = shanghaitech.group(1), int(shanghaitech.group(2))
    else:
        video_id, index = stem, None
    return VideoName(
        # 14 names of the XD-Violence annotation keep the video's own suffix.
        video_id=_VIDEO_SUFFIX.sub("", video_id),
        crop=index,
        ending=ending.group() if ending else "",
    )


def strip_video_path(path: str) -> str:
    """A video's id from its path: without directory and video suffix, nothing else removed."""
    return _VIDEO_SUFFIX.sub("", re.split(r"[/\\]", path.strip())[-1])


def data_set_of(video_id: str) -> str:
    """The data set whose naming an id follows, "" where it follows none that is known.

    UCSD Ped2's and ShanghaiTech's ids are plain numbers, so the answer is a hint, not a proof.
    """
    patterns = {
        "UCF-Crime": (_UCF, _UCF_NORMAL),
        "XD-Violence": (_XD,),
        "MSAD": (_MSAD, _MSAD_NORMAL),
        "TAD": (_TAD, _TAD_NORMAL),
        "ShanghaiTech": (_SHANGHAITECH,),
        "UCSD Ped2": (_PED2,),
    }
    for name, expressions in patterns.items():
        if any(expression.match(video_id) for expression in expressions):
            return name
    return ""


def label_from_name(video_id: str) -> str | None:
    """The label string that an id itself states, None where it states none.

    UCF-Crime `Abuse028_x264` -> `Abuse`; XD-Violence `..._label_B2-B6-G` -> `B2-B6-G`; MSAD
    `Fire_3` -> `Fire`; TAD `01_Accident_006` -> `Accident`. ShanghaiTech's ids (`01_001` normal,
    `01_0014` not) and UCSD Ped2's (`Train001` normal, `Test001` not) say `Abnormal` at most.
    """
    for expression in (_UCF, _XD, _MSAD, _TAD):
        if match := expression.match(video_id):
            return match.group(1)
    for normal in (_UCF_NORMAL, _MSAD_NORMAL, _TAD_NORMAL, _SHANGHAITECH_NORMAL, _PED2_NORMAL):
        if normal.match(video_id):
            return "Normal"
    return "Abnormal" if _SHANGHAITECH.match(video_id) or _PED2.match(video_id) else None


def is_normal_label(label: str) -> bool:
    """Whether a label string means "no anomaly" in any of the released lists."""
    return label.strip().lower() == "normal" or label.strip() in ("A", "0", "0.0")


def label_tokens(label: str) -> list[str]:
    """The tokens of a label string; only XD-Violence joins several, `B2-G-0` -> B2, G."""
    if re.fullmatch(r"(A|B[12456]|G|0)(-(A|B[12456]|G|0))*", label):
        return [part for part in label.split("-") if part != "0"]
    return [token for token in label.split(",") if token]


def match_key(video_id: str) -> str:
    """A UCF-Crime id as short as any release writes it, for comparing ids of several releases.

    `Abuse028_x264` -> `Abuse028`; `Normal_Videos_003_x264`, `Normal_Videos_003`, `Normal003` ->
    `Normal003`. Every other id stays as it is.
    """
    if match := _UCF_NORMAL.match(video_id):
        return f"Normal{match.group(1)}"
    return video_id.removesuffix("_x264")
