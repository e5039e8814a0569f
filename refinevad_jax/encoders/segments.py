"""A video as segments of 16 frames, cut into crops, decoded while the encoder works."""

import dataclasses
import itertools
import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from refinevad_jax.encoders.crops import crops
from refinevad_jax.encoders.encoder import FRAMES_PER_SEGMENT
from refinevad_jax.encoders.video import DEFAULT_FPS, Frame

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Segment:
    """Sixteen frames in a row.

    Attributes:
        crops: [N, 16, 224, 224, 3] uint8.
        seconds: [16] float64, times of the frames.
    """

    crops: np.ndarray
    seconds: np.ndarray


def read_segments(frames: Iterable[Frame], num_crops: int = 1) -> Iterator[Segment]:
    """Cuts frames into T = number of frames // 16 segments; the rest of the frames is left out."""
    cut = ((crops(frame.pixels, num_crops), frame.seconds) for frame in frames)
    for some in batched(cut, FRAMES_PER_SEGMENT):
        if len(some) == FRAMES_PER_SEGMENT:
            pixels, seconds = zip(*some, strict=True)
            yield Segment(np.stack(pixels, axis=1), np.array(seconds))


def noting_times(frames: Iterable[Frame], times: list[float]) -> Iterator[Frame]:
    """The same frames; their times are appended to a list as they pass."""
    for frame in frames:
        times.append(frame.seconds)
        yield frame


def segment_edges(seconds: Sequence[float], fps: float) -> np.ndarray:
    """[T + 1] starts of the segments and the end of the last one, from the times of all frames.

    fps: average frames per second, 0 if not known: how long the very last frame lasts.
    """
    num_segments = len(seconds) // FRAMES_PER_SEGMENT
    ends = [*seconds, seconds[-1] + 1 / (fps or DEFAULT_FPS)]
    return np.array(ends[: num_segments * FRAMES_PER_SEGMENT + 1 : FRAMES_PER_SEGMENT])


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, size)):
        yield batch


def ahead(sources: Sequence[Iterable[Item]], size: int, workers: int = 1) -> Generator[Item]:
    """The items of all sources, produced by threads that run at most `size` of them ahead.

    Each of the workers runs through one source at a time, so the items of a source keep their
    order. An exception of a source is raised here. A consumer that stops early ends the threads.
    """
    channel: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(size)
    remaining = iter(sources)
    stopped = threading.Event()

    def put(found: tuple[bool, Item | BaseException | None]) -> None:
        while not stopped.is_set():
            try:
                channel.put(found, timeout=0.1)
                return
            except queue.Full:
                continue

    def produce() -> None:
        for source in remaining:
            try:
                for item in source:
                    put((True, item))
                    if stopped.is_set():
                        return
                put((False, None))
            except BaseException as error:
                put((False, error))

    threads = [threading.Thread(target=produce, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    ended = 0
    try:
        while ended < len(sources):
            more, item = channel.get()
            if more:
                yield item  # type: ignore[misc]
            elif isinstance(item, BaseException):
                raise item
            else:
                ended += 1
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
