"""Serves the page of the cameras from its own thread."""

import errno
import ipaddress
import pathlib
import re
import socket
import sys
import threading
import time
from typing import Any

from refinevad_jax.cameras.access import Access, is_loopback, read_token
from refinevad_jax.cameras.board import Board
from refinevad_jax.errors import UserError

MAX_CONNECTIONS = 256
SILENT_S = 10.0  # that a connection may take until its next request is there
UNREAD_S = 30.0  # that a reader may leave what it was sent
_START_S = 30.0
_FORM = "give HOST:PORT, as 127.0.0.1:8080"


class Served:
    """The page while it is served. Attributes: url, where a browser finds it."""

    def __init__(self, board: Board, listener: socket.socket, host: str, access: Access) -> None:
        """Starts to serve on a bound socket. Raises UserError if the extra is not installed."""
        self._listener = listener
        port = listener.getsockname()[1]
        try:
            self._server = _server(board, access)
        except ImportError as error:
            raise UserError('--serve needs: pip install "refinevad_jax[serve]"') from error
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="page", daemon=True
        )
        self._thread.start()
        limit = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > limit:
                raise UserError("--serve: the page could not be started")
            time.sleep(0.01)

    def close(self) -> None:
        """Ends all connections and waits until the port is free."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


def serve(board: Board, address: str, token_file: pathlib.Path | None) -> Served:
    """Serves the page of a board until close().

    address: HOST:PORT; port 0 takes a free one. token_file: of the token that every request needs,
    None for no token.

    Raises UserError if the address is malformed, is not of this computer or in use; if it is not
    loopback and there is no token; if the token's file is not as it should be; or if Starlette or
    uvicorn is not installed.
    """
    host, port = _parsed(address)
    family, where = _resolved(host, port)
    inside = is_loopback(where[0].partition("%")[0])
    if not inside and token_file is None:
        raise UserError(
            f"--serve: {address} can be reached from other computers: give a --token_file, or "
            f"serve on 127.0.0.1:{port}"
        )
    token = None if token_file is None else read_token(token_file)
    listener = _listener(family, where, address)
    try:
        access = Access(token, host, listener.getsockname()[1])
        everywhere = ipaddress.ip_address(where[0].partition("%")[0]).is_unspecified
        served = Served(board, listener, socket.gethostname() if everywhere else host, access)
    except BaseException:
        listener.close()
        raise
    if not inside:
        print(
            f"warning: --serve: {served.url} is not encrypted; docs/cameras.md says how to serve "
            "HTTPS",
            file=sys.stderr,
            flush=True,
        )
    return served


def _parsed(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UserError(f"--serve: {address!r}: write IPv6 in brackets, as [::1]:8080")
    if not (colon and host and re.fullmatch("[0-9]{1,5}", port) and int(port) < 1 << 16):
        raise UserError(f"--serve: {address!r} is not an address; {_FORM}")
    return host, int(port)


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """Family and address of a host. A name that means several gives its first."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UserError(f"--serve: the host {host!r} is not known; {_FORM}") from error
    return found[0][0], found[0][4]


def _listener(family: socket.AddressFamily, where: Any, address: str) -> socket.socket:
    """A socket bound to the address. Raises UserError if that cannot be done."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it: the kernel ends those whose other side takes nothing any more.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_S * 1000))
        listener.bind(where)
        listener.listen()
    except OSError as error:
        listener.close()
        reasons = {
            errno.EADDRINUSE: "is in use: choose another port, or end the program that has it",
            errno.EACCES: "is not allowed to you: choose a port from 1024 on",
            errno.EADDRNOTAVAIL: "is not an address of this computer",
        }
        reason = reasons.get(error.errno or 0, f"cannot be served ({error.strerror})")
        raise UserError(f"--serve: {address} {reason}") from error
    return listener


def _server(board: Board, access: Access) -> Any:
    """A uvicorn server that bounds its connections and cuts those that are open at its end."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from refinevad_jax.cameras.site import Site

    class Connection(H11Protocol):
        """One that is cut if there are too many, or if its next request does not come."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > MAX_CONNECTIONS:
                transport.abort()
            self._answered: Any = None  # the last request, when that was last looked at
            self._limit = self.loop.call_later(SILENT_S, self._cut_if_silent)

        def connection_lost(self, error: Exception | None) -> None:
            self._limit.cancel()
            super().connection_lost(error)

        def shutdown(self) -> None:
            self.transport.abort()

        def _cut_if_silent(self) -> None:
            last = self.cycle
            if last is self._answered and (last is None or last.response_complete):
                self.transport.abort()
            self._answered = last
            self._limit = self.loop.call_later(SILENT_S, self._cut_if_silent)

    config = uvicorn.Config(
        Site(board, access),
        http=Connection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)
