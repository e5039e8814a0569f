"""A split with what is said of its videos and the truth that counts: what every number is made of.

V videos, T segments, F frames, C categories.
"""

import dataclasses
import functools

import numpy as np

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.metrics import truth as protocol
from refinevad_jax.metrics.events import RULE, Event, ProposalRule, propose_events
from refinevad_jax.metrics.names import SplitArrays
from refinevad_jax.runs.evaluations import Evaluation, StoredVideo


@dataclasses.dataclass(frozen=True)
class ScoredSplit:
    """Videos of a split with what a network says of them.

    Attributes:
        info: the data set's description.
        bags: V videos.
        results: V scores, in the same order.
        resampled: whether the scores of a video are spread evenly over its frames, however many
            there are, instead of one per segment.
        has_categories: whether anything is said of categories.
        category_maps: V probabilities [T, 1 + C], normal first, if they were given as such; else
            None, and they follow from the video's category probabilities.
        prototypes: [C, H] of CORE, if the network has them.
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

    def events(
        self,
        index: int,
        *,
        scores: np.ndarray | None = None,
        evidence: np.ndarray | None = None,
        threshold: float | None = None,
        rule: ProposalRule = RULE,
    ) -> list[Event]:
        """What `propose_events` finds in a video.

        scores: [T], others than the video's own; evidence: others than `category_evidence`;
        threshold and rule as there.
        """
        return propose_events(
            self.results[index].scores if scores is None else scores,
            self.category_evidence(index) if evidence is None else evidence,
            frames_per_segment=self.frames_per_score(index),
            num_frames=self.evaluated_frames(index),
            threshold=threshold,
            rule=rule,
        )

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
        """[F] from one value per video [V]: repeated over the frames of the known ones."""
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
        """[V, C] p_c of whole videos; 0 without categories."""
        if not self.has_categories:
            return np.zeros(self.labels.shape, np.float32)
        return np.stack([result.category_probs for result in self.results])

    @functools.cached_property
    def category_weights(self) -> np.ndarray:
        """[V, C] w_c of whole videos; 0 without categories."""
        if not self.has_categories:
            return np.zeros(self.labels.shape, np.float32)
        return np.stack([result.category_weights for result in self.results])

    @functools.cached_property
    def normal_scores(self) -> np.ndarray:
        """[F] of all videos labelled normal: their truth follows from the label."""
        chosen = np.flatnonzero(~self.anomalous).tolist()
        parts = [self.on_frames(index, self.results[index].scores) for index in chosen]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    @functools.cached_property
    def arrays(self) -> SplitArrays:
        """What the metrics of `metrics.names` are computed from."""
        return SplitArrays(
            labels=self.labels,
            video_scores=self.video_scores,
            category_probs=self.category_probs[:, : None if self.has_categories else 0],
            truth=self.truth,
            scores=self.scores,
            lengths=self.lengths,
            with_truth=np.array([bag.has_truth for bag in self.bags], bool),
            normal_scores=self.normal_scores,
        )

    def stored(self) -> list[StoredVideo]:
        """The videos as an evaluation folder keeps them."""
        return [
            StoredVideo(
                video_id=bag.video_id,
                labels=bag.labels,
                scores=result.scores,
                video_score=result.video_score,
                category_probs=self.category_probs[index],
                category_weights=self.category_weights[index],
                shift_ratio=result.shift_ratio,
                spans=bag.spans,
                has_truth=bag.has_truth,
                evaluated_frames=self.evaluated_frames(index),
                category_map=self.category_maps[index] if self.category_maps else None,
            )
            for index, (bag, result) in enumerate(zip(self.bags, self.results, strict=True))
        ]


def stored_split(evaluation: Evaluation) -> ScoredSplit:
    """The split that was evaluated, from its folder: without features, labels as text and fps.

    Raises ValueError, LookupError or TypeError for files that do not fit together.
    """
    name, size = str(evaluation.metrics["dataset"]), int(evaluation.metrics["frames_per_segment"])
    taxonomy = Taxonomy(name, evaluation.categories, evaluation.categories)
    maps = [video.category_map for video in evaluation.videos if video.category_map is not None]
    return ScoredSplit(
        info=BagsInfo(name, taxonomy, (), frames_per_segment=size),
        bags=[
            Bag(
                video_id=video.video_id,
                label="",
                labels=video.labels,
                features=np.zeros((1, video.evaluated_frames // size, 0), np.float16),
                num_frames=video.evaluated_frames,
                fps=0.0,
                spans=video.spans,
                has_truth=video.has_truth,
            )
            for video in evaluation.videos
        ],
        results=[
            VideoScores(
                scores=video.scores,
                video_score=video.video_score,
                category_probs=video.category_probs,
                category_weights=video.category_weights,
                shift_ratio=video.shift_ratio,
            )
            for video in evaluation.videos
        ],
        resampled=True,
        has_categories=evaluation.metrics["category_accuracy"] is not None,
        category_maps=maps or None,
    )
