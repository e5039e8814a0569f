"""A camera on the network for one test: an RTSP server that plays one MPEG transport stream."""

import pathlib
import re
import socket
import struct
import threading
import time

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 33\r\na=control:track1\r\n"
)
PACKET = 7 * 188  # transport packets of one RTP packet


class RtspServer:
    """Serves one client over TCP, as fast as it reads, then closes the connection.

    Attributes:
        address: what the client opens.
        asked: methods in the order they came.
    """

    def __init__(self, stream: pathlib.Path) -> None:
        self._content = stream.read_bytes()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(60)
        self.address = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/live"
        self.asked: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "RtspServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(timeout=60)

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        client.settimeout(60)
        with client:
            self._shake_hands(client)
            self._play(client)

    def _shake_hands(self, client: socket.socket) -> None:
        """Answers until the client wants to see something. Raises OSError if it goes away."""
        with client.makefile("rb") as lines:
            while True:
                request = []
                while (line := lines.readline().decode().strip()) or not request:
                    if not line:
                        raise ConnectionError("the client has gone")
                    request.append(line)
                self.asked.append(request[0].split()[0])
                number = next(one for one in request if one.lower().startswith("cseq"))
                client.sendall(self._answer("\r\n".join(request), number))
                if self.asked[-1] == "PLAY":
                    return

    def _answer(self, request: str, number: str) -> bytes:
        head, body = f"RTSP/1.0 200 OK\r\n{number}\r\n", ""
        if self.asked[-1] == "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif self.asked[-1] == "DESCRIBE":
            body = SDP
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif not re.search("interleaved", request) and self.asked[-1] == "SETUP":
            head = f"RTSP/1.0 461 Unsupported Transport\r\n{number}\r\n"  # datagrams
        elif self.asked[-1] == "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        else:
            head += "Session: 1\r\n"
        return (head + "\r\n" + body).encode()

    def _play(self, client: socket.socket) -> None:
        for i, start in enumerate(range(0, len(self._content), PACKET)):
            client.sendall(packed(i, self._content[start : start + PACKET]))
        time.sleep(0.2)  # the last packets are read before the end is


def packed(number: int, content: bytes) -> bytes:
    """Transport packets as one RTP packet within an RTSP connection."""
    rtp = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, 90 * number & 0xFFFFFFFF, 1) + content
    return b"$" + struct.pack(">BH", 0, len(rtp)) + rtp
