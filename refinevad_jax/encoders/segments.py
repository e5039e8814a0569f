"""A video as segments of 16 frames, cut into crops, decoded while the encoder works."""

import dataclasses
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from refinevad_jax.encoders.crops import crops
from refinevad_jax.encoders.video import Frame
from refinevad_jax.encoders.visual import FRAMES_PER_SEGMENT

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
    cut: list[np.ndarray] = []
    seconds: list[float] = []
    for frame in frames:
        cut.append(crops(frame.pixels, num_crops))
        seconds.append(frame.seconds)
        if len(cut) == FRAMES_PER_SEGMENT:
            yield Segment(np.stack(cut, axis=1), np.array(seconds))
            cut, seconds = [], []


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def ahead(items: Iterable[Item], size: int) -> Iterator[Item]:
    """The same items, produced by a thread that runs at most `size` of them ahead.

    An exception of the producer is raised here; a consumer that stops early ends the thread.
    """
    channel: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(size)
    stopped = threading.Event()

    def put(found: tuple[bool, Item | BaseException | None]) -> None:
        while not stopped.is_set():
            try:
                channel.put(found, timeout=0.1)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                put((True, item))
                if stopped.is_set():
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        while True:
            more, item = channel.get()
            if more:
                yield item  # type: ignore[misc]
            elif isinstance(item, BaseException):
                raise item
            else:
                return
    finally:
        stopped.set()
        thread.join()
