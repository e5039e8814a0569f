"""A split with what is said of its videos and the truth that counts: what every number is made of.

V videos, T segments, F frames, C categories.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from refinevad_jax.data.bags import Bag, BagsInfo
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.metrics import truth as truth_lib
from refinevad_jax.metrics.calibration import sigmoid
from refinevad_jax.metrics.events import RULE, Event, ProposalRule, propose_events
from refinevad_jax.metrics.names import SplitArrays
from refinevad_jax.runs.calibration import Calibration


@dataclasses.dataclass(frozen=True)
class VideoScores:
    """What the network says of one video, averaged over its crops.

    Attributes:
        scores: [T] anomaly score of each segment, of the video's own or of the resampled ones;
            calibrated if the run is.
        video_score: one score of the video, calibrated in the same way.
        category_probs: [C] p_c; [0] if categories are not scored, as without CORE.
        category_weights: [C] w_c, or [0].
        shift_ratio: [T] r_t.
        category_map: [T, 1 + C] probabilities, normal first, if they were given as such; else they
            follow from category_probs.
        logits: [T] of the scores before calibration; None for scores that were given.
        video_logit: of the video score before calibration; likewise.
        mixture_target: [T], where L_GMM takes the anomaly to be; None for a run without that loss.
    """

    scores: np.ndarray
    video_score: float
    category_probs: np.ndarray
    category_weights: np.ndarray
    shift_ratio: np.ndarray
    category_map: np.ndarray | None = None
    logits: np.ndarray | None = None
    video_logit: float | None = None
    mixture_target: np.ndarray | None = None

    @property
    def uncalibrated(self) -> np.ndarray:
        """[T] scores before calibration, for rules that read differences of scores."""
        return self.scores if self.logits is None else sigmoid(self.logits)


@dataclasses.dataclass(frozen=True)
class ScoredSplit:
    """Videos of a split with what a network says of them.

    Attributes:
        info: the data set's description.
        bags: V videos.
        results: V scores, in the same order.
        resampled: whether the scores of a video are spread evenly over its frames, however many
            there are, instead of one per segment.
        prototypes: [C, H] of CORE, if the network has them.
        calibration: of the scores, if they are calibrated.
        note: the videos that the calibration was fitted on, or why there is none.
    """

    info: BagsInfo
    bags: list[Bag]
    results: list[VideoScores]
    resampled: bool
    prototypes: np.ndarray | None = None
    calibration: Calibration | None = None
    note: str = ""

    @property
    def has_categories(self) -> bool:
        """Whether categories are scored."""
        return self.results[0].category_probs.size > 0

    def evaluated_frames(self, index: int) -> int:
        """T x frames_per_segment: what the field evaluates of a video."""
        return truth_lib.evaluated_length(
            self.bags[index].num_segments, self.info.frames_per_segment
        )

    def on_frames(self, index: int, values: np.ndarray) -> np.ndarray:
        """[F] or [F, C] from values [T] or [T, C] of a video."""
        length = self.evaluated_frames(index)
        if self.resampled:
            return truth_lib.resampled_to_frame_scores(values, length)
        return truth_lib.segment_to_frame_scores(values, length, self.info.frames_per_segment)

    def category_map(self, index: int) -> np.ndarray:
        """[T, 1 + C] probabilities of a video's uncalibrated scores, normal first."""
        result = self.results[index]
        if result.category_map is not None:
            return result.category_map
        return truth_lib.category_map(result.uncalibrated, result.category_probs)

    def category_evidence(self, index: int) -> np.ndarray:
        """[C] or [T, C] of a video, as `propose_events` takes it; C = 0 without categories."""
        result = self.results[index]
        return result.category_probs if result.category_map is None else result.category_map[:, 1:]

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
        threshold and rule as there. A threshold is one of calibrated scores. Proposals for ranking
        are made of uncalibrated ones, which their rule was chosen for.
        """
        if scores is None:
            result = self.results[index]
            scores = result.uncalibrated if threshold is None else result.scores
        frames = self.evaluated_frames(index)
        return propose_events(
            scores,
            self.category_evidence(index) if evidence is None else evidence,
            frames_per_segment=frames / len(scores),
            num_frames=frames,
            threshold=threshold,
            rule=rule,
        )

    @functools.cached_property
    def known(self) -> list[int]:
        """Indices of the videos whose spans are known."""
        return [index for index, bag in enumerate(self.bags) if bag.has_truth]

    @functools.cached_property
    def arrays(self) -> SplitArrays:
        """What the metrics of `metrics.names` are computed from."""
        videos = range(len(self.bags))
        truth = [self.frame_truth(index) for index in self.known]
        return SplitArrays(
            labels=np.stack([bag.labels for bag in self.bags]),
            video_scores=np.array([result.video_score for result in self.results]),
            category_probs=np.stack([result.category_probs for result in self.results]),
            truth=np.concatenate([np.zeros(0, bool), *truth]),
            scores=self._frame_scores(self.known),
            lengths=np.array([self.evaluated_frames(index) for index in self.known], np.int64),
            with_truth=np.array([bag.has_truth for bag in self.bags], bool),
            normal_scores=self._frame_scores([i for i in videos if not self.bags[i].anomalous]),
        )

    def frame_truth(self, index: int) -> np.ndarray:
        """[F] bool of one video."""
        return truth_lib.frame_truth(self.bags[index].spans, self.evaluated_frames(index))

    def _frame_scores(self, indices: list[int]) -> np.ndarray:
        parts = [self.on_frames(index, self.results[index].scores) for index in indices]
        return np.concatenate([np.zeros(0, np.float32), *parts])


def stored_arrays(split: ScoredSplit) -> dict[str, np.ndarray]:
    """What scores.npz holds.

    Scores, shift ratios and given category maps of video i are entries offsets[i] to
    offsets[i + 1], its annotated spans (start, end, category) are entries span_offsets[i] to
    span_offsets[i + 1]. If categories are not scored, their probabilities and weights are [V, 0].
    Logits are those before calibration; scores that were given have none.
    """
    bags, results = split.bags, split.results
    maps = [result.category_map for result in results if result.category_map is not None]
    logits = [result.logits for result in results if result.logits is not None]
    return {
        "video_ids": np.array([bag.video_id for bag in bags]),
        "offsets": np.cumsum([0, *(len(result.scores) for result in results)]),
        "scores": np.concatenate([result.scores for result in results]),
        "shift_ratio": np.concatenate([result.shift_ratio for result in results]),
        "evaluated_frames": np.array([split.evaluated_frames(i) for i in range(len(bags))]),
        "spans": np.concatenate([bag.spans for bag in bags]),
        "span_offsets": np.cumsum([0, *(len(bag.spans) for bag in bags)]),
        "has_truth": split.arrays.with_truth,
        "labels": split.arrays.labels,
        "video_scores": split.arrays.video_scores,
        "category_probs": split.arrays.category_probs,
        "category_weights": np.stack([result.category_weights for result in results]),
        "categories": np.array(split.info.taxonomy.categories),
        **({"category_maps": np.concatenate(maps)} if maps else {}),
        **({"logits": np.concatenate(logits)} if logits else {}),
    }


def stored_split(metrics: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ScoredSplit:
    """The split of an evaluation folder, from metrics.json and scores.npz: no features, no fps.

    Raises ValueError, LookupError or TypeError if the files do not fit together.
    """
    name, size = str(metrics["dataset"]), int(metrics["frames_per_segment"])
    categories = tuple(arrays["categories"].tolist())
    own, spans = _slices(arrays["offsets"]), _slices(arrays["span_offsets"])
    maps, logits = arrays.get("category_maps"), arrays.get("logits")
    bags, results = [], []
    for i, video_id in enumerate(map(str, arrays["video_ids"])):
        frames = int(arrays["evaluated_frames"][i])
        bags.append(
            Bag(
                video_id=video_id,
                label="",
                labels=arrays["labels"][i],
                features=np.zeros((1, frames // size, 0), np.float16),
                num_frames=frames,
                fps=0.0,
                spans=arrays["spans"][spans[i]],
                has_truth=bool(arrays["has_truth"][i]),
            )
        )
        results.append(
            VideoScores(
                scores=arrays["scores"][own[i]],
                video_score=float(arrays["video_scores"][i]),
                category_probs=arrays["category_probs"][i],
                category_weights=arrays["category_weights"][i],
                shift_ratio=arrays["shift_ratio"][own[i]],
                category_map=None if maps is None else maps[own[i]],
                logits=None if logits is None else logits[own[i]],
            )
        )
        named = results[i].category_probs.shape in ((0,), bags[i].labels.shape)
        if not (named and bags[i].labels.shape == (len(categories),) and len(results[i].scores)):
            raise ValueError(f"arrays of video {i}")
    return ScoredSplit(
        info=BagsInfo(name, Taxonomy(name, categories, categories), (), frames_per_segment=size),
        bags=bags,
        results=results,
        resampled=True,
    )


def _slices(offsets: np.ndarray) -> list[slice]:
    return [slice(*pair) for pair in itertools.pairwise(offsets.tolist())]
