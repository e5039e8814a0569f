"""A split with what is said of its videos and the truth that counts: what every metric reads.

V videos, T segments, F frames, C categories.
"""

import dataclasses
import functools

import numpy as np

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.metrics import truth as protocol


@dataclasses.dataclass(frozen=True)
class ScoredSplit:
    """Videos of a split with what a network says of them.

    Attributes:
        info: the data set's description.
        bags: V videos.
        results: V scores, in the same order.
        resampled: whether each video has a number of scores of its own, spread over its frames,
            instead of one a segment.
        category_maps: V probabilities [T, 1 + C], normal first, where they were given as such; else
            they follow from the video's category probabilities. None for a network without
            category outputs (has_categories says which).
        has_categories: whether anything is said of categories.
        prototypes: [C, H] of CORE, where the network has them.
    """

    info: BagsInfo
    bags: list[Bag]
    results: list[VideoScores]
    resampled: bool
    has_categories: bool
    category_maps: list[np.ndarray] | None = None
    prototypes: np.ndarray | None = None

    def evaluated_frames(self, index: int) -> int:
        """T x frames_per_segment: what the field evaluates of a video."""
        return protocol.evaluated_length(
            self.bags[index].num_segments, self.info.frames_per_segment
        )

    def frames_per_score(self, index: int) -> float:
        """Frames that one score of a video stands for."""
        if not self.resampled:
            return self.info.frames_per_segment
        return self.evaluated_frames(index) / len(self.results[index].scores)

    def on_frames(self, index: int, values: np.ndarray) -> np.ndarray:
        """[F] or [F, C] from values [T] or [T, C] of a video."""
        length = self.evaluated_frames(index)
        if self.resampled:
            return protocol.resampled_to_frame_scores(values, length)
        return protocol.segment_to_frame_scores(values, length, self.info.frames_per_segment)

    def category_map(self, index: int) -> np.ndarray:
        """[T, 1 + C] probabilities of a video's scores, normal first."""
        if self.category_maps is not None:
            return self.category_maps[index]
        result = self.results[index]
        return protocol.category_map(result.scores, result.category_probs)

    def category_evidence(self, index: int) -> np.ndarray:
        """[C] or [T, C] of a video, as `propose_events` takes it; C = 0 without categories."""
        if not self.has_categories:
            return np.zeros(0)
        if self.category_maps is not None:
            return self.category_maps[index][:, 1:]
        return self.results[index].category_probs

    @functools.cached_property
    def known(self) -> list[int]:
        """Indices of the videos whose spans are known."""
        return [index for index, bag in enumerate(self.bags) if bag.has_truth]

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """[len(known)] evaluated frames of the known videos."""
        return np.array([self.evaluated_frames(index) for index in self.known], np.int64)

    @functools.cached_property
    def truth(self) -> np.ndarray:
        """[F] bool over all known videos, one after the other."""
        parts = [self.frame_truth(index) for index in self.known]
        return np.concatenate([np.zeros(0, bool), *parts])

    @functools.cached_property
    def scores(self) -> np.ndarray:
        """[F] float32 over all known videos, one after the other."""
        parts = [self.on_frames(index, self.results[index].scores) for index in self.known]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def frame_truth(self, index: int) -> np.ndarray:
        """[F] bool of one video."""
        return protocol.frame_truth(self.bags[index].spans, self.evaluated_frames(index))

    def of_known(self, values: np.ndarray) -> np.ndarray:
        """[F] from one value a video [V]: repeated over the frames of the known ones."""
        return protocol.per_frame(np.asarray(values)[self.known], self.lengths)

    @functools.cached_property
    def anomalous(self) -> np.ndarray:
        """[V] bool, by label."""
        return np.array([bag.anomalous for bag in self.bags], bool)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """[V, C] bool."""
        return np.stack([bag.labels for bag in self.bags])

    @functools.cached_property
    def video_scores(self) -> np.ndarray:
        """[V] scores of whole videos."""
        return np.array([result.video_score for result in self.results])

    @functools.cached_property
    def category_probs(self) -> np.ndarray:
        """[V, C] of whole videos."""
        return np.stack([result.category_probs for result in self.results])

    @functools.cached_property
    def normal_scores(self) -> np.ndarray:
        """[F] of all videos labelled normal: their truth follows from the label."""
        chosen = np.flatnonzero(~self.anomalous).tolist()
        parts = [self.on_frames(index, self.results[index].scores) for index in chosen]
        return np.concatenate([np.zeros(0, np.float32), *parts])
