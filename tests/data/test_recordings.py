"""Features less the median of their recording: hand values, zeros, files, streams."""

import dataclasses
import pathlib

import numpy as np
import pytest

from refinevad_jax.data import recordings
from refinevad_jax.data.bags import Bag, read_split
from refinevad_jax.data.recordings import (
    NEWEST,
    FromMedian,
    StreamMedian,
    from_recordings,
    in_company,
    less_median,
    median_of,
)

WIDTHS = (1, 2)


def bag(rows: list[list[float]], recording: str = "", anomalous: bool = False) -> Bag:
    features = np.array([rows], np.float16)
    return Bag("v", "", np.array([anomalous]), features, 0, 0.0, np.zeros((0, 3)), False, recording)


def test_a_video_that_is_anomalous_throughout_is_told_by_its_recording() -> None:
    # The second video lies 4 above the others of its camera in every segment. The second modality
    # is absent twice: it stays out of the median, 6 and 8, and stays absent.
    bags = [
        bag([[1, 5, 8], [2, 0, 0]], "cam"),
        bag([[6, 0, 0], [6, 7, 8]], "cam", anomalous=True),
        bag([[3, 6, 8], [2, 6, 9], [1, 6, 0]], "cam"),
        bag([[6, 1, 1], [6, 1, 1]]),
        bag([[6, 3, 1], [8, 1, 1]]),
    ]
    found = [one.features[0].tolist() for one in from_recordings(bags, WIDTHS)]
    assert found == [
        [[-1, -1, 0], [0, 0, 0]],
        [[4, 0, 0], [4, 1, 0]],
        [[1, 0, 0], [0, 0, 1], [-1, 0, -8]],
        [[0, 0, 0], [0, 0, 0]],  # each of these is its own recording
        [[-1, 1, 0], [1, -1, 0]],
    ]
    assert in_company(bags) == 3 and in_company([*bags[2:], bags[3]]) == 0


def test_videos_in_files_are_converted_when_they_are_read(tiny_data: pathlib.Path) -> None:
    found = []
    for memory_gb in (1.0, 0.0):
        bags = read_split(str(tiny_data), "tiny", "val", memory_gb=memory_gb)
        bags = [
            dataclasses.replace(one, recording="ab"[index % 2]) for index, one in enumerate(bags)
        ]
        found.append(from_recordings(bags, (16, 8)))
    of_one = np.concatenate([one.features for one in found[0][::2]], axis=1).astype(np.float32)
    assert np.abs(np.median(of_one, axis=1)).max() < 2e-3
    columns = np.arange(3, 20)
    for held, stored in zip(*found, strict=True):
        assert isinstance(stored.features, FromMedian)
        assert stored.features.shape == held.features.shape
        assert held.features.dtype == stored.features.dtype == np.float16
        for index in (slice(None), 0, slice(1, 2), (..., columns)):
            np.testing.assert_array_equal(stored.features[index], held.features[index])


def test_what_does_not_fit_float16_is_its_largest_value() -> None:
    bags = [bag([[60000.0, 1, 1]] * 2, "cam"), bag([[-60000.0, 1, 1]], "cam")]
    assert from_recordings(bags, WIDTHS)[1].features[0].tolist() == [[-65504, 0, 0]]


def test_of_a_long_recording_every_second_segment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MOST", 3)
    rows = [[[float(value), 1, 1] for value in part] for part in ((1, 50, 2), (60, 6))]
    found = from_recordings([bag(part, "cam") for part in rows], WIDTHS)
    assert found[0].features[0, :, 0].tolist() == [-1, 48, 0]  # of 1, 2 and 6


def test_a_stream_has_the_median_of_its_newest_segments() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2, NEWEST + 200, 3)).astype(np.float16)
    rows[:, ::3, 1:] = 0  # without evidence of the second modality
    stream, found = StreamMedian(WIDTHS), []
    for segment in range(rows.shape[1]):
        found.append(stream.push(rows[:, segment]))
    for length in (1, 2, 16):  # at first with every segment
        expected = median_of(rows[:, :length], WIDTHS)
        np.testing.assert_array_equal(found[length - 1], expected)
    changes = [i for i in range(1, len(found)) if found[i] is not found[i - 1]]
    assert max(np.diff(changes)) == NEWEST // 16
    last = rows[:, changes[-1] + 1 - NEWEST : changes[-1] + 1].astype(np.float32)
    last[..., 1:][(last[..., 1:] == 0).all(axis=-1)] = np.nan
    np.testing.assert_allclose(found[-1], np.nanmedian(last, axis=1, keepdims=True), rtol=1e-6)
    assert less_median(rows, found[-1], WIDTHS)[0, 0].tolist()[1:] == [0, 0]
