"""The whole path: videos, lists, features, data set, training, evaluation, the command to paste."""

import contextlib
import dataclasses
import itertools
import pathlib
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from data_prep.dataset.videos import check_name
from data_prep.own_data.lists import Lists, fingerprint, write_lists, write_taxonomy
from data_prep.own_data.splits import NORMAL, TEST
from data_prep.own_data.steps import StepError, Steps
from data_prep.own_data.videos import Found, OwnVideo, find
from refinevad_jax.data.bags import dataset_dir
from refinevad_jax.encoders.record import read_record
from refinevad_jax.errors import UserError
from refinevad_jax.files.staged import locked
from refinevad_jax.runtime import commands
from refinevad_jax.runtime.command_line import one_line

CONFIG = "own"
# With fewer test videos of a kind, normal or anomalous, one video more or less changes everything.
_FEW = 5
_ENOUGH = 20
_MOST_NAMED = 20  # of damaged videos


@dataclasses.dataclass(frozen=True)
class Request:
    """What a user asks for: the flags of data_prep.own.

    asked: whether the user stated test_fraction; again: the call, for a message.
    """

    name: str
    output: pathlib.Path
    videos: pathlib.Path | None
    labels: pathlib.Path | None
    normal: str
    encoder: str
    weights: str
    test_fraction: float
    asked: bool
    again: str


def make_detector(request: Request) -> int:
    """Goes the whole path, or what is left of it. Returns the exit code.

    Raises UserError for bad input, before anything is written.
    """
    check_name(request.name)
    if request.videos is None and request.labels is None:
        raise UserError("--videos=FOLDER (its subfolders are the labels) or --labels=CSV is needed")
    if request.encoder == "clip" and not request.weights:
        raise UserError("--encoder=clip needs --weights=FILE: OpenAI's ViT-L/14 weights")
    if request.encoder != "clip" and request.weights:
        raise UserError(f"--weights has no effect with --encoder={request.encoder}; leave it out")
    _keep_apart(request)
    found = find(request.videos, request.labels, request.normal)
    for note in found.notes:
        print(f"note: {one_line(note)}", flush=True)
    for problem in found.problems:
        print(f"problem: {one_line(problem)}", file=sys.stderr, flush=True)
    if found.problems:
        count = len(found.problems)
        raise UserError(f"{count} problem{'s' * (count > 1)}, listed above; nothing was written")
    with locked(request.output):
        try:
            _Path(request, found).go()
        except StepError as error:
            print(f"{error}; to go on: {request.again}", file=sys.stderr, flush=True)
            return error.code
    return 0


def _keep_apart(request: Request) -> None:
    """Raises UserError if the results would lie among the videos, or the other way round."""
    if request.videos is None:
        return
    output, videos = request.output.resolve(), request.videos.resolve()
    if output == videos or output in videos.parents or videos in output.parents:
        raise UserError(
            f"--output={request.output}: results and --videos={request.videos} must not lie in "
            "each other; choose another folder"
        )


class _Path:
    """One call: what was found, and the places of its results."""

    def __init__(self, request: Request, found: Found) -> None:
        self._request, self._videos, self._normal = request, found.videos, found.normal
        self._output = request.output
        self._links = request.output / "videos"
        self._features = request.output / "features"
        self._data = request.output / "data"

    def go(self) -> None:
        """All steps. Raises StepError if one ends without having done its work."""
        lists = self._write()
        with_test = TEST in lists.files
        steps = Steps(self._output / "steps.json", 5 if with_test else 4)
        self._extract(steps)
        flags = [f"--list={name}={path}" for name, path in lists.files.items()]
        flags += [f"--features={self._features}", f"--taxonomy={self._output / 'taxonomy.json'}"]
        source = fingerprint(lists, self._output / "taxonomy.json", self._features)
        steps.run(
            "check lists and features",
            "check",
            flags,
            key="check",
            source=source,
            results=[],
        )
        name, run = self._numbered(steps, source)
        self._package(steps, name, flags, source)
        words = [
            f"--config={CONFIG}",
            f"--config.data.dataset={name}",
            f"--config.data.data_dir={self._data}",
            f"--workdir={run}",
        ]
        results = [run / "config.json", run / "metrics.jsonl"]
        key = f"train {name}"
        steps.run("train", "train", words, key=key, source=source, results=results)
        if with_test:
            self._evaluate(steps, name, run, lists)
        else:
            print(f"\n{_few(lists)[0]}", flush=True)
        self._say_damaged()
        self._say_next(run, lists)

    def _write(self) -> Lists:
        """Links, lists and taxonomy; says what there is and what will happen."""
        request = self._request
        lists = write_lists(
            self._output / "lists",
            self._videos,
            request.test_fraction,
            asked=request.asked,
        )
        if not lists.categories:
            raise UserError(f"{self._output / 'lists'}: no anomalous video in the lists; add some")
        _write_links(self._links, self._videos)
        wrote = write_taxonomy(self._output / "taxonomy.json", request.name, lists.categories)
        self._describe(lists, wrote)
        return lists

    def _describe(self, lists: Lists, wrote_taxonomy: bool) -> None:
        counts = Counter(video.label for video in self._videos)
        frames = sum(video.num_frames for video in self._videos)
        labels = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
        print(f"{self._request.name}: {len(self._videos)} videos ({labels}), {frames:,} frames")
        if self._normal != [NORMAL]:
            names = ", ".join(self._normal)
            how = "as you say" if self._request.normal else "by its name; else --normal=LABEL"
            print(f"normal, without anomaly: {names} ({how}); the lists call it {NORMAL}")
        sizes = Counter(video.source for video in self._videos)
        pieces = [f"{source} ({count})" for source, count in sorted(sizes.items()) if count > 1]
        if pieces:
            print(f"pieces of one recording, always in one list: {', '.join(pieces)}")
        for name, found in lists.labels.items():
            of_label = Counter(found.values())
            parts = ", ".join(f"{label} {of_label[label]}" for label in sorted(of_label))
            print(f"{lists.files[name]}: {len(found)} videos ({parts})")
        if lists.edited:
            names = " and ".join(map(str, lists.edited))
            print(f"edited by you, so both lists are kept: {names}; remove them to split anew")
            if lists.unlisted:
                print(f"in no list, so not used: {', '.join(lists.unlisted)}")
        for line in _few(lists):
            print(f"note: {line}")
        taxonomy = self._output / "taxonomy.json"
        print(f"{taxonomy}: {', '.join(lists.categories)}{'' if wrote_taxonomy else ' (kept)'}")
        steps = "extract, check, package, train" + ", evaluate" * (TEST in lists.files)
        print(
            f"steps: {steps}; each is a command that you can also call yourself\n"
            f"everything lies in {self._output}: lists/ videos/ (links) taxonomy.json features/ "
            "data/ run/",
            flush=True,
        )

    def _extract(self, steps: Steps) -> None:
        request = self._request
        words = [
            f"--encoder={request.encoder}",
            *([f"--weights={request.weights}"] if request.weights else []),
            f"--videos={self._links}",
            f"--output={self._features}",
        ]
        stats = [(video, video.file.stat()) for video in self._videos]
        made_by = [request.encoder, request.weights]
        source = [made_by, [[one.name, found.st_size, found.st_mtime_ns] for one, found in stats]]
        files = [self._file_of(video) for video in self._videos]
        steps.run(
            "extract: videos to features",
            "extract",
            words,
            key="extract",
            source=source,
            results=[*files, *(file.with_suffix(".json") for file in files)],
        )

    def _numbered(self, steps: Steps, source: Any) -> tuple[str, pathlib.Path]:
        """The data set and the run of this input. A run that has begun is never changed."""
        for number in itertools.count(1):
            ending = "" if number == 1 else f"_{number}"
            name, run = f"{self._request.name}{ending}", self._output / f"run{ending}"
            if any(steps.made_from(f"{step} {name}", source) for step in ("package", "train")):
                return name, run
            if not (run / "config.json").exists():
                if number > 1:
                    print(
                        f"\nthe input is another than that of earlier runs, which stay: data set "
                        f"{name}, run {run}",
                        flush=True,
                    )
                return name, run
        raise AssertionError

    def _package(self, steps: Steps, name: str, flags: Sequence[str], source: Any) -> None:
        folder = dataset_dir(str(self._data), name)
        words = [
            f"--name={name}",
            f"--data_dir={self._data}",
            *flags,
            *(["--overwrite"] if folder.exists() else []),
        ]
        key = f"package {name}"
        steps.run("package", "package", words, key=key, source=source, results=[folder])

    def _evaluate(self, steps: Steps, name: str, run: pathlib.Path, lists: Lists) -> None:
        folder = run / "eval" / f"{name}-test-best"
        source = (run / "metrics.jsonl").read_text(encoding="utf-8")
        words = [f"--workdir={run}"]
        key = f"evaluate {name}"
        steps.run("evaluate", "evaluate", words, key=key, source=source, results=[folder])
        print()
        for line in _few(lists):
            print(line)
        print(f"numbers and curves of the test videos: {folder / 'report.html'}", flush=True)

    def _say_damaged(self) -> None:
        """Names the videos that extraction found damaged, which many lines stand between."""
        records = {video: read_record(self._file_of(video)) for video in self._videos}
        found = [
            f"{video.path} ({'; '.join(record.warnings)})"
            for video, record in records.items()
            if record and record.warnings
        ]
        if found:
            more = f", and {len(found) - _MOST_NAMED} more" * (len(found) > _MOST_NAMED)
            named = one_line(", ".join(found[:_MOST_NAMED]))
            print(f"warning: used, but look at them: {named}{more}", flush=True)

    def _file_of(self, video: OwnVideo) -> pathlib.Path:
        return self._features / f"{video.key}.npy"

    def _say_next(self, run: pathlib.Path, lists: Lists) -> None:
        """The command that uses the detector, on a video that is there."""
        tested = lists.labels.get(TEST, {})
        anomalous = [video for video in self._videos if video.label != NORMAL]
        example = next((video for video in anomalous if video.key in tested), anomalous[0])
        weights = [f"--weights={self._request.weights}"] if self._request.weights else []
        words = [f"--workdir={run}", f"--input={example.file}", *weights]
        found = f"--output={self._output / 'found'}"
        print(f"next: {commands.spell('detect', *words, found)}", flush=True)


def _few(lists: Lists) -> list[str]:
    """What the test videos are too few for, in lines."""
    if TEST not in lists.files:
        return ["no test videos, so nothing can be measured; add videos of every label"]
    found = Counter(lists.labels[TEST].values())
    lines = []
    normal, anomalous = found[NORMAL], found.total() - found[NORMAL]
    if min(normal, anomalous) < _FEW:
        lines.append(
            f"{normal} normal and {anomalous} anomalous test videos: the numbers are noise; with "
            f"{_ENOUGH} of each they begin to tell something"
        )
    rare = [f"{label} ({found[label]})" for label in lists.categories if found[label] < 2]
    if rare and len(lists.categories) > 1:
        lines.append(f"fewer than 2 test videos, not measurable: {', '.join(rare)}")
    return lines


def _write_links(folder: pathlib.Path, videos: Sequence[OwnVideo]) -> None:
    """A folder of links to all videos, named as the data set names them.

    Raises UserError if something else than links is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {video.name: str(video.file.resolve()) for video in videos}
    for path in folder.iterdir():
        if not path.is_symlink():
            raise UserError(f"{path}: {folder} is for links alone; move it away")
        if wanted.get(path.name) != str(path.readlink()):
            path.unlink()
    for name, target in wanted.items():
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(target)
