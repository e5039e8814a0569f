"""How far a frame metric depends on the videos of the test set, and on the seeds of training.

Whole videos are drawn anew with replacement, because the frames of a video are not independent,
and the metric is computed on each draw. The values are exact: scores are not binned, and ties count
as in `frames`. It is fast because it sorts once, and because it notes of a normal frame only
between which two scores of anomalous frames it lies: AUC and AP depend on nothing else.

The interval of one run covers videos, not the spread between training seeds. `difference` compares
groups of seeds and covers both.
"""

import dataclasses
import functools

import numpy as np

from refinevad_jax.metrics import frames

METRICS = ("roc_auc", "average_precision")
NUMBERS_PER_DRAW = 8  # from Student's t: with few seeds its tails are long


@dataclasses.dataclass(frozen=True)
class Interval:
    """A percentile interval.

    Attributes:
        value: the metric on the videos as they are.
        low: lower end.
        high: upper end.
        level: share of the resampled values between the two.
        num_resamples: resamples that count.
        num_undefined: resamples left out because a class was absent from them.
    """

    value: float
    low: float
    high: float
    level: float
    num_resamples: int
    num_undefined: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two groups of seeds on the same videos, B minus A.

    Attributes:
        difference: the interval of the difference of their means.
        p_value: two-sided: twice the smaller share of resamples in which one group is at least as
            good as the other, at most 1, and at least 2 / (R + 1) from R draws of videos.
        covers_seeds: whether both cover seeds as well as videos; not with one seed in each group.
    """

    difference: Interval
    p_value: float
    covers_seeds: bool


class VideoCounts:
    """The frames of V videos, counted so that any draw of videos is evaluated in one pass.

    With P distinct scores of anomalous frames, ascending, normal frames fall into 2P + 1 places:
    place 2k lies between scores k-1 and k, place 2k+1 is a tie with score k.
    """

    def __init__(self, truth: np.ndarray, scores: np.ndarray, lengths: np.ndarray) -> None:
        """Counts the frames.

        truth: [F] bool; scores: [F]; lengths: [V] frames of each video, in the order of the frames.
        Raises ValueError if they do not fit together, if a score is NaN, or without videos.
        """
        truth, scores = frames.checked(truth, scores)
        lengths = np.asarray(lengths)
        if not len(lengths):
            raise ValueError("no videos to draw from")
        if lengths.sum() != len(truth):
            raise ValueError(f"{len(truth)} frames, lengths that sum to {lengths.sum()}")
        video = np.repeat(np.arange(len(lengths)), lengths)
        # Frames of one segment share a score: one entry per run of equal frames is enough.
        new = (scores[1:] != scores[:-1]) | (truth[1:] != truth[:-1]) | (video[1:] != video[:-1])
        starts = np.flatnonzero(np.append(True, new)[: len(scores)])
        counts = np.diff(starts, append=len(scores))
        truth, scores, video = truth[starts], scores[starts], video[starts]
        levels = np.unique(scores[truth])
        below = np.searchsorted(levels, scores, side="left")
        places = below + np.searchsorted(levels, scores, side="right")
        sizes = len(levels), 2 * len(levels) + 1
        self._positives, self._negatives = (
            _Tally(place[kept], video[kept], counts[kept], size, len(lengths))
            for place, kept, size in zip((below, places), (truth, ~truth), sizes, strict=True)
        )

    def metrics(self, draws: np.ndarray) -> tuple[float, float]:
        """ROC AUC and average precision if video v counts draws[v] times: draws is [V] int64.

        nan if a class is absent, as in `frames`.
        """
        up_to = self._positives.running_sums(draws)
        at_or_below = self._negatives.running_sums(draws)
        positives = np.diff(up_to, prepend=0)
        return frames.areas(positives, at_or_below[0:-1:2], at_or_below[1::2], int(at_or_below[-1]))


class _Tally:
    """How many frames of each video lie in each place; summed over videos for a draw."""

    def __init__(
        self,
        places: np.ndarray,
        videos: np.ndarray,
        counts: np.ndarray,
        num_places: int,
        num_videos: int,
    ) -> None:
        keys, entries = np.unique(places * num_videos + videos, return_inverse=True)
        self._counts = np.zeros(len(keys), np.int64)
        np.add.at(self._counts, entries, counts)
        self._videos = keys % num_videos
        self._ends = np.searchsorted(keys, np.arange(1, num_places + 1) * num_videos)
        # One buffer for all draws: new memory for each would take longer than the sums.
        self._sums = np.zeros(len(keys) + 1, np.int64)

    def running_sums(self, draws: np.ndarray) -> np.ndarray:
        """[num_places] int64, frames in this place and all before it."""
        entries = self._sums[1:]
        np.take(draws, self._videos, out=entries, mode="clip")
        np.multiply(entries, self._counts, out=entries)
        np.cumsum(entries, out=entries)
        return self._sums[self._ends]


@functools.lru_cache(maxsize=4)
def draw_videos(num_videos: int, num_resamples: int, seed: int = 0) -> np.ndarray:
    """How often each video is drawn: [num_resamples, num_videos] int64, from the seed alone.

    Read-only: all metrics of all runs on as many videos share it.
    """
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(num_videos, np.full(num_videos, 1 / num_videos), size=num_resamples)
    draws.flags.writeable = False
    return draws


def once_and_drawn(num_videos: int, num_resamples: int = 1000) -> np.ndarray:
    """[1 + R, V] int64: every video once, then the draws of `draw_videos`."""
    as_they_are = np.ones((1, num_videos), np.int64)
    return np.concatenate([as_they_are, draw_videos(num_videos, num_resamples)])


def on_draws(
    truth: np.ndarray,
    scores: np.ndarray,
    lengths: np.ndarray,
    *,
    num_resamples: int = 1000,
    draws: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """AUC and AP of one run on draws of videos, which are the same for any run on V videos.

    truth: [F] bool; scores: [F]; lengths: [V] frames of each video. With lengths all 1 the metrics
    are those of videos; draws: [1 + R, V], those of `once_and_drawn` if not given. By metric name
    [1 + R]: on the videos as they are, then on every draw.
    """
    counts = VideoCounts(truth, scores, lengths)
    if draws is None:
        draws = once_and_drawn(len(lengths), num_resamples)
    values = np.array([counts.metrics(draw) for draw in draws])
    return {name: values[:, i] for i, name in enumerate(METRICS)}


def mean_on_draws(values: np.ndarray) -> np.ndarray:
    """The mean of a value per video [V] on the draws of `on_draws`: [1 + R].

    A video whose value is nan counts in no mean; nan where none counts.
    """
    defined = ~np.isnan(values)
    draws = once_and_drawn(len(values))[:, defined]
    count = draws.sum(axis=1)
    total = draws @ values[defined]
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def confidence_intervals(
    truth: np.ndarray, scores: np.ndarray, lengths: np.ndarray, *, num_resamples: int = 1000
) -> dict[str, Interval]:
    """Percentile intervals of AUC and AP by metric name; arguments as of `on_draws`."""
    values = on_draws(truth, scores, lengths, num_resamples=num_resamples)
    return {name: percentile_interval(row) for name, row in values.items()}


def difference(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Comparison:
    """Whether the seeds of group B are better than those of group A, as means.

    a: [S, 1 + R] and b: [S', 1 + R], a metric of each seed on the same draws of videos, as
    `on_draws` gives it. To the difference on every draw comes what other seeds would change:
    a number from Student's t with S + S' - 2 degrees of freedom, times the standard error
    s sqrt(1 / S + 1 / S') with the pooled deviation s of the seeds. Drawing the few seeds with
    replacement, as the videos are drawn, gives intervals that are too narrow. Seeds of equal
    number are not taken for pairs. With one seed in each group s is not known: videos only.
    """
    freedom = len(a) + len(b) - 2
    value, *drawn = b.mean(axis=0) - a.mean(axis=0)
    values, least = np.array(drawn), 2 / (len(drawn) + 1)
    if freedom:
        squares = sum(((group[:, 0] - group[:, 0].mean()) ** 2).sum() for group in (a, b))
        error = np.sqrt(squares / freedom * (1 / len(a) + 1 / len(b)))
        rng = np.random.default_rng([seed, freedom])  # other numbers than those of draw_videos
        numbers = error * rng.standard_t(freedom, (NUMBERS_PER_DRAW, len(values)))
        # With both signs, A against B is exactly B against A.
        values = np.concatenate([values + numbers, values - numbers]).ravel()
    interval = percentile_interval(np.append(value, values))
    return Comparison(interval, max(_two_sided(values), least), freedom > 0)


def mean_interval(values: np.ndarray, *, num_resamples: int = 1000) -> Interval:
    """The interval of a mean over videos: values [V], such as 1 if a category is right.

    nan without videos.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return percentile_interval(np.full(1 + num_resamples, np.nan))
    means = draw_videos(len(values), num_resamples) @ values / len(values)
    return percentile_interval(np.append(values.mean(), means))


def percentile_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """The interval of the given level: values [1 + R], on the videos as they are, then resampled.

    nan is left out and counted.
    """
    defined = values[1:][~np.isnan(values[1:])]
    ends = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(defined, ends) if len(defined) else (np.nan, np.nan)
    return Interval(
        value=float(values[0]),
        low=float(low),
        high=float(high),
        level=level,
        num_resamples=len(defined),
        num_undefined=len(values) - 1 - len(defined),
    )


def _two_sided(differences: np.ndarray) -> float:
    defined = differences[~np.isnan(differences)]
    if not len(defined):
        return float("nan")
    # One is added for the sample itself: a p-value of 0 would claim more than R draws can say.
    smaller = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (smaller + 1) / (len(defined) + 1)))
