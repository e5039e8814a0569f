"""A camera for the soak: an RTSP server that plays for ever, and what can go wrong with it."""

import contextlib
import fractions
import io
import pathlib
import random
import socket
import struct
import threading
import time
from typing import Any

from tests.detection.rtsp_server import PACKET, RtspServer, packed

RATE = 25
FAULTS = ("stall", "reset", "garbage", "clock back", "clock forward", "size change")


class LiveCamera(RtspServer):
    """Plays clips at 25 frames per second, one client after the other, until it is closed.

    Attributes:
        num_clients: that began to play.
        injected: how many faults of each kind have been played.
    """

    def __init__(self, clips: list[pathlib.Path], seed: int, *, stall: float = 4.0) -> None:
        """clips: of several sizes, which play in a loop; stall: seconds of silence."""
        self._clips = [_packets(clip) for clip in clips]
        self._clip = seed % len(clips)
        self._random = random.Random(seed)
        self._stall = stall
        self._offset = 0  # of time stamps, in frames
        self._faults: list[str] = []
        self._closing = threading.Event()
        self.num_clients = 0
        self.injected: dict[str, int] = {}
        super().__init__(clips[0])

    def inject(self, fault: str) -> None:
        """Lets something go wrong as soon as the camera plays. fault: one of FAULTS."""
        self._faults.append(fault)

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        super().__exit__()

    def _serve(self) -> None:
        self._listener.settimeout(0.2)
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            client.settimeout(20)
            with client, contextlib.suppress(OSError):
                self._shake_hands(client)
                self.num_clients += 1
                self._play(client)

    def _play(self, client: socket.socket) -> None:
        number = 0
        while not self._closing.is_set():
            sink = _Sink(client, number)
            template, packets = self._clips[self._clip]
            with _muxer(sink, template) as (container, stream):
                clip = self._clip
                with contextlib.suppress(_NewClockError):
                    while clip == self._clip and not self._closing.is_set():
                        self._loop(client, sink, container, stream, packets)
            number = sink.number

    def _loop(
        self, client: socket.socket, sink: "_Sink", container: Any, stream: Any, packets: list[Any]
    ) -> None:
        """Plays a clip once, and faults that are due."""
        import av

        start = time.monotonic()
        for place, (content, is_key, pts, dts) in enumerate(packets):
            if self._closing.wait(max(0.0, start + place / RATE - time.monotonic())):
                return
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, fractions.Fraction(1, RATE)
            packet.pts, packet.dts, packet.is_keyframe = (
                pts + self._offset,
                dts + self._offset,
                is_key,
            )
            container.mux(packet)
            sink.send()
            while self._faults:
                start += self._fault(self._faults.pop(0), client)
        self._offset += len(packets)

    def _fault(self, fault: str, client: socket.socket) -> float:
        """Lets it happen; how many seconds that took."""
        self.injected[fault] = self.injected.get(fault, 0) + 1
        began = time.monotonic()
        if fault == "stall":
            self._closing.wait(self._stall)
        elif fault == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            raise ConnectionError("reset")
        elif fault == "garbage":
            for number in range(40):
                client.sendall(packed(number, self._random.randbytes(PACKET)))
        elif fault == "size change":
            self._clip = (self._clip + 1) % len(self._clips)
        else:  # the muxer wants stamps that rise, so the clock changes between two of them
            self._offset += RATE * (3600 if fault == "clock forward" else -1800)
            raise _NewClockError
        return time.monotonic() - began


class _NewClockError(Exception):
    """Time stamps go on elsewhere."""


class _Sink(io.RawIOBase):
    """Takes what a muxer writes and sends it in RTP packets."""

    def __init__(self, client: socket.socket, number: int) -> None:
        super().__init__()
        self._client, self._waiting, self.number = client, b"", number

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._waiting += bytes(content)
        return len(content)

    def send(self) -> None:
        """Sends what waits."""
        for start in range(0, len(self._waiting), PACKET):
            self._client.sendall(packed(self.number, self._waiting[start : start + PACKET]))
            self.number += 1
        self._waiting = b""


@contextlib.contextmanager
def _muxer(sink: _Sink, template: pathlib.Path) -> Any:
    import av

    source = av.open(str(template))
    container = av.open(
        sink, "w", format="mpegts", options={"flush_packets": "1", "pat_period": "0.5"}
    )
    try:
        yield container, container.add_stream_from_template(source.streams.video[0])
    finally:
        with contextlib.suppress(OSError, av.FFmpegError):
            container.close()
        source.close()


def _packets(clip: pathlib.Path) -> tuple[pathlib.Path, list[tuple[bytes, bool, int, int]]]:
    """The packets of a clip: content, whether a key frame, stamps in frames."""
    import av

    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        found = [packet for packet in container.demux(stream) if packet.size]
        assert stream.time_base
        step = fractions.Fraction(1, RATE) / stream.time_base
        first = found[0].dts
        return clip, [
            (
                bytes(packet),
                packet.is_keyframe,
                round((packet.pts - first) / step),
                round((packet.dts - first) / step),
            )
            for packet in found
        ]
