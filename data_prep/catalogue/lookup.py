"""The questions over all data sets: which list, features, truth, data set or taxonomy is this?

Every answer is looked up in DATA_SETS when it is asked for: an edit of a data set's file is enough.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
import re
from collections.abc import Iterable, Mapping

from data_prep.catalogue import msad, ped2, shanghaitech, tad, ucf_crime, xd_violence
from data_prep.catalogue.data_set import (
    ANY_LENGTH_RULES,
    ANY_RELEASES,
    DataSet,
    KnownList,
    LengthRule,
)
from data_prep.catalogue.video_names import match_key
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.errors import UserError

# ShanghaiTech's and UCSD Ped2's ids are little more than numbers, so the others are asked first. If
# several length rules explain as many videos, the one that comes first here is named.
DATA_SETS = (
    xd_violence.DATA_SET,
    ucf_crime.DATA_SET,
    msad.DATA_SET,
    tad.DATA_SET,
    shanghaitech.DATA_SET,
    ped2.DATA_SET,
)

# Names of own videos may look like theirs, so that one name proves nothing.
HINTS = (shanghaitech.DATA_SET.name, ped2.DATA_SET.name)


def data_set_named(name: str) -> DataSet | None:
    """The data set of that name, None if there is none in the catalogue."""
    return next((data_set for data_set in DATA_SETS if data_set.name == name), None)


# --- videos ---


@functools.lru_cache(maxsize=100_000)  # a list has a row per crop, and names are asked for often
def _read_name(video_id: str) -> tuple[str, str | None]:
    """(name of the data set, label that the id states), ("", None) if no pattern fits."""
    video_id = video_id.rpartition("/")[2]
    for data_set in DATA_SETS:
        for pattern, label in data_set.names.items():
            if match := re.fullmatch(pattern, video_id):
                return data_set.name, match.expand(label)
    return "", None


def data_set_of(video_id: str) -> str:
    """The data set whose naming an id follows, "" if it follows none that is known.

    UCSD Ped2's and ShanghaiTech's ids are little more than numbers: a hint, not a proof.
    """
    return _read_name(video_id)[0]


def data_set_of_all(video_ids: Iterable[str]) -> str:
    """The data set whose naming every id follows, "" if they differ or follow none."""
    names = {data_set_of(video) for video in video_ids}
    return names.pop() if len(names) == 1 else ""


def label_from_name(video_id: str) -> str | None:
    """The label string that an id itself states, None if it states none.

    UCF-Crime `Abuse028_x264` -> `Abuse`; XD-Violence `..._label_B2-B6-G` -> `B2-B6-G`; MSAD
    `Fire_3` -> `Fire`; TAD `01_Accident_006` -> `Accident`. ShanghaiTech's ids (`01_001` normal,
    `01_0014` not) and UCSD Ped2's (`Train001` normal, `Test001` not) say `Abnormal` at most.
    """
    return _read_name(video_id)[1]


def recording_from_name(video_id: str, data_set: str) -> str:
    """The film or camera that an id of that data set tells; "" if it tells none.

    XD-Violence `Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6` -> `Bad.Boys.1995`; ShanghaiTech
    `01_0014` -> `01`.
    """
    known = data_set_named(data_set)
    match = re.fullmatch(known.recordings, video_id) if known and known.recordings else None
    return match[1] if match else ""


def labels_from_names(video_ids: Iterable[str]) -> dict[str, str | None]:
    """The same for the ids of a list: those of HINTS state a label only if all are of one set."""
    ids = list(video_ids)
    hints = () if data_set_of_all(ids) else HINTS
    return {video: None if data_set_of(video) in hints else label_from_name(video) for video in ids}


# --- lists ---


def order_hash(video_ids: Iterable[str]) -> str:
    """16 hexadecimal digits over the ids in order: SHA-256 of match_key(id) and newline each.

    The order matters because most ground-truth arrays of the field are one long concatenation over
    a test list: the same array read along another list gives wrong numbers without any error.
    """
    text = "".join(f"{match_key(video)}\n" for video in video_ids)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def members_hash(video_ids: Iterable[str]) -> str:
    """The same over the ids sorted by match_key."""
    return order_hash(sorted(match_key(video) for video in video_ids))


def known_list(video_ids: Iterable[str]) -> tuple[DataSet, KnownList] | None:
    """The released list with these videos in any order, None if it is not a known one."""
    digest = members_hash(video_ids)
    return next(((d, d.lists[digest]) for d in DATA_SETS if digest in d.lists), None)


def known_order(video_ids: Iterable[str]) -> str:
    """Who released a list in this order, "" if nobody is known."""
    digest = order_hash(video_ids)
    return next((d.orders[digest] for d in DATA_SETS if digest in d.orders), "")


# --- truths ---


def known_truth(span_hash: str) -> str:
    """Which released truth has a hash, see annotations/truths.py; "" if it is not a known one."""
    return next((d.truths[span_hash] for d in DATA_SETS if span_hash in d.truths), "")


def known_array(num_frames: int) -> str:
    """Whose published ground-truth array has that many frames; "" if nobody's is known."""
    found = [d for d in DATA_SETS if num_frames in d.array_lengths]
    return f"{found[0].name}, {found[0].array_lengths[num_frames]}" if found else ""


def official_file(data_set: str) -> pathlib.Path | None:
    """The kept official test annotation of a data set, None if none is kept."""
    known = data_set_named(data_set)
    folder = pathlib.Path(__file__).parent / "official"
    return folder / known.official if known and known.official else None


# --- features ---


def name_features(
    *,
    width: int,
    crops: int,
    stacked: bool,
    ending: str,
    suffix: str,
    data_set: str,
    frames_per_segment: float | None = None,
) -> str:
    """The feature releases that fit, joined by " or "; "unknown" if none does.

    Arguments as of FeatureRelease, and data_set as data_set_of names it. crops: of this video;
    frames_per_segment: measured on videos with a known frame count, None if there are none.
    """
    known = data_set_named(data_set)
    fitting = [
        release.name
        for release in (*(known.releases if known else ()), *ANY_RELEASES)
        if release.width == width
        and crops in release.crops
        and (release.stacked == stacked or crops == 1)
        and release.ending == ending
        and release.suffix == suffix
        and (
            frames_per_segment is None
            or suffix == ".txt"
            or 0.7 < frames_per_segment / release.frames_per_segment < 1.5
        )
    ]
    return " or ".join(fitting) or "unknown"


def lengths_by_rule(
    data_set: str, num_frames: Mapping[str, int], frames_per_segment: int = 16
) -> dict[LengthRule, dict[str, int]]:
    """Frames of each video that count, frames_per_segment x T, under every rule of a data set.

    A frame-level ground truth has that many frames, so the rule decides the length of a test set.

    data_set: as data_set_of names it; of an unknown one the general rules. num_frames: n of each
    video.
    """
    known = data_set_named(data_set)
    return {
        rule: {
            video: rule.num_segments(video, n, frames_per_segment) * frames_per_segment
            for video, n in num_frames.items()
        }
        for rule in (*ANY_LENGTH_RULES, *(known.length_rules if known else ()))
    }


@dataclasses.dataclass(frozen=True)
class RuleFit:
    """The rule that most videos follow.

    Attributes:
        rule: its name, "unknown" if no rule fits half of the videos.
        followers: videos that follow it.
        num_compared: videos with known frames and segments.
        deviants: {video: (T found, T by the rule)}.
    """

    rule: str
    followers: int
    num_compared: int
    deviants: dict[str, tuple[int, int]]


def fit_rule(
    num_frames: Mapping[str, int], segments: Mapping[str, int], *, frames_per_segment: int = 16
) -> RuleFit:
    """The rule of any data set that explains the most T of features.

    num_frames: n of each video; segments: T of each video.
    """
    common = [video for video in segments if video in num_frames]
    fits = []
    for rule in (*ANY_LENGTH_RULES, *(rule for d in DATA_SETS for rule in d.length_rules)):
        deviants = {
            video: (segments[video], expected)
            for video in common
            if (expected := rule.num_segments(video, num_frames[video], frames_per_segment))
            != segments[video]
        }
        fits.append(RuleFit(rule.name, len(common) - len(deviants), len(common), deviants))
    best = max(fits, key=lambda fit: fit.followers)  # if several are equal, the first
    if 2 * best.followers < max(len(common), 1):
        return RuleFit("unknown", 0, len(common), {})
    return best


# --- taxonomies ---


def built_in_taxonomies() -> tuple[str, ...]:
    """Their names."""
    return tuple(sorted(data_set.taxonomy.name for data_set in DATA_SETS))


def load_taxonomy(name_or_path: str) -> Taxonomy:
    """A built-in taxonomy by name, or one from a JSON file.

    The file holds {"categories": [...]} and, if needed, "name", "display_names", "normal" (default
    ["Normal"]), "separator" and "ignored". Raises UserError if it cannot be read.
    """
    for data_set in DATA_SETS:
        if data_set.taxonomy.name == name_or_path:
            return data_set.taxonomy
    path = pathlib.Path(name_or_path)
    if not path.is_file():
        raise UserError(
            f"taxonomy {name_or_path!r} is neither built in ({', '.join(built_in_taxonomies())}) "
            "nor a file"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file ({error})") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: a taxonomy is a JSON object with a list 'categories'")
    return Taxonomy.from_dict(values, source=str(path))
