"""MQTT to a broker of our own, which knows just what is needed here."""

import json
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from refinevad_jax.cameras import mqtt
from refinevad_jax.cameras.delivery import UndeliveredError
from refinevad_jax.cameras.mqtt import PASSWORD, USER, Mqtt
from refinevad_jax.errors import UserError

pytest.importorskip("paho.mqtt.client", reason="pip install paho-mqtt")


class Broker:
    """Attributes: address; published, topics and messages; code, of the answer to a connection, 0
    for yes; answers, whether a message is acknowledged; names, user names and passwords given."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}/cameras/events"
        self.published: list[tuple[str, bytes]] = []
        self.hello = b""
        self.code, self.answers = 0, True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, client.makefile("rb") as stream:
                while packet := self._read(stream):
                    self._answer(client, *packet)

    def _read(self, stream) -> tuple[int, bytes] | None:
        try:
            head = stream.read(1)
            size = shift = 0
            while head:
                (byte,) = stream.read(1)
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return head[0], stream.read(size)
        except (OSError, ValueError):
            pass
        return None

    def _answer(self, client: socket.socket, kind: int, body: bytes) -> None:
        if kind >> 4 == 1:
            self.hello = body
            client.sendall(bytes([0x20, 2, 0, self.code]))
        elif kind >> 4 == 3:
            (size,) = struct.unpack(">H", body[:2])
            assert (kind >> 1) & 3 == 1  # quality of service
            self.published.append((body[2 : 2 + size].decode(), body[4 + size :]))
            if self.answers:
                client.sendall(bytes([0x40, 2]) + body[2 + size : 4 + size])

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def broker() -> Iterator[Broker]:
    found = Broker()
    yield found
    found.close()


def test_what_is_published(broker: Broker) -> None:
    receiver = Mqtt(broker.address, {USER: "camera", PASSWORD: "SeCrEt"})
    receiver.send("e1-start", json.dumps({"id": "e1"}))
    receiver.send("e1-end", json.dumps({"id": "e1"}))
    receiver.close()
    assert broker.published == [("cameras/events", b'{"id": "e1"}')] * 2
    assert broker.hello.endswith(b"\x00\x06camera\x00\x06SeCrEt")


def test_trouble_is_said_and_the_next_try_begins_anew(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "TIMEOUT_S", 0.2)
    receiver = Mqtt(broker.address, {})
    broker.code = 5
    with pytest.raises(UndeliveredError, match="Not authorized"):
        receiver.send("a", "{}")
    broker.code, broker.answers = 0, False
    with pytest.raises(UndeliveredError, match=r"no answer in 0\.2 s"):
        receiver.send("a", "{}")
    broker.answers = True
    receiver.send("b", "{}")
    receiver.close()
    assert len(broker.published) == 2  # the library sends nothing again by itself
    with pytest.raises(UndeliveredError, match="refused"):
        Mqtt("mqtt://127.0.0.1:9/a", {}).send("a", "{}")
    assert not [one for one in threading.enumerate() if "paho" in one.name]


def test_addresses_that_are_refused() -> None:
    for address, message in [
        ("mqtt://example.com/a", "is not encrypted"),
        ("mqtts://example.com", "names no topic"),
        ("mqtts://example.com/a/#", "names no topic"),
        ("https://example.com/a", "give mqtts://HOST/PATH"),
    ]:
        with pytest.raises(UserError, match=message):
            Mqtt(address, {})
