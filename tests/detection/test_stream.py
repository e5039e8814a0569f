"""Lines of a stream, and its scores for a network without smoothing: a bounded past."""

import contextlib
import datetime
import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from refinevad_jax.detection import live_source, stream
from refinevad_jax.detection.detector import Detector
from refinevad_jax.detection.features import encode_video
from refinevad_jax.detection.live_source import LiveSegment
from refinevad_jax.detection.stream import watch
from refinevad_jax.encoders.encoder import VisualEncoder
from refinevad_jax.encoders.segments import Segment
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import SourceLostError, UserError
from refinevad_jax.evaluation.causal import CausalScorer
from tests.detection.conftest import WIDTH, coloured
from tests.detection.rtsp_server import RtspServer

WINDOW = 6


def offline(detector: Detector, features: np.ndarray) -> np.ndarray:
    """Causal scores of a video that has ended: [T], the last score of each window of [N, T, D]."""
    ends = range(1, features.shape[1] + 1)
    windows = [features[:, max(0, end - WINDOW) : end] for end in ends]
    return np.array([detector.score(window).scores[-1] for window in windows])


def test_streaming_equals_the_offline_causal_result(detector: Detector) -> None:
    features = np.random.default_rng(0).normal(size=(2, 20, WIDTH)).astype(np.float32)
    scorer = CausalScorer(detector.causal(WINDOW))
    streamed = [scorer.push(features[:, t])[0] for t in range(20)]
    np.testing.assert_allclose(streamed, offline(detector, features), atol=1e-5)
    whole = detector.score(features[:, 20 - WINDOW :]).scores[-1]
    np.testing.assert_allclose(streamed[-1], whole, atol=1e-5)
    assert np.ptp(streamed) > 1e-3


def test_the_past_is_bounded_and_the_future_unknown(detector: Detector) -> None:
    features = np.random.default_rng(1).normal(size=(1, 20, WIDTH)).astype(np.float32)
    before = offline(detector, features)
    changed = features.copy()
    changed[:, 10] += 5
    after = offline(detector, changed)
    np.testing.assert_array_equal(after[:10], before[:10])
    np.testing.assert_array_equal(after[10 + WINDOW :], before[10 + WINDOW :])
    assert (after[10 : 10 + WINDOW] != before[10 : 10 + WINDOW]).any()


def test_lines_of_a_file(detector: Detector, encoder: VisualEncoder, clip: pathlib.Path) -> None:
    threshold = detector.threshold(0.5, None)
    lines = [
        json.loads(line)
        for line in watch(str(clip), detector, encoder, threshold, window=WINDOW, num_crops=1)
    ]
    found = encode_video(clip, encoder, num_crops=1, batch_size=4)
    expected = offline(detector, found.features)
    np.testing.assert_allclose([line["score"] for line in lines], expected, atol=1e-5)
    assert [line["segment"] for line in lines] == list(range(9))
    assert [line["start_seconds"] for line in lines] == [round(0.64 * i, 3) for i in range(9)]
    assert all(line["alarm"] == (line["score"] >= 0.5) for line in lines)
    assert all(line["latency_ms"] > 0 for line in lines)
    clocks = [datetime.datetime.fromisoformat(line["clock"]) for line in lines]
    assert clocks == sorted(clocks) and clocks[0].tzinfo == datetime.UTC
    assert set(lines[0]["categories"]) == {"A", "B", "C"}


def test_a_gap_is_in_the_row_after_it(
    detector: Detector, encoder: VisualEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Source(contextlib.nullcontext[None]):
        def __init__(self, source: str, reconnect: float) -> None:
            super().__init__()
            assert (source, reconnect) == ("rtsp://camera", 60.0)

        def __enter__(self) -> Any:
            return self

        def segments(self, num_crops: int) -> Iterator[LiveSegment]:
            for start, gap in [(0.0, 0.0), (8.0, 7.3604)]:
                crops = np.zeros((num_crops, 16, 224, 224, 3), np.uint8)
                yield LiveSegment(Segment(crops, start + np.arange(16) / 25), time.monotonic(), gap)

    monkeypatch.setattr(stream, "LiveSource", Source)
    threshold = detector.threshold(0.5, None)
    words = {"window": WINDOW, "num_crops": 1, "reconnect": 60.0}
    rows = [json.loads(r) for r in watch("rtsp://camera", detector, encoder, threshold, **words)]
    assert [row.get("gap_seconds") for row in rows] == [None, 7.36]
    assert [row["start_seconds"] for row in rows] == [0.0, 8.0]


def test_a_camera_on_the_network(
    detector: Detector, encoder: VisualEncoder, tmp_path: pathlib.Path
) -> None:
    pytest.importorskip("av", reason="pip install av")
    write_video(tmp_path / "clip.ts", coloured(16 * 9 + 5), fps=25)
    found = encode_video(tmp_path / "clip.ts", encoder, num_crops=1, batch_size=4)
    threshold = detector.threshold(0.5, None)
    with RtspServer(tmp_path / "clip.ts") as server:
        lines = watch(server.address, detector, encoder, threshold, window=WINDOW, num_crops=1)
        scores = []
        with pytest.raises(SourceLostError, match=r"broke off at 5\.92 s, after 148 frames"):
            scores += (json.loads(line)["score"] for line in lines)
    assert server.asked == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]  # no attempt by datagrams
    np.testing.assert_allclose(scores, offline(detector, found.features), atol=1e-5)


def test_a_number_is_a_camera(
    detector: Detector, encoder: VisualEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No camera is here: this shows what is opened, not that one plays."""
    opened = []

    def note(address: str, *, live: bool, kind: str) -> None:
        opened.append((address, live, kind))
        raise UserError(f"{address}: no readable video")

    monkeypatch.setattr(live_source, "Video", note)
    with pytest.raises(UserError, match="/dev/video2"):
        list(watch("2", detector, encoder, detector.threshold(0.5, None), window=4, num_crops=1))
    assert opened == [("/dev/video2", True, "v4l2")]


def test_a_source_that_is_not_there(detector: Detector, encoder: VisualEncoder) -> None:
    pytest.importorskip("av", reason="pip install av")
    threshold = detector.threshold(0.5, None)
    with pytest.raises(UserError, match="/no/such/file: no such file; check the path"):
        list(watch("/no/such/file", detector, encoder, threshold, window=4, num_crops=1))
