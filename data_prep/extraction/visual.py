"""Turns many videos into feature files: several decoders, one encoder, whole files only.

Decoding threads hand segments to the encoder through one bounded queue, so that batches are filled
across videos and memory does not depend on their lengths.
"""

import contextlib
import dataclasses
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tqdm

from data_prep.extraction.jobs import Job, is_done, settings, video_facts, write_features
from refinevad_jax.encoders.segments import read_segments
from refinevad_jax.encoders.video import Video
from refinevad_jax.encoders.visual import FRAMES_PER_SEGMENT, VisualEncoder
from refinevad_jax.errors import UserError

_AHEAD = 4  # segments that each decoder may be ahead of the encoder
# Called with the videos just finished and the segments just encoded.
Progress = Callable[[int, int], Any]


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run did: numbers of files, and the reason for each video that failed, by name."""

    done: int
    skipped: int
    failed: dict[str, str]
    warned: dict[str, list[str]]


@contextlib.contextmanager
def progress_bar(total: int, what: str) -> Iterator[Progress]:
    """Videos and segments done, and the time that is left."""
    segments = 0
    with tqdm.tqdm(total=total, desc=what, unit="video", smoothing=0) as bar:

        def progress(videos: int, encoded: int) -> None:
            nonlocal segments
            segments += encoded
            bar.set_postfix(segments=segments, refresh=False)
            bar.update(videos)

        yield progress


def report(summary: Summary, output: str) -> None:
    """Prints what a run did. Raises UserError, after the list of them, where videos failed."""
    for name, warnings in summary.warned.items():
        print(f"warning: {name}: {'; '.join(warnings)}", file=sys.stderr)
    print(
        f"{output}: {summary.done} videos written, {summary.skipped} already there, "
        f"{len(summary.failed)} failed, {len(summary.warned)} with warnings"
    )
    if summary.failed:
        for reason in summary.failed.values():
            print(f"failed: {reason}", file=sys.stderr)
        total = summary.done + summary.skipped + len(summary.failed)
        raise UserError(f"{len(summary.failed)} of {total} videos failed, listed above")


def extract(
    jobs: Sequence[Job],
    encoder: VisualEncoder,
    *,
    num_crops: int,
    workers: int,
    batch_size: int,
    progress: Progress = lambda videos, segments: None,
) -> Summary:
    """Writes the feature file and record of every job that is not done yet.

    Args:
        jobs: see plan_jobs.
        encoder: see refinevad_jax.encoders.visual.
        num_crops: 1 or 10; one crop gives (T, D), ten give (T, 10, D).
        workers: videos decoded at a time.
        batch_size: crops of segments encoded in one call.
        progress: called with videos just finished and segments just encoded.

    A video that cannot be read is reported in the summary and the others go on. Raises UserError
    where a file cannot be written.
    """
    wanted = settings(encoder, num_crops)
    todo = [job for job in jobs if not is_done(job, wanted)]
    progress(len(jobs) - len(todo), 0)
    decoders = _Decoders(todo, num_crops, workers)
    files = _Files(encoder, num_crops, batch_size, wanted, progress)
    try:
        for message in decoders.messages():
            files.receive(message)
        files.encode_waiting()
    finally:
        decoders.stop()
    return Summary(
        done=len(todo) - len(files.failed),
        skipped=len(jobs) - len(todo),
        failed=dict(sorted(files.failed.items())),
        warned=dict(sorted(files.warned.items())),
    )


@dataclasses.dataclass(frozen=True)
class _Message:
    """A decoder's word on a job: crops [N, 16, 224, 224, 3] of a segment, or how it ended."""

    job: Job
    crops: np.ndarray | None = None
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    error: str = ""


class _Decoders:
    """Threads that decode the jobs in order, each one video at a time, into one bounded queue."""

    def __init__(self, jobs: Sequence[Job], num_crops: int, workers: int) -> None:
        self._queue: queue.Queue[_Message] = queue.Queue(_AHEAD * workers)
        self._stopped = threading.Event()
        self._num_jobs = len(jobs)
        self._num_crops = num_crops
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            self._jobs.put(job)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def messages(self) -> Iterator[_Message]:
        """Everything that the decoders say, until each job has ended."""
        ended = 0
        while ended < self._num_jobs:
            message = self._queue.get()
            ended += message.crops is None
            yield message

    def stop(self) -> None:
        """Ends the threads, after their current frame."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            try:
                self._decode(job)
            except Exception as error:  # no damaged video may end the others
                text = str(error) if isinstance(error, UserError) else f"{job.video}: {error!r}"
                self._put(_Message(job, error=text))

    def _decode(self, job: Job) -> None:
        count = 0
        with Video(job.video) as video:
            for segment in read_segments(video, self._num_crops):
                count += 1
                if not self._put(_Message(job, crops=segment.crops)):
                    return
        if not count:
            raise UserError(
                f"{job.video}: {video.num_frames} frames, fewer than the {FRAMES_PER_SEGMENT} of "
                "one segment; leave it out"
            )
        facts = video_facts(job.video, video, count)
        self._put(_Message(job, facts=facts))

    def _put(self, message: _Message) -> bool:
        """Waits for room; False when the run has been stopped."""
        while not self._stopped.is_set():
            try:
                self._queue.put(message, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False


class _Files:
    """Collects segments, encodes them in full batches, and writes a video once it is complete."""

    def __init__(
        self,
        encoder: VisualEncoder,
        num_crops: int,
        batch_size: int,
        wanted: dict[str, Any],
        progress: Progress,
    ) -> None:
        self.failed: dict[str, str] = {}
        self.warned: dict[str, list[str]] = {}
        self._encoder = encoder
        self._num_crops = num_crops
        self._segments_per_call = max(1, batch_size // num_crops)
        self._wanted = wanted
        self._progress = progress
        self._waiting: list[_Message] = []
        self._features: dict[Job, list[np.ndarray]] = {}
        self._ended: dict[Job, dict[str, Any]] = {}

    def receive(self, message: _Message) -> None:
        """Takes a segment, the end of a video, or its failure."""
        if message.error:
            self.failed[message.job.name] = message.error
            self._features.pop(message.job, None)
            self._progress(1, 0)
        elif message.crops is None:
            self._ended[message.job] = message.facts
            self._write_complete()
        else:
            self._waiting.append(message)
            if len(self._waiting) == self._segments_per_call:
                self.encode_waiting()

    def encode_waiting(self) -> None:
        """Encodes what has come, in one call of the one shape that is compiled."""
        if not self._waiting:
            return
        crops = np.concatenate([m.crops for m in self._waiting if m.crops is not None])
        rows = np.zeros((self._segments_per_call * self._num_crops, *crops.shape[1:]), np.uint8)
        rows[: len(crops)] = crops
        encoded = self._encoder.encode(rows)[: len(crops)]
        parts = encoded.reshape(len(self._waiting), self._num_crops, -1)
        for message, features in zip(self._waiting, parts, strict=True):
            if message.job.name not in self.failed:
                self._features.setdefault(message.job, []).append(features)
        self._progress(0, len(self._waiting))
        self._waiting = []
        self._write_complete()

    def _write_complete(self) -> None:
        for job, facts in list(self._ended.items()):
            if len(self._features.get(job, [])) < facts["num_segments"]:
                continue
            features = np.stack(self._features.pop(job))
            if not np.isfinite(features).all():
                self.failed[job.name] = f"{job.video}: the encoder gave values that are not finite"
            else:
                write_features(job, features, self._wanted | facts)
                if facts["warnings"]:
                    self.warned[job.name] = facts["warnings"]
            del self._ended[job]
            self._progress(1, 0)
