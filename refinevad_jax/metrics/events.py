"""From the scores of one video to events: (start, end, category, score).

The published rule (`legacy_localization.legacy_detections`) has one threshold relative to the range
of a column, so that flat scores give nothing, nor do videos that are anomalous from end to end.
`propose_events` looks at several thresholds and keeps the stretches that stand out from what
surrounds them. To it a whole video is a stretch like any other. These are candidates for ranking
metrics; with a threshold it gives alarms, which is what a user wants to see.
Arrays in, events out; T segments, C categories.
"""

import dataclasses

import numpy as np

from refinevad_jax.metrics.truth import row_runs, truth_runs

ALARM_SMOOTHING = 0.02  # standard deviation, as a share of the video
ALARM_PEAK_WEIGHT = 0.5  # of an alarm's highest score; its mean has the rest


@dataclasses.dataclass(frozen=True)
class ProposalRule:
    """Parameters of `propose_events`, chosen by benchmarks.choose_events (docs/metrics.md).

    Attributes:
        smoothing: standard deviation of the Gaussian before thresholds, as a share of the video.
        relative_levels: thresholds as shares of a video's range; 0 gives the whole video.
        absolute_levels: thresholds on the scores themselves.
        merge_gap: two runs of one level are joined if the gap between them is at most this share of
            the sum of their lengths; the joined run is one more candidate.
        peak_weight: weight of a stretch's highest score; its mean has the rest.
        surroundings: how far to look on either side, as a share of the stretch's length.
        max_overlap: above this IoU the weaker of two proposals is dropped.
    """

    smoothing: float = 0.04
    relative_levels: tuple[float, ...] = (0.0, 0.3, 0.5, 0.7, 0.9)
    absolute_levels: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    merge_gap: float = 0.1
    peak_weight: float = 0.5
    surroundings: float = 2.0
    max_overlap: float = 0.2


RULE = ProposalRule()


@dataclasses.dataclass(frozen=True)
class Event:
    """A stretch of a video and what happens there.

    Attributes:
        start: first frame.
        end: end in frames, exclusive.
        category: index in [0, C), or -1 if the network names none.
        score: in [0, 1] for proposals; higher is more certain.
    """

    start: int
    end: int
    category: int
    score: float


def propose_events(
    scores: np.ndarray,
    category_probs: np.ndarray,
    *,
    frames_per_segment: float,
    num_frames: int,
    threshold: float | None = None,
    rule: ProposalRule = RULE,
) -> list[Event]:
    """Finds stretches at several thresholds and keeps those that stand out.

    Candidates are runs of the smoothed scores: those at or above levels of their range (the lowest
    gives the whole video), those above absolute levels, and neighbours of one level joined. A
    candidate's worth is its mean with a part of its highest score, less the mean of what surrounds
    it on either side (nothing beyond the ends of the video). Its score for a category is the worth
    times the category's share of the evidence inside. If two overlap too much, the one of less
    worth goes.

    scores: [T] in [0, 1]. category_probs: [C] of the video or [T, C] of its segments, not negative;
    all zero or C = 0 if the network names no category.
    frames_per_segment: frames that one score stands for; num_frames / T for resampled videos.
    num_frames: length of the video; events end there, and scores beyond it do not count.
    threshold: None gives every proposal for every category with evidence; two may overlap up to an
    IoU of rule.max_overlap, as ranking metrics need. A number gives disjoint events in the order of
    time, of one category each: the runs of segments whose score, or smoothed score, reaches it.
    Every alarm lies in an event, and a short dip does not split one. Such an event scores half its
    mean plus half its highest score.
    Returns events, by falling score or, with a threshold, by start. Raises ValueError for NaN,
    negative evidence or shapes that do not fit.
    """
    scores, category_probs = _checked(scores, category_probs)
    edges = np.ceil(np.arange(len(scores) + 1) * frames_per_segment - 1e-6).astype(np.int64)
    covers = edges[:-1] < num_frames
    scores, category_probs = scores[covers], category_probs[covers]
    if not len(scores):
        return []
    edges = np.minimum(edges, num_frames)
    smoothing = rule.smoothing if threshold is None else ALARM_SMOOTHING
    smooth = _smoothed(scores, smoothing * len(scores))
    if threshold is None:
        runs = _candidates(smooth, rule)
        worth = _worth(scores, runs, rule)
        kept = _distinct(runs, worth, rule.max_overlap)
    else:
        runs = truth_runs(np.maximum(scores, smooth) >= threshold)
        worth = _strength(scores, runs, ALARM_PEAK_WEIGHT)
        kept = list(range(len(runs)))
    shares = _shares(category_probs, runs)
    events = []
    for i, (start, end) in zip(kept, edges[runs[kept]].tolist(), strict=True):
        named = np.flatnonzero(shares[i])
        if threshold is None and named.size:
            values = (worth[i] * shares[i, named]).tolist()
            found = zip(named.tolist(), values, strict=True)
            events += [Event(start, end, category, value) for category, value in found]
        else:
            category = int(shares[i].argmax()) if named.size else -1
            events.append(Event(start, end, category, float(worth[i])))
    if threshold is not None:
        return sorted(events, key=lambda event: event.start)
    return sorted(events, key=lambda event: (-event.score, event.start, event.category))


def _checked(scores: np.ndarray, category_probs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, probs = np.asarray(scores, np.float64), np.asarray(category_probs, np.float64)
    if scores.ndim != 1 or not len(scores) or np.isnan(scores).any():
        raise ValueError(f"scores of shape {scores.shape}: must be [T], T > 0, without NaN")
    if probs.ndim not in (1, 2) or (probs.ndim == 2 and len(probs) != len(scores)):
        raise ValueError(
            f"category_probs of shape {probs.shape}: must be [C] or [{len(scores)}, C]"
        )
    if not (probs >= 0).all():
        raise ValueError("category_probs: a value is negative or NaN")
    return scores, np.broadcast_to(probs, (len(scores), probs.shape[-1]))


def _candidates(smooth: np.ndarray, rule: ProposalRule) -> np.ndarray:
    """[R, 2] distinct runs [start, end) of segments at or above any level, and joined ones."""
    low, high = smooth.min(), smooth.max()
    relative = low + (high - low) * np.array(rule.relative_levels)
    levels = np.concatenate([relative, rule.absolute_levels])
    runs, level = row_runs(smooth >= levels[:, None])
    every = np.concatenate([runs, _joined(runs, level, rule.merge_gap)])
    # As np.unique of rows, which takes ten times as long.
    return np.stack(np.divmod(np.unique(every @ [len(smooth) + 1, 1]), len(smooth) + 1), axis=1)


def _joined(runs: np.ndarray, level: np.ndarray, merge_gap: float) -> np.ndarray:
    """[J, 2] neighbours of one level as one run, if the gap between them is small."""
    start, end = runs.T
    length = end - start
    near = start[1:] - end[:-1] <= merge_gap * (length[1:] + length[:-1])
    first = np.flatnonzero(np.append(True, ~(near & (level[1:] == level[:-1]))))[: len(runs)]
    last = np.append(first[1:], len(runs)) - 1
    return np.stack([start[first], end[last]], axis=1) if len(runs) else runs


def _smoothed(scores: np.ndarray, sigma: float) -> np.ndarray:
    """[T] after a Gaussian of sigma segments; the outermost scores continue beyond the ends."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-9)) ** 2)
    padded = np.pad(scores, reach, mode="edge")
    # By Fourier transform, because a video may have a score for each of 100,000 frames.
    product = np.fft.rfft(padded) * np.fft.rfft(kernel / kernel.sum(), len(padded))
    smooth = np.fft.irfft(product, len(padded))[2 * reach :]
    # Rounding would give a flat video hills.
    return np.clip(smooth, scores.min(), scores.max())


def _strength(scores: np.ndarray, runs: np.ndarray, peak_weight: float) -> np.ndarray:
    """[R] the highest score of each run and its mean, weighted."""
    sums = np.concatenate(([0.0], np.cumsum(scores)))
    start, end = runs.T
    inside = (sums[end] - sums[start]) / (end - start)
    peak = np.maximum.reduceat(np.append(scores, 0.0), runs.ravel())[::2] if len(runs) else inside
    # A difference of sums may round to a mean above the highest score.
    return peak_weight * peak + (1 - peak_weight) * np.minimum(inside, peak)


def _worth(scores: np.ndarray, runs: np.ndarray, rule: ProposalRule) -> np.ndarray:
    """[R] how much each run stands out, in [0, 1] for scores in [0, 1]."""
    sums = np.concatenate(([0.0], np.cumsum(scores)))
    start, end = runs.T
    margin = np.ceil(rule.surroundings * (end - start)).astype(np.int64)
    left, right = np.maximum(start - margin, 0), np.minimum(end + margin, len(scores))
    around = sums[right] - sums[left] - (sums[end] - sums[start])
    outside = around / np.maximum(right - left - (end - start), 1)
    return np.maximum(_strength(scores, runs, rule.peak_weight) - outside, 0.0)


def _shares(category_probs: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """[R, C] each category's share of the evidence inside a run; 0 without evidence."""
    sums = np.concatenate((np.zeros((1, category_probs.shape[1])), category_probs.cumsum(axis=0)))
    inside = np.maximum(sums[runs[:, 1]] - sums[runs[:, 0]], 0.0)
    total = inside.sum(axis=1, keepdims=True)
    return np.divide(inside, total, out=np.zeros_like(inside), where=total > 0)


def _distinct(runs: np.ndarray, worth: np.ndarray, max_overlap: float) -> list[int]:
    """Indices by falling worth, without those that a better one overlaps beyond max_overlap.

    If several are of equal worth, the longer one is first.
    """
    order = np.lexsort((runs[:, 0], runs[:, 0] - runs[:, 1], -worth))
    start, end = runs[order].T
    free, kept = np.ones(len(runs), bool), []
    for i in range(len(runs)):
        if free[i]:
            kept.append(int(order[i]))
            shared = np.minimum(end, end[i]) - np.maximum(start, start[i])
            union = np.maximum(end, end[i]) - np.minimum(start, start[i])
            free &= shared / union <= max_overlap
    return kept
