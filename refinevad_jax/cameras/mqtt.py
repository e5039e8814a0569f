"""MQTT: every message is published to one topic with quality of service 1. Needs paho-mqtt."""

import contextlib
import ssl
import threading
from collections.abc import Mapping
from typing import Any

from refinevad_jax.cameras.delivery import UndeliveredError
from refinevad_jax.cameras.endpoint import read_endpoint
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.addresses import shown

USER, PASSWORD = "REFINEVAD_MQTT_USER", "REFINEVAD_MQTT_PASSWORD"
TIMEOUT_S = 10.0
_PORTS = {"mqtts": 8883, "mqtt": 1883}


class Mqtt:
    """Publishes messages to `mqtts://HOST[:PORT]/TOPIC`.

    One connection is kept. After any trouble it is given up, with all that the library would send
    again by itself, because the outbox sends again.
    """

    name = "mqtt"

    def __init__(self, address: str, secrets: Mapping[str, str], *, plain: bool = False) -> None:
        """Connects to nothing yet.

        secrets: the environment, of which USER and PASSWORD count; plain: mqtt is accepted, not to
        this computer alone. Raises UserError for another address, or without paho-mqtt.
        """
        parts = read_endpoint("mqtt", address, "mqtts", "mqtt", plain=plain)
        self.shown = f"mqtt {shown(address)}"
        self._host, self._port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._is_safe = parts.scheme == "mqtts"
        self._topic = parts.path.removeprefix("/")
        if not self._topic or set("+#?") & set(address):
            raise UserError(
                f"--mqtt={shown(address)}: names no topic to publish to; give "
                f"{parts.scheme}://HOST/TOPIC, without +, # and ?"
            )
        self._user, self._password = secrets.get(USER), secrets.get(PASSWORD)
        self._client: Any = None
        _import_paho()

    def send(self, name: str, body: str) -> None:
        """Publishes a message; see Receiver. Its name is not sent."""
        del name
        try:
            if self._client is None:
                self._client = self._connect()
            sent = self._client.publish(self._topic, body.encode(), qos=1)
            sent.wait_for_publish(TIMEOUT_S)
            if not sent.is_published():
                raise UndeliveredError(f"no answer in {TIMEOUT_S:g} s")
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise UndeliveredError(str(error) or type(error).__name__) from None
        except UndeliveredError:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection."""
        client, self._client = self._client, None
        if client:
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                client.disconnect()
            client.loop_stop()

    def _connect(self) -> Any:
        """A client that the broker has accepted. Raises OSError or UndeliveredError."""
        mqtt = _import_paho()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        if self._is_safe:
            client.tls_set_context(ssl.create_default_context())
        if self._user:
            client.username_pw_set(self._user, self._password)
        client.connect_timeout = TIMEOUT_S
        answered, answers = threading.Event(), []

        def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
            answers.append(reason)
            answered.set()

        client.on_connect = on_connect
        client.connect(self._host, self._port)
        client.loop_start()
        if not answered.wait(TIMEOUT_S) or answers[0].is_failure:
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                client.disconnect()
            client.loop_stop()
            said = str(answers[0]) if answers else f"no answer in {TIMEOUT_S:g} s"
            raise UndeliveredError(said)
        return client


def _import_paho() -> Any:
    """The module paho.mqtt.client. Raises UserError naming the command if it is not installed."""
    try:
        from paho.mqtt import client
    except ImportError as error:
        raise UserError("--mqtt needs paho-mqtt: pip install 'paho-mqtt>=2'") from error
    return client
