"""A receiver that answers in many ways, secrets, and a certificate that nobody vouches for."""

import hashlib
import hmac
import http.server
import pathlib
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from refinevad_jax.cameras import delivery
from refinevad_jax.cameras.delivery import Delivery, RefusedError, UndeliveredError
from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.cameras.outbox import Outbox
from refinevad_jax.cameras.webhook import KEY, TOKEN, Webhook
from refinevad_jax.errors import UserError


class Receiver(http.server.ThreadingHTTPServer):
    """Attributes: answers, codes still to be given, the last one again and again; seen, headers and
    bodies of what came."""

    def __init__(self) -> None:
        receiver = self
        self.answers, self.seen = [204], []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *words: Any) -> None:
                """Nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.seen.append((dict(self.headers), body))
                answers = receiver.answers
                self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            do_GET = do_POST  # noqa: N815

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}/events"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_what_is_posted(receiver: Receiver) -> None:
    webhook = Webhook(receiver.address, {TOKEN: "SeCrEt", KEY: "key"})
    webhook.send("e1-start", '{"score": 1}')
    ((headers, body),) = receiver.seen
    assert body == b'{"score": 1}' and headers["Authorization"] == "Bearer SeCrEt"
    assert headers["X-Refinevad-Message"] == "e1-start"
    signed = hmac.new(b"key", f"{headers['X-Refinevad-Time']}.".encode() + body, hashlib.sha256)
    assert headers["X-Refinevad-Signature"] == f"sha256={signed.hexdigest()}"
    assert abs(int(headers["X-Refinevad-Time"]) - time.time()) < 60


def test_answers(receiver: Receiver) -> None:
    webhook = Webhook(receiver.address, {TOKEN: "SeCrEt"})
    for code, kind in [(503, UndeliveredError), (401, UndeliveredError), (413, RefusedError)]:
        receiver.answers = [code]
        with pytest.raises(kind, match=f"answer {code}"):
            webhook.send("a", "{}")
    receiver.answers = [307, 204]  # a secret goes to no other address
    with pytest.raises(UndeliveredError, match="answer 307"):
        webhook.send("a", "{}")
    assert len(receiver.seen) == 4
    receiver.answers = [204]
    webhook.send("a", "{}")
    with pytest.raises(UndeliveredError, match="Connection refused"):
        Webhook("http://127.0.0.1:9/", {}).send("a", "{}")


def test_delivery_tries_again_until_it_arrives(
    receiver: Receiver,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(delivery, "FIRST_WAIT_S", 0.01)
    receiver.answers = [503, 503, 204, 413, 204]
    outbox = Outbox(tmp_path, ["webhook"], 10)
    thread = Delivery(outbox, Webhook(receiver.address, {}))
    for number in range(3):
        outbox.put(LiveEvent(f"e{number}", "gate", 1.0, 2.0, "", 0.5, None, "score"))
    thread.close(5.0)
    assert outbox.count("webhook") == 0
    assert (thread.num_delivered, thread.num_refused) == (2, 1)
    names = [headers["X-Refinevad-Message"] for headers, _ in receiver.seen]
    assert names == ["e0-end"] * 3 + ["e1-end", "e2-end"]
    said = capsys.readouterr().err
    assert said.count("a message was not delivered (answer 503)") == 1
    assert said.count("takes messages again") == 1 and "refuses a message" in said
    receiver.answers = [500]
    outbox.put(LiveEvent("e9", "gate", 1.0, 2.0, "", 0.5, None, "score"))
    Delivery(outbox, Webhook(receiver.address, {})).close(0.05)
    assert "messages that wait for the next start: 1" in capsys.readouterr().err
    assert outbox.count("webhook") == 1
    outbox.close()


def test_a_certificate_has_to_be_vouched_for(receiver: Receiver, tmp_path: pathlib.Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("makes its certificate with openssl")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(
        ["openssl", *words.split(), *files], cwd=tmp_path, check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    receiver.handle_error = lambda *_: None
    address = receiver.address.replace("http:", "https:")
    with pytest.raises(UndeliveredError, match=r"(?i)certificate"):
        Webhook(address, {TOKEN: "SeCrEt"}).send("a", "{}")
    assert not receiver.seen
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        Webhook(address, {}).send("a", "{}")
    assert len(receiver.seen) == 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://example.com/a", "is not encrypted, and leads to another computer"),
        ("ftp://example.com/a", "is not an address; give https://HOST/PATH"),
        ("https:///a", "is not an address"),
        ("https://user:SeCrEt@example.com/a", "holds a user name"),
        ("https://example.com:99999/a", "--webhook=https://example.com:99999/a: Port out of"),
    ],
)
def test_addresses_that_are_refused(address: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Webhook(address, {})
    assert "SeCrEt" not in str(caught.value)
    assert Webhook("http://example.com/a", {}, plain=True) and Webhook("http://[::1]:80/a", {})
    with pytest.raises(UserError, match=TOKEN):
        Webhook("https://example.com/a", {TOKEN: "a\r\nb: c"})
