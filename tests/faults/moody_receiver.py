"""A webhook receiver that fails at random, and remembers what it has taken."""

import http.server
import json
import random
import threading
import time
from typing import Any


class MoodyReceiver:
    """Attributes: address, of the webhook; taken, message names with how often each has come; ends,
    ids of events whose end has come; moody, whether it fails at all; failed, how often it did."""

    def __init__(self, seed: int, slow: float = 2.0) -> None:
        mood, outer = random.Random(seed), self
        self.taken: dict[str, int] = {}
        self.ends: dict[str, str] = {}
        self.moody, self.failed = True, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *words: Any) -> None:
                """Nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                chance = mood.random() if outer.moody else 1.0
                outer.failed += chance < 0.5
                if chance < 0.1:
                    return self.connection.close()  # no answer
                if chance < 0.15:
                    time.sleep(slow)
                if chance < 0.4:
                    return self.send_error(503)
                # Below a half the message is taken, but the sender does not learn of it.
                name, content = self.headers["X-Refinevad-Message"], json.loads(body)
                outer.taken[name] = outer.taken.get(name, 0) + 1
                if content["message"] == "end":
                    outer.ends[content["id"]] = content["ended_by"]
                self.send_response(204 if chance >= 0.5 else 500)
                self.end_headers()
                return None

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # the sender has given up
        self.address = f"http://127.0.0.1:{self._server.server_port}/events"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> "MoodyReceiver":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
