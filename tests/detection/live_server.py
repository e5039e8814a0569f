"""A source on the network for tests: plain HTTP, which breaks off as it is asked to."""

import contextlib
import http.server
import pathlib
import socket
import struct
import threading
import time
from typing import Any


class LiveServer:
    """Serves a file by HTTP, of `ways` one per connection, the last one again and again.

    `whole` and `cut` state the size; `open` sends all of it and `half` the half without a size, as
    a camera does; `stall` then sends nothing, `reset` cuts the connection; `gone` is an error 503.
    """

    def __init__(self, file: pathlib.Path, *ways: str) -> None:
        content, remaining = file.read_bytes(), list(ways)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words: Any) -> None:
                """Nothing."""

            def do_GET(self) -> None:
                way = remaining.pop(0) if len(remaining) > 1 else remaining[0]
                self.close_connection = True
                self.send_response(503 if way == "gone" else 200)
                if way in ("whole", "cut"):
                    self.send_header("Content-Length", str(len(content)))
                self.send_header("Connection", "close")
                self.end_headers()
                if way == "gone":
                    return
                share = len(content) if way in ("whole", "open") else len(content) // 2
                self.wfile.write(content[:share])
                self.wfile.flush()
                if way == "stall":  # until the client has had enough
                    self.connection.settimeout(20)
                    with contextlib.suppress(OSError):
                        self.connection.recv(1)
                if way == "reset":
                    time.sleep(0.2)
                    option = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.address = f"http://user:SeCrEt@{self.host}/live?token=SeCrEt"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> "LiveServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
