"""Decoding: orientation, times, sizes, damage; every file is made here."""

import fractions
import pathlib
import re
import types
from collections.abc import Iterator

import numpy as np
import pytest

from refinevad_jax.encoders.segments import segment_edges
from refinevad_jax.encoders.video import Video, upright
from refinevad_jax.encoders.video_writer import write_video
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.addresses import shown

av = pytest.importorskip("av", reason="pip install av")


def pictures(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Grey frames that brighten, red in the upper left quarter."""
    frames = []
    for i in range(count):
        frame = np.full((height, width, 3), 40 + 2 * i, np.uint8)
        frame[: height // 2, : width // 2] = (220, 20, 20)
        frames.append(frame)
    return frames


@pytest.fixture
def clip(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "clip.mp4"
    write_video(path, pictures(40), fps=25.0)
    return path


def test_frames_times_and_colours(clip: pathlib.Path) -> None:
    with Video(clip) as video:
        frames = list(video)
    assert len(frames) == video.num_frames == 40
    assert video.fps == 25.0 and not video.warnings
    np.testing.assert_allclose([f.seconds for f in frames], np.arange(40) / 25)
    assert frames[0].pixels.shape == (48, 64, 3) and frames[0].pixels.dtype == np.uint8
    red, grey = frames[20].pixels[5, 5], frames[20].pixels[40, 50]
    assert red[0] > 180 and red[1] < 60
    assert abs(int(grey[0]) - 80) < 8 and abs(int(grey[2]) - 80) < 8


def test_frames_are_decoded_one_at_a_time(clip: pathlib.Path) -> None:
    with Video(clip) as video:
        iterator = iter(video)
        next(iterator)
        assert video.num_frames == 1


def test_variable_frame_rate_keeps_every_frame(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "vfr.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = fractions.Fraction(1, 1000)
        times = [0, 40, 80, 500, 540, 2000, 2040]
        for time, pixels in zip(times, pictures(len(times)), strict=True):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = time, stream.time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    with Video(path) as video:
        seconds = [frame.seconds for frame in video]
    np.testing.assert_allclose(seconds, np.array(times) / 1000)


@pytest.mark.parametrize(("degrees", "red"), [(90, (63, 0)), (-90, (0, 47)), (180, (47, 63))])
def test_upright_turns_counter_clockwise(degrees: int, red: tuple[int, int]) -> None:
    """The red upper left corner goes down, to the right, or across."""
    pixels = upright(pictures(1)[0], degrees)
    assert pixels.shape == ((64, 48, 3) if degrees % 180 else (48, 64, 3))
    assert tuple(pixels[red]) == (220, 20, 20)


def test_display_matrix_of_a_file_is_read(clip: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A telephone held upright writes a matrix into the track header (tkhd), not other pixels."""
    content = bytearray(clip.read_bytes())
    one = (1 << 16).to_bytes(4, "big")
    zero, minus = bytes(4), (-(1 << 16)).to_bytes(4, "big", signed=True)
    unit = one + zero * 3 + one + zero * 3 + (1 << 30).to_bytes(4, "big")
    turned = zero + one + zero + minus + zero * 4 + (1 << 30).to_bytes(4, "big")
    place = content.index(unit, content.index(b"tkhd"))
    content[place : place + 36] = turned
    path = tmp_path / "turned.mp4"
    path.write_bytes(content)
    with Video(path) as video:
        pixels = next(iter(video)).pixels
    assert pixels.shape == (64, 48, 3)
    assert pixels[5, 40, 0] > 180 and pixels[5, 40, 1] < 60  # a quarter clockwise


def test_odd_sizes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "odd.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 33, 17, "yuv444p"
        for pixels in pictures(3, 17, 33):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    with Video(path) as video:
        assert [frame.pixels.shape for frame in video] == [(17, 33, 3)] * 3
    write_video(tmp_path / "even.mp4", pictures(3, 17, 33), fps=25)
    with Video(tmp_path / "even.mp4") as video:
        assert {frame.pixels.shape for frame in video} == {(16, 32, 3)}


def test_damaged_tail_is_counted(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "noise.mkv"
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(40)]
    write_video(path, noise, fps=25)
    content = path.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(content[: len(content) * 6 // 10])
    with Video(cut) as video:
        count = sum(1 for _ in video)
    assert 10 < count < 40

    hurt = bytearray(content)
    hurt[len(hurt) // 2 :] = rng.integers(0, 255, len(hurt) - len(hurt) // 2, np.uint8).tobytes()
    (tmp_path / "hurt.mkv").write_bytes(hurt)
    with Video(tmp_path / "hurt.mkv") as video:
        assert 10 < sum(1 for _ in video) <= 40
        assert video.num_frames < 40 or video.warnings


def test_missing_frames_are_a_warning(clip: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The header comes first, as in files for the web, and the end is cut away."""
    fast = tmp_path / "fast.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(fast), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(40):
            pixels = rng.integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    content = fast.read_bytes()
    fast.write_bytes(content[: len(content) // 2])
    with Video(fast) as video:
        count = sum(1 for _ in video)
    assert 5 < count < 40
    assert f"{40 - count} of 40 frames that the header states are missing" in video.warnings


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """96 frames at 25 per second, in several containers, and each file twice in a row."""
    folder = tmp_path_factory.mktemp("joined")
    for suffix in ("ts", "mkv", "flv", "mp4"):
        write_video(folder / f"a.{suffix}", pictures(96), fps=25)
        (folder / f"aa.{suffix}").write_bytes((folder / f"a.{suffix}").read_bytes() * 2)
    return folder


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_two_recordings_in_one_file_go_on(joined: pathlib.Path, suffix: str) -> None:
    with Video(joined / f"aa.{suffix}") as video:
        seconds = [frame.seconds for frame in video]
    np.testing.assert_allclose(seconds, np.arange(192) / 25, atol=1e-3)
    assert segment_edges(seconds, video.fps)[-1] == pytest.approx(7.68)
    assert video.warnings == ["1 jump of the clock joined (longest 3.84 s)"]


@pytest.mark.parametrize("suffix", ["flv", "mp4"])
def test_a_second_recording_that_ffmpeg_does_not_read_is_named(
    joined: pathlib.Path, suffix: str
) -> None:
    size = (joined / f"a.{suffix}").stat().st_size
    with Video(joined / f"aa.{suffix}") as video:
        assert sum(1 for _ in video) == 96
    assert video.warnings == [f"another recording begins at byte {size} and was not read"]


def test_what_a_header_states_and_a_cut_file_lacks(joined: pathlib.Path) -> None:
    for suffix in ("mkv", "flv"):
        content = (joined / f"a.{suffix}").read_bytes()
        cut = joined / f"cut.{suffix}"
        cut.write_bytes(content[: len(content) * 6 // 10])
        with Video(cut) as video:
            end = list(video)[-1].seconds + 0.04
        (says,) = video.warnings  # Matroska counts from 0, though the first frame is at 0.08
        assert re.fullmatch(rf"ends at {end:.2f} s; the header states 3\.(84|92) s", says)


def write_packets(path: pathlib.Path, stamps: list[int], **streams: int) -> None:
    """H.264 with presentation times in milliseconds, and further streams of so many frames."""
    with av.open(str(path), "w") as container:
        for _ in streams:
            container.add_stream("libx264", rate=25, width=32, height=32)
        stream = container.add_stream("libx264", rate=25, width=64, height=48)
        stream.codec_context.options = {"bf": "0"}
        for other, count in zip(container.streams, streams.values(), strict=False):
            for pixels in pictures(count, 32, 32):
                container.mux(other.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(other.encode())
        packets = []
        for pixels in pictures(len(stamps)):
            packets += stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
        for i, packet in enumerate([*packets, *stream.encode()]):
            packet.time_base = fractions.Fraction(1, 1000)
            packet.pts, packet.dts = stamps[i] + 20000, 40 * i + 10000
            container.mux(packet)


@pytest.mark.parametrize("suffix", ["ts", "mkv", "flv"])
def test_stray_stamps_and_set_clocks_in_files(tmp_path: pathlib.Path, suffix: str) -> None:
    even = [40 * i for i in range(64)]
    for name, stamps, says in [
        ("stray", [s + 3000 * (s == 800) - 4000 * (s == 1600) for s in even], "2 stray time st"),
        ("set", [s - 2000 * (s > 800) for s in even], "1 jump of the clock joined (longest 2.00"),
    ]:
        path = tmp_path / f"{name}.{suffix}"
        write_packets(path, stamps)
        with Video(path) as video:
            seconds = [frame.seconds for frame in video]
        np.testing.assert_allclose(seconds, np.arange(64) / 25, atol=2e-3)
        assert any(one.startswith(says) for one in video.warnings), video.warnings
        assert video.fps == 25 and not any("ends at" in one for one in video.warnings)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_of_two_video_streams_not_the_preview(tmp_path: pathlib.Path, suffix: str) -> None:
    path = tmp_path / f"two.{suffix}"
    write_packets(path, [40 * i for i in range(48)], preview=2)
    with Video(path) as video:
        frames = list(video)
    assert len(frames) == 48 and frames[0].pixels.shape == (48, 64, 3)
    assert "2 video streams; stream 1 was read (64 x 48, h264)" in video.warnings
    late = "the first picture is at 20.00 s of the file; seconds count from there"
    assert (late in video.warnings) == (suffix == "mp4")  # in Matroska both begin there


def test_rates_that_no_video_has_are_measured(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "fast.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000, width=64, height=48)
        for i, pixels in enumerate(pictures(40)):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = 40 * i, fractions.Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    with Video(path) as video:
        assert video.stated_frames == 0
        seconds = [frame.seconds for frame in video]
    assert video.fps == 25 and seconds[-1] == pytest.approx(39 / 25)
    says = "the header states a rate of 1000 frames per second; 25 were measured"
    assert video.warnings == [says]

    write_video(tmp_path / "true.mp4", pictures(40), fps=960)  # a camera of high speed
    with Video(tmp_path / "true.mp4") as video:
        assert sum(1 for _ in video) == 40
    assert video.fps == 960 and not video.warnings


def test_without_stamps_the_rate_is_said(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "raw.264"
    with av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=30, width=64, height=48)
        for pixels in pictures(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    with Video(path) as video:
        assert list(video)[-1].seconds == pytest.approx(19 / 30)  # the pictures state it
    assert video.warnings == ["no time stamps: seconds are counted at 30 frames per second"]


@pytest.mark.parametrize("suffix", ["avi", "asf", "mxf"])
def test_stamps_of_decoding(tmp_path: pathlib.Path, suffix: str) -> None:
    """H.264 with B frames where a container knows no times of presentation."""
    path = tmp_path / f"b.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=48)
        stream.codec_context.options = {"bf": "3", "b_strategy": "0", "g": "25"}
        for pixels in pictures(64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    with Video(path) as video:
        seconds = [frame.seconds for frame in video]
    np.testing.assert_allclose(seconds, np.arange(64) / 25, atol=1e-3)
    assert video.fps == 25 and not video.warnings


def test_a_playlist_without_an_end_is_read_from_its_start(joined: pathlib.Path) -> None:
    pieces = "".join("#EXTINF:0.1,\na.ts\n#EXT-X-DISCONTINUITY\n" for _ in range(5))
    path = joined / "a.m3u8"
    path.write_text(f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n{pieces}")
    with Video(path) as video:
        assert len(list(video)) == 5 * 96
    assert any("its playlist has no further piece" in one for one in video.warnings)


@pytest.mark.parametrize(
    ("number", "says"),
    [(5, r"cannot be read after \d+ frames \(Input/output error\); check the disk"), (1, "")],
)
def test_a_disk_that_fails_is_not_the_end(
    clip: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    with Video(clip) as video:
        packets = list(video._container.demux(video._stream))[:9]

        def broken(stream: object) -> Iterator[object]:
            del stream
            yield from packets
            raise av.error.FFmpegError(number, "Input/output error", str(clip))

        whole = video._container
        stub = types.SimpleNamespace(demux=broken, format=whole.format, close=whole.close)
        monkeypatch.setattr(video, "_container", stub)
        if says:
            with pytest.raises(UserError, match=f"{re.escape(str(clip))}: {says}"):
                list(video)
        else:
            assert len(list(video)) == 9
            assert "reading stopped at 0.32 s (Input/output error)" in video.warnings


def write_audio(path: pathlib.Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        for start in range(0, 44100, 1024):
            sound = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            sound.rate, sound.pts = 44100, start
            container.mux(stream.encode(sound))
        container.mux(stream.encode())


def test_what_is_no_video_is_one_line(tmp_path: pathlib.Path) -> None:
    audio, empty, text = tmp_path / "a.mp4", tmp_path / "e.mp4", tmp_path / "t.mp4"
    write_audio(audio)
    empty.touch()
    text.write_text("not a video\n" * 50)
    for path, words in [
        (audio, "holds audio but no decodable pictures"),
        (empty, "is empty"),
        (text, "no readable video"),
        (tmp_path / "missing.mp4", "no such file"),
        (tmp_path, "is a folder"),
    ]:
        with pytest.raises(UserError, match=words) as caught:
            Video(path)
        assert str(path) in str(caught.value)


def test_addresses_are_advised_and_keep_their_secrets() -> None:
    with pytest.raises(UserError) as caught:
        Video("rtsp://user:p@ss/word@127.0.0.1:9/live?password=word", live=True)
    text = str(caught.value)
    assert text.startswith("rtsp://user:***@127.0.0.1:9/live?***: no video comes from there (")
    assert "word@" not in text and text.endswith(
        "check the address, the network, and user name and password"
    )
    with pytest.raises(UserError, match=r"/dev/video77: no picture from this camera .*connected"):
        Video("/dev/video77", live=True, kind="v4l2")
    assert shown("a b?.mp4") == "a b?.mp4"
    assert shown("rtsp://camera/1") == "rtsp://camera/1"
    for scheme in ("cache:rtsp", "rtmp+tls"):
        assert shown(f"{scheme}://user:pass/w@rd@host/1") == f"{scheme}://user:***@host/1"


def test_a_stream_without_frames(clip: pathlib.Path) -> None:
    content = bytearray(clip.read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start:end] = bytes(end - start)
    clip.write_bytes(content)
    with Video(clip) as video, pytest.raises(UserError, match="no frame could be decoded"):
        list(video)


def test_same_frames_give_the_same_bytes(tmp_path: pathlib.Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        write_video(tmp_path / name, pictures(10), fps=25)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_failed_writing_leaves_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="no frame to write"):
        write_video(tmp_path / "none.mp4", [], fps=25)
    assert not list(tmp_path.iterdir())
