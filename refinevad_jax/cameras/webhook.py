"""A webhook: every message is POSTed as JSON, over HTTPS whose certificate is checked."""

import hashlib
import hmac
import http.client
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from refinevad_jax.cameras.delivery import RefusedError, UndeliveredError
from refinevad_jax.cameras.endpoint import read_endpoint
from refinevad_jax.errors import UserError
from refinevad_jax.runtime.addresses import shown

TOKEN, KEY = "REFINEVAD_WEBHOOK_TOKEN", "REFINEVAD_WEBHOOK_KEY"
TIMEOUT_S = 10.0
_UNWANTED = (400, 410, 413, 415, 422)  # the same message would be answered so again


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A secret goes to no other address than the one given."""

    def redirect_request(self, *_: Any) -> None:
        """None: the redirect is then an error."""


class Webhook:
    """POSTs messages to an address.

    The header X-Refinevad-Message names the message, and is the same if it comes twice. With a
    token, `Authorization: Bearer TOKEN`. With a key, X-Refinevad-Time is the Unix time of sending
    and X-Refinevad-Signature is `sha256=` and the HMAC-SHA256 in hex of that time, a full stop and
    the body.
    """

    name = "webhook"

    def __init__(self, address: str, secrets: Mapping[str, str], *, plain: bool = False) -> None:
        """Connects to nothing yet.

        secrets: the environment, of which TOKEN and KEY count; plain: http is accepted, not to
        this computer alone. Raises UserError for another address.
        """
        endpoint = read_endpoint("webhook", address, "https", "http", plain=plain)
        self.shown = f"webhook {shown(address)}"
        self._address = endpoint.geturl()
        self._token, self._key = secrets.get(TOKEN, ""), secrets.get(KEY, "")
        if not (self._token.isascii() and self._token.isprintable()):
            raise UserError(f"{TOKEN}: holds signs that no token has; check the variable")
        self._opener = urllib.request.build_opener(
            _NoRedirect, urllib.request.HTTPSHandler(context=ssl.create_default_context())
        )

    def send(self, name: str, body: str) -> None:
        """POSTs a message; see Receiver."""
        data = body.encode()
        headers = {"Content-Type": "application/json", "X-Refinevad-Message": name}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._key:
            sent = str(int(time.time()))
            signed = hmac.new(self._key.encode(), f"{sent}.".encode() + data, hashlib.sha256)
            headers["X-Refinevad-Time"] = sent
            headers["X-Refinevad-Signature"] = f"sha256={signed.hexdigest()}"
        request = urllib.request.Request(self._address, data, headers, method="POST")
        try:
            self._opener.open(request, timeout=TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            with error:
                answer = f"answer {error.code}"
            if error.code in _UNWANTED:
                raise RefusedError(answer) from None
            raise UndeliveredError(answer) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise UndeliveredError(str(reason) or type(error).__name__) from None

    def close(self) -> None:
        """Nothing is kept open."""
