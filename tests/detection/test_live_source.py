"""A live source that breaks off is no source that has ended, and may come back."""

import io
import os
import pathlib
import re
import threading
import time

import numpy as np
import pytest
from PIL import Image

from refinevad_jax.detection import live_source
from refinevad_jax.detection.live_source import LiveSegment, LiveSource
from refinevad_jax.encoders import video
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import SourceLostError, UserError
from tests.detection.conftest import coloured
from tests.detection.live_server import LiveServer

pytest.importorskip("av", reason="pip install av")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "LIVE_TIMEOUT_S", 1.0)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """96 frames that no two are equal, so that half of the bytes are about half of the frames."""
    path = tmp_path_factory.mktemp("live") / "a.ts"
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    write_video(path, [np.roll(noise, i, axis=1) for i in range(96)], fps=25)
    return path


def segments(source: str, reconnect: float = 0.0) -> list[LiveSegment]:
    with LiveSource(source, reconnect) as live:
        return list(live.segments(1))


def times(found: list[LiveSegment]) -> list[float]:
    return [round(float(one.segment.seconds[0]), 2) for one in found]


def test_what_ends(stream: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file, two joined, and a recording on the network, whose size is stated."""
    even = [round(0.64 * i, 2) for i in range(12)]
    assert times(segments(str(stream))) == even[:6]
    with LiveServer(stream, "whole") as server:
        assert times(segments(server.address)) == even[:6]
    assert not capsys.readouterr().err
    twice = stream.with_name("twice.ts")
    twice.write_bytes(stream.read_bytes() * 2)
    assert times(segments(str(twice))) == even
    said = capsys.readouterr().err
    assert "1 jump of the clock joined (longest 3.84 s)" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("way", "reason", "cure"),
    [
        ("open", "Input/output error", "let --reconnect=SECONDS wait until it comes back"),
        ("half", "Input/output error", "let --reconnect=SECONDS wait until it comes back"),
        ("stall", "nothing came for 2 s", "check the source and the network"),
        (
            "reset",
            "Connection reset by peer|Input/output error",
            "check the source and the network",
        ),
        ("cut", "Input/output error", "it is a recording: fetch it whole, and give the file"),
    ],
)
def test_what_breaks_off(
    stream: pathlib.Path, way: str, reason: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "stall":  # all others end long before the time is up, however busy the machine
        monkeypatch.setattr(video, "LIVE_TIMEOUT_S", 2.0)
    with LiveServer(stream, way) as server, pytest.raises(SourceLostError) as caught:
        segments(server.address)
    text = str(caught.value)
    assert text.startswith(f"http://user:***@{server.host}/live?***: broke off at ")
    assert re.search(rf"frames \(({reason})\); ", text) and cure in text
    assert "SeCrEt" not in text


def test_a_source_comes_back(
    stream: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time goes on by the clock of the computer, and no segment spans the gap."""
    monkeypatch.setattr(live_source, "_FIRST_WAIT_S", 0.1)
    found: list[LiveSegment] = []
    with (
        LiveServer(stream, "half", "gone", "half", "gone") as server,
        pytest.raises(SourceLostError, match=r"did not come back in 2 s; check the source"),
        LiveSource(server.address, reconnect=2.0) as live,
    ):
        found.extend(live.segments(1))
    gaps = [one.gap_seconds for one in found]
    (back,) = [i for i, gap in enumerate(gaps) if gap]
    assert 0.3 <= gaps[back] < 2.1
    lost = capsys.readouterr().err
    first, second, *_ = lost.splitlines()
    assert first.startswith("lost: ") and first.endswith("; trying again for 2 s")
    assert second.startswith("back: ") and "SeCrEt" not in lost
    last_seen = float(first.partition("broke off at ")[2].split()[0])
    assert times(found)[back] == pytest.approx(last_seen + gaps[back], abs=0.05)
    steps = [np.diff(one.segment.seconds).max() for one in found]
    assert max(steps) == pytest.approx(0.04, abs=1e-3)


def test_pipes(stream: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The end of a pipe does not tell whether its writer has finished or was killed."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = stream.read_bytes()
    for share, frames in [(len(content), 96), (len(content) // 2, None)]:
        writer = threading.Thread(target=pipe.write_bytes, args=(content[:share],))
        writer.start()
        with pytest.raises(SourceLostError, match="has ended or was killed") as caught:
            segments(str(pipe))
        writer.join()
        assert frames is None or f"after {frames} frames" in str(caught.value)


@pytest.mark.usefixtures("impatient")
def test_a_pipe_that_stalls(stream: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match=r"pipe: no video comes through .*nothing came in 1 s"):
        segments(str(pipe))
    ended = threading.Event()

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(stream.read_bytes()[:40000])
            ended.wait(20)

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(SourceLostError, match=r"nothing came for 1 s"):
        segments(str(pipe))
    ended.set()
    writer.join()


def test_a_file_cut_short_is_said(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mkv"
    write_video(path, coloured(96), fps=25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert segments(str(path))
    assert "the header states 3.84 s" in capsys.readouterr().err


def test_what_does_not_come_back(stream: pathlib.Path) -> None:
    with LiveServer(stream, "whole") as server:
        for source in (str(stream), server.address):
            with pytest.raises(UserError, match="does not come back after its end; leave the flag"):
                segments(source, 5.0)


def test_a_camera_without_time_stamps_has_those_of_arrival(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JPEG pictures one after the other, 100 per second, of which FFmpeg would make 25."""
    pipe, picture = tmp_path / "pipe", io.BytesIO()
    os.mkfifo(pipe)
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(picture, "JPEG")
    one = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {picture.tell()}\r\n\r\n".encode()

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            for _ in range(80):
                file.write(one + picture.getvalue() + b"\r\n")
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    began = time.monotonic()
    writer.start()
    found: list[LiveSegment] = []
    with LiveSource(str(pipe)) as live, pytest.raises(SourceLostError):
        found.extend(live.segments(1))
    writer.join()
    took = time.monotonic() - began  # longer than 25 per second take if the machine is busy
    assert found[-1].segment.seconds[-1] < max(0.9 * 79 / 25, took)
    assert "no time stamps: seconds are those of arrival" in capsys.readouterr().err
