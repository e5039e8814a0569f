r"""What the names of a whole list or folder say: video ids, crops, endings of encoders.

Released lists name a video by a path: `G:\UCF\Abuse028_x264_i3d.npy`,
`/data/XDTestClipFeatures/Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6__0.npy`. A name alone does
not tell whether `__0` is a crop or a part of the name, as in RWF-2000: the others do.
"""

import collections
import dataclasses
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from data_prep.catalogue import shanghaitech, ucf_crime, xd_violence
from data_prep.catalogue.lookup import HINTS, data_set_of
from data_prep.catalogue.video_names import is_video_path, match_key, split_path, strip_video_path
from refinevad_jax.encoders.video_files import folded
from refinevad_jax.errors import UserError
from refinevad_jax.files.feature_files import CROP_COUNTS

_ENDING = re.compile(
    r"_(?:_?(?:vggish|gt)|i3d|i3d_rgb|i3d_flow|rgb|flow|swin|emb|clip|c3d|audio|text)$",
    re.IGNORECASE,
)
# Names that nobody else gives, so that one of them is known among others.
_CERTAIN = (ucf_crime.DATA_SET.name, xd_violence.DATA_SET.name)
# If so many of the videos of a list have all crops, the others lack some.
_MOST = 0.9


_Key = Callable[[str], str]
_Place = tuple[tuple[str, ...], str]  # folders and name of a video


@dataclasses.dataclass(frozen=True)
class VideoName:
    """A path of a list, read.

    Attributes:
        video_id: the name without suffix, encoder's ending and crop; if several videos of the list
            have it, with the folders behind the folder that all have in common.
        path: the same with all folders.
        crop: the number behind `__`; None if the name has none.
        ending: the encoder's ending, `_i3d`, `_swin`, `_emb`, `__vggish` or "".
    """

    video_id: str
    path: str
    crop: int | None
    ending: str


@dataclasses.dataclass(frozen=True)
class _Parts:
    """A path taken apart; crop and ending are what they look like."""

    folders: tuple[str, ...]
    stem: str
    crop: int | None = None
    ending: str = ""

    @property
    def place(self) -> _Place:
        return self.folders, self.stem


def read_names(
    paths: Sequence[str], *, crops: bool = True, recorded: Collection[str] = ()
) -> list[VideoName]:
    """Reads the paths of a list or folder, with slashes or back-slashes.

    Nothing is taken off the name of a video file. Off others, the ending of an encoder is taken if
    all have it, and a crop if all videos have the same complete ones; both also if the names are
    those of a release.

    Args:
        paths: of feature files or videos.
        crops: whether numbers may be crops at all.
        recorded: those that extraction made, a file per video.
    """
    return read_names_of([paths], crops=crops, recorded=recorded)[0]


def read_names_of(
    lists: Sequence[Sequence[str]], *, crops: bool = True, recorded: Collection[str] = ()
) -> list[list[VideoName]]:
    """The same for the lists of one data set: ids differ across all of them."""
    whole = [[_whole(path) for path in paths] for paths in lists]
    free = [  # those of which something may be taken off
        [not is_video_path(path) and path not in recorded for path in paths] for paths in lists
    ]
    read = [
        [_apart(one) if is_free else one for one, is_free in zip(ones, frees, strict=True)]
        for ones, frees in zip(whole, free, strict=True)
    ]
    if not _released(parts.stem for parts in _joined(read)):
        read = _read_own(whole, read, free, crops)
    ids = _ids(read)
    return [
        [
            VideoName(
                ids[parts.place], "/".join([*parts.folders, parts.stem]), parts.crop, parts.ending
            )
            for parts in ones
        ]
        for ones in read
    ]


def merged_note(paths: Sequence[str], names: Sequence[VideoName]) -> str:
    """What was taken for crops although no release tells, in words; "" if nothing was.

    paths: of the names, as written.
    """
    own = [i for i, name in enumerate(names) if data_set_of(name.video_id) not in _CERTAIN]
    crops = [i for i in own if names[i].crop is not None]
    videos = {names[i].video_id for i in own}
    if not crops or _released(videos):
        return ""
    last = max(names[i].crop or 0 for i in crops)
    return (
        f"{len(own)} files, {split_path(paths[crops[0]])[1]} the first, are read as "
        f"{f'crops 0 to {last}' if last else 'crop 0'} of {len(videos)} videos"
    )


def _joined(lists: Iterable[Sequence[_Parts]]) -> list[_Parts]:
    return [parts for ones in lists for parts in ones]


def without_ending(name: str) -> str:
    """A name without what looks like the ending of an encoder."""
    return _ENDING.sub("", name)


def _whole(path: str) -> _Parts:
    folders, stem = split_path(strip_video_path(path))
    return _Parts(folders, stem)


def _apart(whole: _Parts) -> _Parts:
    """The name with all taken off that looks like an ending or a crop."""
    ending = _ENDING.search(whole.stem)
    stem = whole.stem[: ending.start()] if ending else whole.stem
    crop = re.fullmatch(r"(.+)__(\d{1,2})", stem) or re.fullmatch(shanghaitech.CROP_NAME, stem)
    stem, index = (crop.group(1), int(crop.group(2))) if crop else (stem, None)
    # 14 names of the XD-Violence annotation keep the video's own suffix.
    return _Parts(whole.folders, strip_video_path(stem), index, ending.group() if ending else "")


def _released(stems: Iterable[str]) -> bool:
    """Whether all names are those of releases."""
    found = {data_set_of(stem) for stem in stems}
    return not found & {"", *HINTS}


def _read_own(
    wholes: Sequence[Sequence[_Parts]],
    aparts: Sequence[Sequence[_Parts]],
    free: Sequence[Sequence[bool]],
    crops: bool,
) -> list[list[_Parts]]:
    """The names of lists that are not a release's as a whole; some of them may be.

    free: of which names something may be taken off.
    """
    own = [[data_set_of(apart.stem) not in _CERTAIN for apart in ones] for ones in aparts]
    endings = {
        apart.ending
        for ones, frees, owns in zip(aparts, free, own, strict=True)
        for apart, is_free, is_own in zip(ones, frees, owns, strict=True)
        if is_free and is_own
    }
    read = []
    for ones, found, frees, owns in zip(wholes, aparts, free, own, strict=True):
        mine = [i for i, is_own in enumerate(owns) if is_own]
        names = list(found)
        with_crops = (
            crops
            and len(endings) == 1
            and all(frees[i] for i in mine)
            and _complete([found[i] for i in mine])
        )
        for i in [] if with_crops else mine:
            names[i] = ones[i]
            if len(endings) == 1 and frees[i]:
                ending = found[i].ending
                if ending:
                    stem = strip_video_path(ones[i].stem.removesuffix(ending))
                    names[i] = dataclasses.replace(ones[i], stem=stem, ending=ending)
        read.append(names)
    return read


def _complete(names: Sequence[_Parts]) -> bool:
    """Whether the names are those of crops, 0 to N - 1 of each video.

    Crop 0 may have no number, as in Roc-Ng's archives.
    """
    found: dict[_Place, list[int | None]] = {}
    for name in names:
        found.setdefault(name.place, []).append(name.crop)
    if all(name.crop is None for name in names):
        return False
    sets = [tuple(sorted(crop or 0 for crop in crops)) for crops in found.values()]
    usual, count = collections.Counter(sets).most_common(1)[0]
    if usual == (0,) and any(name.crop is None for name in names):
        return False
    is_range = usual == tuple(range(len(usual))) and len(usual) in CROP_COUNTS
    return is_range and (count == len(sets) or (len(usual) > 1 and count >= _MOST * len(sets)))


def short_ids(paths: Iterable[str]) -> dict[str, str]:
    """The id of each video by its path, as strip_video_path gives it: nothing else is taken off."""
    places = {path: _Parts(*split_path(path)) for path in paths}
    ids = _ids([list(places.values())])
    return {path: ids[parts.place] for path, parts in places.items()}


def _ids(lists: Sequence[Sequence[_Parts]]) -> dict[_Place, str]:
    """The id of each video, by its place."""
    names = _joined(lists)
    folders: dict[str, set[tuple[str, ...]]] = {}
    for name in names:
        folders.setdefault(match_key(name.stem), set()).add(name.folders)
    several = {key for key, found in folders.items() if len(found) > 1}
    if several and _released(folders):
        # A release has each name once, whatever the folders of its crops and lists.
        several = set()
        for ones in lists:
            rows = collections.Counter((match_key(o.stem), o.crop) for o in dict.fromkeys(ones))
            several |= {key for (key, _), count in rows.items() if count > 1}
    parts = zip(*(name.folders for name in names), strict=False)
    common = sum(1 for _ in itertools.takewhile(lambda same: len(set(same)) == 1, parts))
    return {
        name.place: "/".join([*name.folders[common:], name.stem])
        if match_key(name.stem) in several
        else name.stem
        for name in names
    }


def meet(
    names: Mapping[str, str], videos: Mapping[str, str], source: str
) -> tuple[dict[str, str], list[str]]:
    """Which of the names in a file, of truth or scores, mean which videos.

    In turn by the same path or id, by the same last part and the longest common ending of the
    paths, and by a last part that differs in letter case, crop or the ending of an encoder.

    Args:
        names: path of each, by its id.
        videos: path of each video, by its id.
        source: the file, for errors.

    Returns {id: id of the video} of those that mean one, and those that differ, in words. Raises
    UserError naming both if two fit a name, or a video, equally well.
    """
    by_path = {match_key(path): video for video, path in videos.items()}
    by_key = {match_key(video): video for video in videos} | by_path
    found = {
        name: by_key[match_key(path)] for name, path in names.items() if match_key(path) in by_key
    }
    differing = []
    # Keys of names and videos, how folders are compared, whether those that fit two are refused.
    steps: tuple[tuple[_Key, _Key, _Key, bool], ...] = (
        (_last_key, _last_key, str, False),
        (_last_key, _last_key, folded, True),
        (_folded_key, _folded_key, folded, False),
        (bare_key, _folded_key, folded, False),
        (_folded_key, bare_key, folded, False),
    )
    for number, (name_key, video_key, spelling, refusing) in enumerate(steps):
        claimed = set(found.values())
        free_videos = _grouped([video for video in videos if video not in claimed], video_key)
        free_names = _grouped([name for name in names if name not in found], name_key)
        for last in filter(free_videos.__contains__, free_names):
            pairs = _nearest(
                {name: names[name] for name in free_names[last]},
                {video: videos[video] for video in free_videos[last]},
                spelling,
                source if refusing else "",
            )
            found |= pairs
            if number:
                differing += [f"{names[name]} is taken for {pairs[name]}" for name in pairs]
    return found, sorted(differing)


def _grouped(ids: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for one in ids:
        groups.setdefault(key(one), []).append(one)
    return groups


def _last_key(video_id: str) -> str:
    return match_key(video_id.rpartition("/")[2])


def _folded_key(video_id: str) -> str:
    return folded(_last_key(video_id))


def bare_key(video_id: str) -> str:
    """What names share that differ in folder, letter case, crop or the ending of an encoder."""
    return folded(match_key(_apart(_whole(video_id)).stem))


def _nearest(
    names: Mapping[str, str], videos: Mapping[str, str], spelling: Callable[[str], str], source: str
) -> dict[str, str]:
    """Names and videos of one last part, paired by the longest common ending of their paths.

    spelling: what is compared of their folders. If several are equally near, raises UserError
    naming the source; without one they stay alone.
    """
    near = {
        (name, video): _common_ending(spelling(one), spelling(other))
        for name, one in names.items()
        for video, other in videos.items()
    }
    pairs: dict[str, str] = {}
    while near:
        most = max(near.values())
        best = [pair for pair, length in near.items() if length == most]
        for name, video in best:
            rivals = [pair for pair in best if (pair[0] == name) != (pair[1] == video)]
            if not rivals:
                pairs[name] = video
            elif source:
                other = rivals[0]
                raise UserError(
                    f"{source}: {names[name]} may be video {video} or {other[1]}; write its folder"
                    if other[0] == name
                    else f"{source}: {names[name]} and {names[other[0]]} may both be video "
                    f"{video}; write its folder in the list"
                )
        near = {
            pair: length
            for pair, length in near.items()
            if length < most and pair[0] not in pairs and pair[1] not in pairs.values()
        }
    return pairs


def _common_ending(one: str, other: str) -> int:
    """How many folders of two paths are the same, from the end."""
    pairs = zip(one.split("/")[-2::-1], other.split("/")[-2::-1], strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
