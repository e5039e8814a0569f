"""Events of one video: where they lie, what they are called, what the published rule loses."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refinevad_jax.metrics.events import Event, ProposalRule, propose_events
from refinevad_jax.metrics.legacy_localization import legacy_detections

PROBS = np.array([0.8, 0.1, 0.1])


def propose(scores, probs=PROBS, **options):
    scores = np.array(scores, float)
    given = {"frames_per_segment": 16, "num_frames": 16 * len(scores), **options}
    return propose_events(scores, probs, **given)


def test_a_stretch_that_stands_out_comes_first():
    best, *others = propose([0.1] * 4 + [0.9] * 4 + [0.1] * 12)
    assert (best.start, best.end, best.category) == (64, 128, 0)
    # Mean and peak, less what surrounds it, times the category's share.
    assert best.score == pytest.approx((0.9 - 0.1) * 0.8)
    assert all(event.score < best.score for event in others)


def test_every_category_with_evidence_gets_its_share():
    events = propose([0.1] * 3 + [0.9] + [0.1] * 3, np.array([0.6, 0.2, 0.0]))
    place = [event for event in events if (event.start, event.end) == (48, 64)]
    assert [event.category for event in place] == [0, 1]
    assert place[0].score == pytest.approx(3 * place[1].score)


def test_evidence_of_segments_counts_inside_the_event_only():
    probs = np.zeros((9, 2))
    probs[:4, 0], probs[4:, 1] = 1, 1
    events = propose([0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.8, 0.1], probs, threshold=0.5)
    assert [(e.start, e.end, e.category) for e in events] == [(16, 32, 0), (112, 128, 1)]


def test_neighbours_over_a_short_gap_are_a_candidate_of_their_own():
    scores = [0.1] * 8 + [0.9] * 4 + [0.2] + [0.9] * 4 + [0.1] * 8
    for gap, expected in ((0.0, False), (0.2, True)):
        rule = ProposalRule(merge_gap=gap, smoothing=0.0, max_overlap=1.0, absolute_levels=(0.5,))
        found = {(event.start // 16, event.end // 16) for event in propose(scores, rule=rule)}
        # At every relative level up to 0.2 / 0.9 of the range the dip is no gap.
        rule = dataclasses.replace(rule, relative_levels=(0.5,))
        above = {(event.start // 16, event.end // 16) for event in propose(scores, rule=rule)}
        assert {(8, 12), (13, 17)} <= above <= found
        assert ((8, 17) in above) is expected


def test_absolute_levels_find_what_the_range_of_a_video_hides():
    scores = [0.0] * 20 + [0.35] * 10 + [0.0] * 20 + [1.0] * 2 + [0.0] * 10
    rule = ProposalRule(smoothing=0.0, relative_levels=(0.5,), absolute_levels=())
    assert [event.start // 16 for event in propose(scores, rule=rule)] == [50] * 3
    rule = dataclasses.replace(rule, absolute_levels=(0.3,))
    assert {event.start // 16 for event in propose(scores, rule=rule)} == {20, 50}


def test_a_flat_confident_video_is_one_event_where_the_published_rule_finds_none():
    flat = np.full(10, 0.9)
    assert not len(legacy_detections([np.stack([1 - flat, flat], axis=1)]).score)
    assert propose(flat, np.ones(1), threshold=0.5) == [Event(0, 160, 0, pytest.approx(0.9))]
    assert propose(flat, np.ones(1))[0] == Event(0, 160, 0, pytest.approx(0.9))


def test_the_threshold_decides_whether_there_is_an_event():
    scores = [0.1, 0.1, 0.6, 0.1, 0.1, 0.1, 0.3, 0.1, 0.1]
    assert len(propose(scores, threshold=0.25)) == 2
    assert [event.start for event in propose(scores, threshold=0.6)] == [32]
    assert propose(scores, threshold=0.61) == []


def test_a_dip_does_not_split_an_event():
    scores = [0.1] * 50 + [0.9] * 10 + [0.45] + [0.9] * 10 + [0.1] * 50
    (event,) = propose(scores, threshold=0.5)
    assert abs(event.start - 50 * 16) <= 32
    assert abs(event.end - 71 * 16) <= 32


def test_without_categories_an_event_has_none():
    for probs in (np.zeros(0), np.zeros(3)):
        assert {event.category for event in propose([0.1, 0.9, 0.1], probs)} == {-1}
        assert [e.category for e in propose([0.1, 0.9, 0.1], probs, threshold=0.5)] == [-1]


def test_resampled_videos_and_cut_ends():
    (event,) = propose([0.0, 0.0, 1.0], frames_per_segment=100 / 3, num_frames=100, threshold=0.5)
    assert (event.start, event.end) == (67, 100)
    (event,) = propose([0.0, 1.0], num_frames=20, threshold=0.5)
    assert (event.start, event.end) == (16, 20)
    assert propose([0.0, 1.0], num_frames=16, threshold=0.5) == []


score_lists = st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]), min_size=1, max_size=60)


@given(score_lists, st.sampled_from([0.0, 0.3, 0.6, 1.0]))
@example([0.3, 1.0, 1.0, 1.0, 0.1, 1.0], 0.3)  # sums that round to a mean above 1
def test_events_at_a_threshold_are_disjoint_and_cover_every_alarm(values, threshold):
    scores = np.array(values)
    events = propose(scores, threshold=threshold)
    frames = np.repeat(scores, 16)
    for event in events:
        assert 0 <= event.start < event.end <= len(frames)
        assert frames[event.start : event.end].max() >= threshold
        assert 0 <= event.score <= 1
    for before, after in itertools.pairwise(events):
        assert before.end <= after.start
    inside = np.zeros(len(frames), bool)
    for event in events:
        inside[event.start : event.end] = True
    assert inside[frames >= threshold].all()
    assert bool(events) == bool((scores >= threshold).any())


def test_an_event_at_a_threshold_leaves_out_what_does_not_reach_it():
    """A short video with one clear peak is not an event from end to end."""
    scores = [0.15, 0.38, 0.46, 1.0, 1.0, 0.61, 0.2]
    (event,) = propose(scores, threshold=0.5)
    assert (event.start, event.end) == (48, 96)
    assert event.score == pytest.approx((1 + 2.61 / 3) / 2)


@given(score_lists)
def test_proposals_fall_in_score_and_hold_the_whole_video_or_something_like_it(values):
    events = propose(values, np.ones(1))
    scores = [event.score for event in events]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= event.start < event.end <= 16 * len(values) for event in events)
    # Nothing of the whole video is out of reach: it is a proposal, or a better one replaces it.
    assert events


def test_hundred_thousand_noisy_frames_are_no_trouble():
    scores = np.random.default_rng(0).random(100_000)
    options = {"frames_per_segment": 1, "num_frames": len(scores)}
    assert len(propose_events(scores, PROBS, **options)) < 10_000
    assert len(propose_events(scores, PROBS, threshold=0.5, **options)) > 0


@pytest.mark.parametrize(
    ("scores", "probs", "message"),
    [
        ([], PROBS, "must be .T."),
        ([np.nan], PROBS, "without NaN"),
        ([0.5], np.ones((2, 3)), r"\[C\] or \[1, C\]"),
        ([0.5], np.array([-0.1]), "negative or NaN"),
        ([0.5], np.array([np.nan]), "negative or NaN"),
    ],
)
def test_bad_input_is_refused(scores, probs, message):
    with pytest.raises(ValueError, match=message):
        propose(scores, probs)
