"""Delays and early average precision by hand."""

import numpy as np
import pytest

from refinevad_jax.metrics.latency import alarm_delays, early_average_precision


def truth(num_frames: int, *events: tuple[int, int]) -> np.ndarray:
    frames = np.zeros(num_frames, bool)
    for start, end in events:
        frames[start:end] = True
    return frames


def test_delays_run_to_the_end_of_the_first_segment_with_an_alarm() -> None:
    events = truth(48, (2, 9), (16, 20), (30, 33), (40, 48))
    alarms = np.zeros(12, bool)
    alarms[[0, 3, 5, 8, 11]] = True
    # 2..9 lies in segments 0, 1, 2; 16..20 in 4 alone; 30..33 in 7 and 8; 40..48 in 10 and 11.
    found = alarm_delays(events, alarms, 4)
    np.testing.assert_array_equal(found, [4 - 2, np.nan, 36 - 30, 48 - 40])
    assert len(alarm_delays(truth(48), alarms, 4)) == 0


def test_early_average_precision_sees_the_start_of_events_alone() -> None:
    events = truth(20, (5, 15))
    rising = np.arange(20) / 20
    rising[15:] = 0.0
    # The first two frames of the event score .25 and .3, above every normal frame.
    assert early_average_precision([events], [rising], [2]) == 1.0
    late = np.where(truth(20, (10, 15)), 1.0, 0.0)
    # Two positives among twelve frames that all score 0: what chance gives.
    assert early_average_precision([events], [late], [2]) == pytest.approx(2 / 12)
    assert early_average_precision([events], [late], [100]) > 0.6
    assert np.isnan(early_average_precision([truth(20)], [rising], [2]))
