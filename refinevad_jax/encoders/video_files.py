"""Which files are videos: by their suffix or, if that does not tell, by opening them."""

import collections
import dataclasses
import os
import pathlib
import re
import unicodedata
import urllib.parse
from collections.abc import Iterator, Sequence

from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.video import Video, import_av
from refinevad_jax.errors import UserError

SUFFIXES = (
    ".mp4",
    ".avi",
    ".mkv",
    ".mov",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".ts",
    ".flv",
    ".wmv",
    ".dav",
    ".mts",
    ".m2ts",
    ".3gp",
    ".3g2",
    ".asf",
    ".vob",
    ".ogv",
    ".mxf",
    ".h264",
    ".264",
    ".h265",
    ".265",
    ".hevc",
    ".divx",
    ".rmvb",
    ".f4v",
    ".m2v",
)
# Of other files that lie beside videos, which are not opened.
_OTHERS = (
    ".npy .npz .txt .mat .h5 .hdf5 .pt .pth .pkl .pickle .parquet .safetensors .onnx .list "
    ".json .jsonl .csv .tsv .xml .html .htm .js .css .yaml .yml .toml .ini .cfg .log .md .rst "
    ".jpg .jpeg .png .gif .bmp .tif .tiff .webp .heic .svg .ico .pdf .doc .docx .xls .xlsx "
    ".ppt .pptx .zip .tar .gz .tgz .bz2 .xz .7z .rar .srt .vtt .ass .ssa .sub .idx .sha256 "
    ".md5 .py .ipynb .sh .bat .ps1 .exe .db .sqlite .lock .bak .mp3 .wav .flac .aac .m4a .opus"
)
_DRAWN = ("ansi", "bintext", "idf", "xbin")  # FFmpeg's codecs that draw text files
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_MOST_NAMED = 10
_MOST_ALIKE = 5  # files of one folder, suffix and reason that are named one by one
_OTHER = "not a video"
# `.264` and `.265` inside a name are as likely a part of it: Movie.x.264.mp4.
_INNER = [suffix for suffix in SUFFIXES if suffix not in (".264", ".265")]
_OUTER = re.compile(rf"(?<=.)({'|'.join(map(re.escape, SUFFIXES))})$", re.IGNORECASE)
_MORE = re.compile(rf"(?<=.)({'|'.join(map(re.escape, _INNER))})$", re.IGNORECASE)


def without_suffix(name: str) -> str:
    """A name or path without the suffix of a video, or without several: `a.mp4`, `a.avi.mp4`.

    What follows another dot stays: `clip.2024-01-05` loses nothing.
    """
    name, count = _OUTER.subn("", name)
    while count:
        name, count = _MORE.subn("", name)
    return name


def spelled(name: str) -> str:
    """A name in Unicode's composed form: macOS writes the same letters in another way."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """What names share that differ in letter case, or of which one has `%20` for a blank."""
    return spelled(urllib.parse.unquote(name)).casefold()


@dataclasses.dataclass(frozen=True)
class VideoFiles:
    """What a search has found.

    Attributes:
        videos: in order of their paths.
        others: the other files, and folders that cannot be read, each with the reason.
    """

    videos: list[pathlib.Path]
    others: dict[pathlib.Path, str]

    @property
    def left_out(self) -> dict[pathlib.Path, str]:
        """The others without those that belong to a video, as `a.json` and `a.srt` to `a.mp4`."""
        named = {without_suffix(str(path)) for path in self.videos}
        return {
            path: why
            for path, why in self.others.items()
            if why != _OTHER or str(path.with_suffix("")) not in named
        }


def find_videos(folder: pathlib.Path) -> VideoFiles:
    """Searches a folder to its depths, linked folders too; hidden files are no videos.

    A file whose suffix does not tell what it is is opened, if PyAV is installed.
    """
    videos: list[pathlib.Path] = []
    others: dict[pathlib.Path, str] = {}
    for path in sorted(_files(folder, others)):
        if path.name.startswith("."):
            if path.suffix.lower() in SUFFIXES:
                others[path] = "hidden"
        elif not path.is_file():
            others[path] = "a link to nothing" if path.is_symlink() else "not a file"
        elif why := _fault(path):
            others[path] = why
        else:
            videos.append(path)
    return VideoFiles(videos, others)


def _files(folder: pathlib.Path, others: dict[pathlib.Path, str]) -> Iterator[pathlib.Path]:
    """All files below a folder. Linked folders are searched unless they lead back into it."""

    def unreadable(error: OSError) -> None:
        others[pathlib.Path(error.filename)] = f"cannot be read: {error.strerror}"

    whole = folder.resolve()
    linked: set[pathlib.Path] = set()

    def leads_on(path: pathlib.Path) -> bool:
        if not path.is_symlink():
            return True
        real = path.resolve()
        known = [whole, *linked]
        if any(real.is_relative_to(one) or one.is_relative_to(real) for one in known):
            return False
        linked.add(real)
        return True

    for root, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        visible = [name for name in sorted(folders) if not name.startswith(".")]
        folders[:] = [name for name in visible if leads_on(pathlib.Path(root, name))]
        yield from (pathlib.Path(root, name) for name in files)


def _fault(path: pathlib.Path) -> str:
    """Why a file is not taken for a video, "" if it is."""
    if path.suffix.lower() in _OTHERS.split():
        return _OTHER
    try:
        return "" if is_video_file(path) else "no video that can be read"
    except UserError as error:  # no PyAV
        return str(error)


def is_video_file(path: pathlib.Path) -> bool:
    """Whether an existing file is a video: by its suffix, else because two pictures are in it.

    A damaged file with the suffix of a video counts as one, so that its reader says what is wrong.
    Raises UserError if PyAV is needed and not installed.
    """
    suffix = path.suffix.lower()
    if suffix in SUFFIXES or suffix in _OTHERS.split():
        return suffix in SUFFIXES
    return holds_video(path)


def holds_video(path: pathlib.Path) -> bool:
    """Whether a file can be opened and has at least two pictures, whatever its name."""
    import_av()  # one error if it is missing
    try:
        with Video(path) as video:
            if video.codec in _DRAWN:
                return False
            return len([frame for frame, _ in zip(video, range(2), strict=False)]) == 2
    except (UserError, OSError, ValueError):
        return False


def left_out_note(left_out: dict[pathlib.Path, str], folder: pathlib.Path) -> str:
    """Which files were left out and why, for a message: their number and the first of them.

    Many of one kind in one folder, as the frames of a video, are one entry.
    """
    kinds = collections.Counter((path.parent, path.suffix, why) for path, why in left_out.items())
    named = []
    for path, why in sorted(left_out.items()):
        count = kinds[path.parent, path.suffix, why]
        if count <= _MOST_ALIKE:
            named.append(f"{_below(path, folder)} ({why})")
        else:
            every = _below(path.with_name(f"*{path.suffix}"), folder)
            named.append(f"{every} ({count} files, {why})")
    named = list(dict.fromkeys(named))
    return f"{len(left_out)} left out: {some(named)}{_advice(left_out)}"


def _advice(left_out: dict[pathlib.Path, str]) -> str:
    """How to use pictures, if there are enough for a video."""
    pictures = [path for path in sorted(left_out) if path.suffix.lower() in _PICTURES]
    if len(pictures) < FRAMES_PER_SEGMENT:
        return ""
    return (
        f"; pictures are not read: make a video of each folder of frames, as in ffmpeg -framerate "
        f"25 -pattern_type glob -i '{pictures[0].parent.name}/*{pictures[0].suffix}' "
        f"{pictures[0].parent.name}.mp4"
    )


def some(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _below(path: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path
