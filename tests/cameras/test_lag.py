"""How late pictures are, by hand."""

import numpy as np
import pytest

from refinevad_jax.cameras.lag import Lag


def lag_of(stamps: np.ndarray, came: np.ndarray) -> Lag:
    lag, asked = Lag(), came[0]
    for stamp, moment in zip(stamps, came, strict=True):
        lag.add(stamp, asked, moment)
        asked = moment
    return lag


def test_reading_that_is_slower_than_the_camera_falls_behind() -> None:
    stamps = np.arange(100) / 25
    assert lag_of(stamps, 70 + stamps).seconds == pytest.approx(0, abs=1e-6)
    assert lag_of(stamps, 70 + stamps / 2).seconds == 0  # a burst at the start
    assert lag_of(stamps, 70 + 1.5 * stamps).seconds == pytest.approx(2 - 0.02, abs=2e-3)
    catches_up = np.append(70 + 1.5 * stamps[:50], 71.0 + stamps[50:])
    assert lag_of(stamps, catches_up).seconds == pytest.approx(1, abs=0.01)


def test_a_pause_and_a_slow_clock_are_not_reading() -> None:
    stamps = np.arange(100) / 25
    came = 70 + stamps
    came[40:] += 5  # the camera stood still, and its time too
    assert lag_of(stamps, came).seconds == pytest.approx(0, abs=1e-6)
    hours = np.arange(0, 36_000, 0.5)
    assert lag_of(hours, hours * (1 + 1e-4)).seconds == pytest.approx(0, abs=1e-6)
