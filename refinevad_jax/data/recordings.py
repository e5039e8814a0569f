"""Features less the median of their recording: what differs from what a camera usually shows.

A video that is anomalous for more than half of its length is its own median; the other videos of
its camera, film or record are not. No label is read. Axis letters: N crops, T segments, D channels.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from refinevad_jax.data.bags import Bag

LARGEST = float(np.finfo(np.float16).max)
MOST = 16_384  # segments that a median is of; of more, every second, third and so on
NEWEST, ANEW = 512, 16  # of a stream: segments of its median, taken anew when 1 / 16 has come


def from_recordings(bags: Sequence[Bag], widths: Sequence[int]) -> list[Bag]:
    """The bags with features less the median of their recording, float16.

    The median is over all segments of all videos in the list that state the same recording and have
    as many crops, per crop and channel; a video that states none is its own recording. Segments
    without evidence of a modality (zeros) stay out of its median and stay zeros. Features in files
    stay there: they are converted when they are read, and of a recording of more than MOST segments
    only these are held for its median.
    widths: channels of each modality.
    """
    members: dict[tuple[str | int, int], list[int]] = {}
    for index, bag in enumerate(bags):
        name = bag.recording or index
        members.setdefault((name, bag.features.shape[0]), []).append(index)
    found = list(bags)
    for own in members.values():
        median = _median([bags[index].features for index in own], widths)
        for index in own:
            features = bags[index].features
            less: Any = FromMedian(features, median, widths)
            if isinstance(features, np.ndarray):
                less = less[:]
            found[index] = dataclasses.replace(bags[index], features=less)
    return found


def _median(videos: Sequence[Any], widths: Sequence[int]) -> np.ndarray:
    """The median [N, 1, D] of the videos [N, T, D] of one recording, read one after the other."""
    every = -(-sum(video.shape[1] for video in videos) // MOST)
    parts, seen = [], 0
    for video in videos:
        parts.append(video[:][:, -seen % every :: every])
        seen += video.shape[1]
    return median_of(np.concatenate(parts, axis=1), widths)


def median_of(rows: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """The median over T of the segments with evidence of each modality; 0 if there is none.

    rows: [N, T, D]; widths: channels of each modality. Returns [N, 1, D] float32.
    """
    found = np.zeros((len(rows), 1, rows.shape[-1]), np.float32)
    for channels in _modalities(widths):
        for crop, part in enumerate(rows[..., channels]):
            known = part[(part != 0).any(axis=-1)]
            if len(known):
                found[crop, 0, channels] = np.median(known.astype(np.float32), axis=0)
    return found


def less_median(features: np.ndarray, median: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """Features [..., T, D] less a median [..., 1, D], float16; 0 without evidence of a modality.

    What does not fit float16 is its largest value: networks clip far below.
    """
    found = np.zeros(features.shape, np.float16)
    for channels in _modalities(widths):
        part = features[..., channels]
        known = (part != 0).any(axis=-1, keepdims=True)
        difference = part.astype(np.float32) - median[..., channels]
        found[..., channels] = np.where(known, np.clip(difference, -LARGEST, LARGEST), 0)
    return found


def _modalities(widths: Sequence[int]) -> list[slice]:
    ends = np.cumsum(widths).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


class FromMedian:
    """Features [N, T, D] less a median; each indexing takes them from where they are again."""

    dtype = np.dtype(np.float16)

    def __init__(self, features: Any, median: np.ndarray, widths: Sequence[int]) -> None:
        """features: StoredFeatures or an array; median: [N, 1, D]."""
        self._features, self._median, self._widths = features, median, widths
        self.shape = features.shape

    def __getitem__(self, index: Any) -> np.ndarray:
        """The rows asked for. Raises UserError as the features do."""
        if isinstance(index, int | slice):  # of crops: the others need no conversion
            return less_median(self._features[index], self._median[index], self._widths)
        return less_median(self._features[:], self._median, self._widths)[index]


def in_company(bags: Sequence[Bag]) -> int:
    """How many videos have another one of the recording that they state."""
    counts = collections.Counter(bag.recording for bag in bags if bag.recording)
    return sum(count for count in counts.values() if count > 1)


class StreamMedian:
    """The median of the newest segments of a stream, which knows nothing of its camera before."""

    def __init__(self, widths: Sequence[int]) -> None:
        self._widths = widths
        self._rows: collections.deque[np.ndarray] = collections.deque(maxlen=NEWEST)
        self._read = self._unread = 0  # segments in the median, and come since

    def push(self, features: np.ndarray) -> np.ndarray:
        """Takes the next segment [N, D]; the median [N, 1, D], of all or NEWEST up to it.

        It is taken again when a sixteenth more has come, so that it costs little.
        """
        self._rows.append(features)
        self._unread += 1
        if ANEW * self._unread >= self._read:
            self._median = median_of(np.stack(self._rows, axis=1), self._widths)
            self._read, self._unread = len(self._rows), 0
        return self._median
