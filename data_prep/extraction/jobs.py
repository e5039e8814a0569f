"""One loop for all extractions: a job per video, skipped if it is done, else decoded and encoded.

visual.py, text.py and captions.py each make a Work, which says what is computed of a video. The
loop here decodes in threads that are a little ahead of the encoder, fills calls of the encoder
across videos, and writes each file whole, with a record beside it that vouches for it.
"""

import collections
import contextlib
import dataclasses
import functools
import os
import pathlib
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tqdm

from data_prep.sources.lists import read_list
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.record import (
    is_recorded,
    read_record,
    video_facts,
    write_recorded,
)
from refinevad_jax.encoders.segments import ahead, noting_times
from refinevad_jax.encoders.video import Frame, Video
from refinevad_jax.encoders.video_files import (
    SUFFIXES,
    find_videos,
    folded,
    is_video_file,
    left_out_note,
    spelled,
    without_suffix,
)
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.command_line import one_line

_AHEAD = 4  # parts that each decoding thread may be ahead of the encoder


@dataclasses.dataclass(frozen=True)
class Job:
    """A video and the file that it becomes; `name` is its path without suffix, for messages."""

    video: pathlib.Path
    target: pathlib.Path
    name: str


@dataclasses.dataclass(frozen=True)
class Work:
    """What one extraction computes.

    Attributes:
        libraries: the packages whose versions the record states.
        settings: of a job, what decides the file besides the video, for the record. It may raise
            UserError.
        parts: reads the frames of a video to their end, in a decoding thread, and gives what is to
            be encoded.
        encode: gives the result of each part, of one video or several. A UserError in place of a
            result fails that video alone.
        content: the file of a video from the results of its parts, and facts of it for the record.
            It raises UserError if the results are not usable.
        parts_per_call: how many parts are encoded at a time.
        unit: what the parts are called.
    """

    libraries: tuple[str, ...]
    settings: Callable[[Job], dict[str, Any]]
    parts: Callable[[Job, Iterable[Frame]], Iterator[Any]]
    encode: Callable[[list[Any]], Iterable[Any]]
    content: Callable[[list[Any]], tuple[bytes, dict[str, Any]]]
    parts_per_call: int
    unit: str


@dataclasses.dataclass
class Summary:
    """What a run did: numbers of files, and the reason for each video that failed, by name."""

    done: int = 0
    skipped: int = 0
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    warned: dict[str, list[str]] = dataclasses.field(default_factory=dict)


def plan_jobs(
    videos: Sequence[tuple[pathlib.Path, str]], output: pathlib.Path, suffix: str = ".npy"
) -> list[Job]:
    """One job per video. Raises UserError if two of them would write the same file."""
    jobs: dict[str, Job] = {}
    for video, relative in videos:
        name = without_suffix(relative)
        if name in jobs:
            raise UserError(
                f"{jobs[name].video} and {video} would both become {name}{suffix}; rename one"
            )
        jobs[name] = Job(video, output / f"{name}{suffix}", name)
    return list(jobs.values())


def run(jobs: Sequence[Job], work: Work, *, workers: int = 1, title: str = "") -> Summary:
    """Writes the file and the record of every job that is not done yet.

    workers: videos decoded at a time; title: of a bar on stderr, "" for none. A video that cannot
    be read is reported in the summary and the others go on. Raises UserError if the encoder fails,
    OSError if a file cannot be written.
    """
    sources = [_read(job, work) for job in jobs]
    with (
        tqdm.tqdm(total=len(jobs), desc=title, unit="video", smoothing=0, disable=not title) as bar,
        contextlib.closing(ahead(sources, _AHEAD * workers, workers)) as messages,
    ):
        loop = _Loop(work, bar)
        for job, message in messages:
            loop.receive(job, message)
        loop.encode_waiting()
    return loop.summary


def report(summary: Summary, output: str) -> None:
    """Prints what a run did. Raises UserError, after the list of them, if videos failed."""
    for name, warnings in sorted(summary.warned.items()):
        print(f"warning: {name}: {'; '.join(warnings)}", file=sys.stderr)
    print(
        f"{output}: {summary.done} videos written, {summary.skipped} already there, "
        f"{len(summary.failed)} failed, {len(summary.warned)} with warnings"
    )
    if summary.failed:
        for _, reason in sorted(summary.failed.items()):
            print(f"failed: {reason}", file=sys.stderr)
        total = summary.done + summary.skipped + len(summary.failed)
        raise UserError(f"{len(summary.failed)} of {total} videos failed, listed above")


@dataclasses.dataclass(frozen=True)
class _End:
    """How the reading of a video ended: what its record says, why it failed, or neither if done.

    warnings: of a video that was done before.
    """

    record: dict[str, Any] | None = None
    error: str = ""
    warnings: Sequence[str] = ()


def _read(job: Job, work: Work) -> Iterator[tuple[Job, Any]]:
    """The parts of a video and then its _End, with the job that they belong to."""
    try:
        settings = work.settings(job)
        if is_recorded(job.target, job.video, settings):
            record = read_record(job.target)
            yield job, _End(warnings=record.warnings if record else ())
            return
        times: list[float] = []
        with Video(job.video) as video:
            for part in work.parts(job, noting_times(video, times)):
                yield job, part
        if len(times) < FRAMES_PER_SEGMENT:
            raise UserError(
                f"{job.video}: {len(times)} frames, fewer than the {FRAMES_PER_SEGMENT} of "
                "one segment; leave it out"
            )
        facts = video_facts(job.video, job.target, times, video.fps)
        facts["warnings"] = video.warnings
        yield job, _End(settings | facts)
    except Exception as error:  # no damaged video may end the others
        text = str(error) if isinstance(error, UserError) else f"{job.video}: {error!r}"
        yield job, _End(error=text)


class _Loop:
    """Collects parts, encodes them in full calls, and writes a video once it is complete."""

    def __init__(self, work: Work, bar: tqdm.tqdm) -> None:
        self.summary = Summary()
        self._work = work
        self._bar = bar
        self._encoded = 0
        self._waiting: list[tuple[Job, Any]] = []
        self._results: dict[Job, list[Any]] = {}
        self._records: dict[Job, dict[str, Any]] = {}

    def receive(self, job: Job, message: Any) -> None:
        """Takes a part of a video, or its end."""
        if job.name in self.summary.failed:
            return
        if not isinstance(message, _End):
            self._waiting.append((job, message))
            if len(self._waiting) == self._work.parts_per_call:
                self.encode_waiting()
        elif message.error:
            self._fail(job, message.error)
        elif message.record is None:
            self.summary.skipped += 1
            if message.warnings:
                self.summary.warned[job.name] = list(message.warnings)
            self._bar.update()
        else:
            self._records[job] = message.record
            self._write_if_complete(job)

    def encode_waiting(self) -> None:
        """Encodes the parts that have come."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        results = self._work.encode([part for _, part in waiting])
        self._encoded += len(waiting)
        self._bar.set_postfix({self._work.unit: self._encoded}, refresh=False)
        self._bar.update(0)
        for (job, _), result in zip(waiting, results, strict=True):
            if isinstance(result, UserError):
                self._fail(job, f"{job.video}: {result}")
            elif job.name not in self.summary.failed:
                self._results.setdefault(job, []).append(result)
        for job in dict.fromkeys(job for job, _ in waiting):
            self._write_if_complete(job)

    def _write_if_complete(self, job: Job) -> None:
        """The end of a video comes after all of its parts."""
        if job not in self._records or any(job == other for other, _ in self._waiting):
            return
        record = self._records.pop(job)
        try:
            content, facts = self._work.content(self._results.pop(job))
        except UserError as error:
            self._fail(job, f"{job.video}: {error}")
            return
        write_recorded(job.target, content, record | facts, self._work.libraries)
        if record["warnings"]:
            self.summary.warned[job.name] = record["warnings"]
        self.summary.done += 1
        self._bar.update()

    def _fail(self, job: Job, reason: str) -> None:
        self.summary.failed[job.name] = reason
        self._waiting = [one for one in self._waiting if one[0] != job]
        self._results.pop(job, None)
        self._records.pop(job, None)
        self._bar.update()


def read_videos(source: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """The videos that --videos names: (file, path that its feature file will have, with suffix).

    source: a folder, searched to its depths; a video file; or a list in any grammar of
    data_prep.sources.lists, its paths relative to the list's folder. A video that is not at its
    path is looked for at the longest ending of it in the list's folder; a path may lack the suffix,
    have another, or have that of the feature file.
    Absolute paths are cut down to what follows their common folder. Says on stderr which files of
    a folder are left out.
    Raises UserError if nothing is found, a path leaves the list's folder, is listed twice, or
    several videos fit it.
    """
    if source.is_dir():
        found = find_videos(source)
        left_out = found.left_out and left_out_note(found.left_out, source)
        if not found.videos:
            more = f"; {left_out}" if left_out else ""
            raise UserError(f"{source}: no video in it{more}; name the folder of the videos")
        if left_out:
            print(one_line(f"note: --videos={source}: {left_out}"), file=sys.stderr)
        return [(path, path.relative_to(source).as_posix()) for path in found.videos]
    if source.is_file() and is_video_file(source):
        return [(source, source.name)]
    try:
        rows = read_list(source).entries
    except UserError as error:
        if source.is_file() and not _is_text(source):
            raise UserError(
                f"--videos={source}: neither a folder, a video that can be read, nor a list"
            ) from error
        raise
    paths = [pathlib.Path(os.path.normpath(row.path.replace("\\", "/"))) for row in rows]
    for path, count in collections.Counter(paths).items():
        if count > 1:
            raise UserError(f"--videos={source}: {path} is listed twice; remove one")
        if ".." in path.parts:
            raise UserError(f"--videos={source}: {path} leaves the list's folder; write it in full")
    listings: dict[pathlib.Path, list[pathlib.Path]] = {}
    listed = [_listed(source.parent, path, listings) for path in paths]
    absolute = [str(name.parent) for _, name in listed if name.is_absolute()]
    common = os.path.commonpath(absolute or ["/"])
    return [
        (file, (name.relative_to(common) if name.is_absolute() else name).as_posix())
        for file, name in listed
    ]


def _is_text(path: pathlib.Path) -> bool:
    """Whether the beginning of a file is text."""
    with path.open("rb") as file:
        return b"\0" not in file.read(1000)


def _listed(
    folder: pathlib.Path, path: pathlib.Path, listings: dict[pathlib.Path, list[pathlib.Path]]
) -> tuple[pathlib.Path, pathlib.Path]:
    """The file of a listed path and the path that fits it, or the path as it is if none does.

    listings: videos of the folders that have been looked into; more are added.
    """
    wanted = path.with_suffix("") if path.suffix.lower() == ".npy" else path
    for first in range(len(wanted.parts)):
        # macOS may write the letters of folders in another way than the list.
        for form in (str, spelled, functools.partial(unicodedata.normalize, "NFD")):
            ending = pathlib.Path(form(str(pathlib.Path(*wanted.parts[first:]))))
            with contextlib.suppress(OSError):  # longer than a name may be
                file = _video_at(folder / ending, listings)
                if file:
                    return file, ending.with_name(file.name)
    return folder / path, path


def _video_at(
    path: pathlib.Path, listings: dict[pathlib.Path, list[pathlib.Path]]
) -> pathlib.Path | None:
    """The file at a path, or the only one there whose name differs in its suffix or its spelling.

    Says on stderr if another suffix than the one stated, or another letter case, was taken.
    """
    if path.is_file():
        return path
    if path.parent not in listings:
        files = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
        listings[path.parent] = [file for file in files if file.suffix.lower() in SUFFIXES]
    for key in (spelled, folded):
        wanted = key(without_suffix(path.name))
        fitting = [
            file for file in listings[path.parent] if key(without_suffix(file.name)) == wanted
        ]
        if len(fitting) > 1:
            raise UserError(f"{path} may be {fitting[0]} or {fitting[1]}; write its suffix")
        if fitting:
            if not spelled(fitting[0].name).startswith(spelled(path.name)):
                print(one_line(f"note: {path} is not there; {fitting[0].name} is"), file=sys.stderr)
            return fitting[0]
    return None
