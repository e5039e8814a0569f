import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinevad_jax.metrics import bootstrap
from refinevad_jax.metrics import frames as frame_metrics


def frames_of_videos(seed, num_videos=12, levels=9):
    """Videos of 0 to 12 frames; scores from few levels, so that most of them tie."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 13, num_videos)
    truth = rng.random(lengths.sum()) < 0.3
    scores = rng.integers(0, levels, lengths.sum()) / levels
    return truth, scores, lengths


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 9, 1000]))
@settings(deadline=None)
def test_a_draw_equals_the_metric_on_the_repeated_videos(seed, levels):
    truth, scores, lengths = frames_of_videos(seed, levels=levels)
    video = np.repeat(np.arange(len(lengths)), lengths)
    counts = bootstrap.VideoCounts(truth, scores, lengths)
    for draw in bootstrap.draw_videos(len(lengths), 3, seed):
        frames = np.repeat(np.arange(len(truth)), draw[video])
        expected = (
            frame_metrics.roc_auc(truth[frames], scores[frames]),
            frame_metrics.average_precision(truth[frames], scores[frames]),
        )
        np.testing.assert_allclose(counts.metrics(draw), expected, rtol=1e-12, equal_nan=True)


def test_draws_keep_the_number_of_videos_and_follow_the_seed():
    draws = bootstrap.draw_videos(20, 50, seed=3)
    assert draws.shape == (50, 20) and (draws.sum(axis=1) == 20).all()
    np.testing.assert_array_equal(draws, bootstrap.draw_videos(20, 50, seed=3))
    assert (draws != bootstrap.draw_videos(20, 50, seed=4)).any()


def test_interval_holds_the_value_and_narrows_with_more_videos():
    widths = []
    for num_videos in (20, 500):
        rng = np.random.default_rng(0)
        lengths = np.full(num_videos, 10)
        truth = np.repeat(np.arange(num_videos) % 2 == 0, 10)
        scores = truth + rng.normal(0, 1, len(truth))
        found = bootstrap.confidence_intervals(truth, scores, lengths, num_resamples=200)
        for name, metric in zip(bootstrap.METRICS, ("roc_auc", "average_precision"), strict=True):
            interval = found[name]
            assert interval.value == pytest.approx(getattr(frame_metrics, metric)(truth, scores))
            assert interval.low < interval.value < interval.high
        widths.append(found["roc_auc"].high - found["roc_auc"].low)
    assert widths[1] < widths[0] / 2


def test_interval_of_dependent_frames_is_that_of_videos_not_of_frames():
    # 1,000 equal frames tell no more than one: the interval is as wide as without repetition.
    rng = np.random.default_rng(0)
    truth, scores, ones = np.arange(40) % 2 == 0, rng.random(40), np.ones(40, int)
    alone = bootstrap.confidence_intervals(truth, scores, ones)["roc_auc"]
    repeated = bootstrap.confidence_intervals(
        np.repeat(truth, 1000), np.repeat(scores, 1000), ones * 1000
    )["roc_auc"]
    assert repeated == alone


def test_level_widens_the_interval():
    values = np.random.default_rng(0).random(1001)
    narrow, usual, wide = (
        bootstrap.percentile_interval(values, **level)
        for level in ({"level": 0.5}, {}, {"level": 0.99})
    )
    assert wide.low < usual.low < narrow.low < narrow.high < usual.high < wide.high
    assert usual.level == 0.95


def test_resamples_without_a_class_are_counted_not_averaged():
    # One anomalous video of three: it is missing from (2/3)^3 of the draws.
    truth, scores = np.array([True, False, False]), np.array([0.9, 0.5, 0.1])
    interval = bootstrap.confidence_intervals(truth, scores, np.ones(3, int))["roc_auc"]
    assert interval.num_resamples + interval.num_undefined == 1000
    assert 200 < interval.num_undefined < 450
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)


def test_no_class_at_all_is_nan():
    found = bootstrap.confidence_intervals(np.zeros(4, bool), np.arange(4.0), np.array([2, 2]))
    assert math.isnan(found["roc_auc"].value) and math.isnan(found["roc_auc"].low)
    assert found["average_precision"].num_resamples == 0


def compared(truth, one, other, lengths, num_resamples=200):
    """AUC of two groups of scores, [S, F] each."""
    draws = [
        np.stack(
            [
                bootstrap.on_draws(truth, scores, lengths, num_resamples=num_resamples)["roc_auc"]
                for scores in group
            ]
        )
        for group in (one, other)
    ]
    return bootstrap.difference(*draws)


def test_equal_runs_do_not_differ():
    truth, scores, lengths = frames_of_videos(2, num_videos=40)
    for group in ([scores], [scores, scores]):
        found = compared(truth, group, group, lengths)
        interval = found.difference
        assert (interval.value, interval.low, interval.high) == (0.0, 0.0, 0.0)
        assert found.p_value == 1.0


def test_a_much_better_run_is_found_and_the_sign_is_b_minus_a():
    rng = np.random.default_rng(0)
    lengths = np.full(50, 20)
    truth = rng.random(1000) < 0.3
    noise = rng.random((2, 1000))
    better = truth + 0.5 * noise
    for seeds in (1, 2):
        found = compared(truth, noise[:seeds], better[:seeds], lengths)
        assert found.difference.low > 0.2
        assert found.p_value <= 0.02
        assert found.covers_seeds == (seeds == 2)
        back = compared(truth, better[:seeds], noise[:seeds], lengths)
        assert back.difference.value == -found.difference.value
        assert back.difference.low == pytest.approx(-found.difference.high)
        assert back.p_value == found.p_value


def test_pairing_is_narrower_than_two_intervals():
    rng = np.random.default_rng(0)
    lengths = np.full(40, 25)
    truth = np.repeat(rng.random(40) < 0.5, 25)
    scores = truth * 0.5 + np.repeat(rng.random(40), 25)
    better = scores + 0.1 * truth
    difference = compared(truth, [scores], [better], lengths, 1000).difference
    alone = bootstrap.confidence_intervals(truth, scores, lengths)["roc_auc"]
    assert difference.high - difference.low < (alone.high - alone.low) / 2


def test_what_seeds_add_is_students_t():
    # Videos that all say the same leave the seeds alone: t with 4 degrees of freedom.
    one, other = (np.repeat(np.array(group)[:, None], 5001, axis=1) for group in SEEDS)
    interval = bootstrap.difference(one, other).difference
    deviation = np.sqrt((2 * 0.1**2 + 2 * 0.2**2) / 4)
    assert interval.value == pytest.approx(0.1)
    half = 2.776 * deviation * np.sqrt(2 / 3)
    assert interval.low == pytest.approx(0.1 - half, rel=0.05)
    assert interval.high == pytest.approx(0.1 + half, rel=0.05)


SEEDS = ([0.4, 0.5, 0.6], [0.4, 0.6, 0.8])


def seeds_without_a_difference(rng, num_seeds, main):
    """A metric of two groups on draws of 40 videos: [S, 1 + R] each, of the same expectation.

    main: deviation over seeds that all videos of a seed share, in units of that of one video.
    """
    draws = bootstrap.draw_videos(40, 300, seed=int(rng.integers(2**31))) / 40
    draws = np.concatenate([np.full((1, 40), 1 / 40), draws])
    videos = rng.normal(size=40)
    groups = []
    for count in num_seeds:
        own = videos + main * rng.normal(size=(count, 1)) + 0.5 * rng.normal(size=(count, 40))
        groups.append(own @ draws.T)
    return groups


def covers_zero(interval):
    return interval.low <= 0 <= interval.high


def by_drawing_seeds(rng, one, other):
    """The bootstrap of two levels that docs/metrics.md calls too narrow: seeds drawn as videos."""
    means = []
    for group in (one, other):
        draws = rng.integers(0, len(group), (group.shape[1], len(group)))
        draws[0] = np.arange(len(group))
        means.append(group[draws, np.arange(group.shape[1])[:, None]].mean(axis=1))
    return bootstrap.percentile_interval(means[1] - means[0])


@pytest.mark.parametrize("num_seeds", [(2, 2), (3, 3), (5, 5), (1, 5)])
@pytest.mark.parametrize("main", [0.1, 0.5])
def test_without_a_difference_the_interval_covers_0_in_95_of_100(num_seeds, main):
    """The shares of which docs/metrics.md quotes those of three seeds."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        one, other = seeds_without_a_difference(rng, num_seeds, main)
        found = bootstrap.difference(one, other)
        # The p-value says the same, up to the steps of 300 draws.
        assert abs(found.p_value - 0.05) < 0.02 or (
            (found.p_value > 0.05) == covers_zero(found.difference)
        )
        intervals = (
            found.difference,
            bootstrap.difference(one[:1], other[:1]).difference,
            by_drawing_seeds(rng, one, other),
        )
        covered.append([covers_zero(interval) for interval in intervals])
    ours, videos_only, drawn = np.mean(covered, axis=0)
    assert ours >= 0.92  # two standard errors below 0.95
    if main == 0.5:
        assert ours <= 0.99
        assert videos_only < 0.4  # one seed against one: equal configurations "differ"
        assert drawn < (0.85 if max(num_seeds) < 5 else 0.95)


def test_real_scores_of_ucf_crime_leave_a_wide_interval(ucf_model):
    """The figures that docs/metrics.md quotes."""
    found = bootstrap.confidence_intervals(ucf_model.truth, ucf_model.scores, ucf_model.lengths)
    rounded = [(round(found[name].low, 3), round(found[name].high, 3)) for name in found]
    assert rounded == [(0.606, 0.769), (0.124, 0.285)]


def test_bad_input_is_refused():
    truth, scores = np.array([True, False]), np.array([0.1, 0.2])
    with pytest.raises(ValueError, match="lengths that sum to 3"):
        bootstrap.VideoCounts(truth, scores, np.array([3]))
    with pytest.raises(ValueError, match="no videos"):
        bootstrap.VideoCounts(truth[:0], scores[:0], np.zeros(0, int))
    with pytest.raises(ValueError, match="frame 0 is NaN"):
        bootstrap.VideoCounts(truth, scores * np.nan, np.array([2]))
    with pytest.raises(ValueError, match="range"):
        bootstrap.percentile_interval(np.arange(4.0), level=95)


def test_the_interval_of_a_mean_is_that_of_its_draws():
    values = np.array([1.0] * 60 + [0.0] * 40)
    interval = bootstrap.mean_interval(values, num_resamples=4000)
    assert interval.value == pytest.approx(0.6)
    # Two standard errors of a share of 0.6 in 100.
    assert interval.low == pytest.approx(0.6 - 1.96 * math.sqrt(0.24 / 100), abs=0.012)
    assert interval.high == pytest.approx(0.6 + 1.96 * math.sqrt(0.24 / 100), abs=0.012)
    assert math.isnan(bootstrap.mean_interval(np.zeros(0)).value)


def test_mean_on_draws_leaves_out_what_is_not_defined() -> None:
    values = np.array([0.5, np.nan, 1.0, 0.0])
    found = bootstrap.mean_on_draws(values)
    assert found[0] == pytest.approx(0.5)
    draws = bootstrap.draw_videos(4, 1000)
    times = np.repeat(values, draws[0])
    assert found[1] == pytest.approx(np.nanmean(times))
    assert np.isnan(bootstrap.mean_on_draws(np.array([np.nan, np.nan]))).all()
