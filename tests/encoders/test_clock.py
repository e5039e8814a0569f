"""Seconds from time stamps: strays are replaced, jumps joined, pauses kept."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad_jax.encoders.clock import Clock

STEP = 0.04
EVEN = [STEP * i for i in range(96)]
TWICE = [STEP * i for i in range(192)]


def seconds(stamps: list[float | None], wait: int, **words: float) -> tuple[list[float], Clock]:
    clock = Clock(words.pop("step", STEP), wait=wait, **words)
    found = [one for stamp in stamps for one in clock.add(stamp)]
    return found + clock.close(), clock


def put(**stamps: float | None) -> list[float | None]:
    """EVEN with other stamps at some places, `at30=...`."""
    return [stamps.get(f"at{i}", stamp) for i, stamp in enumerate(EVEN)]


def later(by: float, first: int = 50) -> list[float]:
    """EVEN with all stamps from one place on moved."""
    return [stamp + by * (i >= first) for i, stamp in enumerate(EVEN)]


# name: stamps, the right seconds, strays, jumps, frames without a stamp
CASES = {
    "even": (EVEN, EVEN, 0, 0, 0),
    "begins at 5": ([5 + stamp for stamp in EVEN], EVEN, 0, 0, 0),
    "begins below 0": ([stamp - 1 for stamp in EVEN], EVEN, 0, 0, 0),
    "a stray forward": (put(at30=5.0), EVEN, 1, 0, 0),
    "a stray far forward": (put(at30=95443.7), EVEN, 1, 0, 0),
    "a stray back": (put(at30=0.2), EVEN, 1, 0, 0),
    "a stray below 0": (put(at30=-1e5), EVEN, 1, 0, 0),
    "the last one is a stray": (put(at95=-3.0), EVEN, 1, 0, 0),
    "no stamp": (put(at30=None, at31=None), EVEN, 0, 0, 2),
    "no stamp at first": (put(at0=None), EVEN, 0, 0, 1),
    "no stamps": ([None] * 96, EVEN, 0, 0, 96),
    "not finite": (put(at3=math.nan, at60=math.inf), EVEN, 0, 0, 2),
    "a repeated stamp": (put(at30=EVEN[29]), EVEN, 0, 0, 0),
    "two joined": (EVEN + EVEN, TWICE, 0, 1, 0),
    "ten joined": (EVEN[:20] * 10, TWICE + [STEP * i for i in range(192, 200)], 0, 9, 0),
    "two joined, 1000 s apart": (EVEN + [1000 + s for s in EVEN], TWICE, 0, 1, 0),
    "33 bits ran over": (EVEN + [s - 2**33 / 90000 for s in EVEN], TWICE, 0, 1, 0),
    "set back by 2 s": (later(-2.0), EVEN, 0, 1, 0),
    "set back by half a second": (later(-0.5), EVEN, 0, 1, 0),
    "a pause of 9 s": (later(9.0), later(9.0), 0, 0, 0),
    "a dropped second": (later(1.0), later(1.0), 0, 0, 0),
    "a slower camera": ([*EVEN[:50], *(2 + 0.2 * i for i in range(46))],) * 2 + (0, 0, 0),
}


@pytest.mark.parametrize("wait", [2, 4])
@pytest.mark.parametrize("name", CASES)
def test_seconds(name: str, wait: int) -> None:
    stamps, expected, strays, jumps, missing = CASES[name]
    found, clock = seconds(list(stamps), wait)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (clock.num_strays, clock.num_jumps, clock.num_missing) == (strays, jumps, missing)
    assert clock.num_frames == len(stamps)


def test_a_long_pause_is_one_that_the_container_covers() -> None:
    stamps = later(30.0)
    found, clock = seconds(stamps, 4, end=stamps[-1])
    np.testing.assert_allclose(found, stamps)
    assert not clock.num_jumps
    found, clock = seconds(stamps, 4, end=EVEN[-1])
    np.testing.assert_allclose(found, EVEN, atol=1e-6)
    assert clock.longest_jump == pytest.approx(30.0)
    clock = Clock(STEP)  # the frame before the pause states that it lasts as long
    held = [one for i, stamp in enumerate(stamps) for one in clock.add(stamp, 30.0 * (i == 49))]
    np.testing.assert_allclose(held + clock.close(), stamps)


@pytest.mark.parametrize("gaps", [[0.04, 0.5, 2.0], [0.04, 0.04, 9.0], [0.01, 0.1]])
def test_stamps_that_rise_stay_as_they_are(gaps: list[float]) -> None:
    stamps = np.cumsum(np.random.default_rng(0).choice(gaps, 300)).tolist()
    for wait in (2, 4):
        found, clock = seconds(stamps, wait)
        np.testing.assert_allclose(found, np.array(stamps) - stamps[0])
        assert not clock.num_strays and not clock.num_jumps


@pytest.mark.parametrize("step", [1 / 90000, 1 / 240, 5.0])
def test_a_wrong_guess_of_the_step_does_no_harm(step: float) -> None:
    found, clock = seconds(list(EVEN), 4, step=step)
    np.testing.assert_allclose(found, EVEN)
    assert clock.step == pytest.approx(STEP)


def test_usual_stamps_do_not_wait() -> None:
    clock = Clock(STEP)
    assert [len(clock.add(stamp)) for stamp in EVEN[:5]] == [1] * 5
    assert [len(clock.add(stamp)) for stamp in (3.0, 0.24, 0.28, 0.32)] == [0, 0, 0, 0]
    assert len(clock.add(0.36)) == 5


@given(
    st.lists(st.none() | st.floats() | st.sampled_from([0.0, 0.04, 0.08, 5.0, -2.0]), max_size=60),
    st.sampled_from([0, 2, 4]),
)
def test_any_stamps(stamps: list[float | None], wait: int) -> None:
    """As many seconds as frames, from 0 on, finite, and they never fall."""
    found, _ = seconds(stamps, wait)
    assert len(found) == len(stamps)
    assert not found or found[0] == 0
    assert np.isfinite(found).all() and (np.diff(found) >= 0).all()
