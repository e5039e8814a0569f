"""Who may see the page of the cameras, and which requests come from elsewhere than the page."""

import hashlib
import hmac
import ipaddress
import os
import pathlib
import stat
import time
import urllib.parse
from collections.abc import Mapping

from refinevad_jax.errors import UserError

SESSION_SECONDS = 30 * 24 * 3600
_SHORTEST, _LONGEST = 16, 1024  # characters of a token
_MAKE = "(umask 077; openssl rand -hex 32 > FILE) makes one"


def read_token(path: pathlib.Path) -> str:
    """The token that a file holds in one line.

    Raises UserError if the file cannot be read, if others than its owner may read or write it, or
    if what it holds is not 16 to 1024 visible ASCII characters.
    """
    try:
        # Not blocking: a named pipe would wait for its writer.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"--token_file: {path}: {error.strerror}; {_MAKE}") from error
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise UserError(f"--token_file: {path} is not a file; {_MAKE}")
        if found.st_uid not in (0, os.geteuid()):
            raise UserError(f"--token_file: {path} belongs to another user: make your own")
        if found.st_mode & 0o077:
            mode = stat.S_IMODE(found.st_mode)
            raise UserError(
                f"--token_file: {path} is open to other users (mode {mode:03o}): chmod 600 {path}"
            )
        content = os.read(file, _LONGEST + 3)  # with the end of the line
    finally:
        os.close(file)
    token = content.decode("latin-1").rstrip("\r\n")
    if not (_SHORTEST <= len(token) <= _LONGEST and all("!" <= sign <= "~" for sign in token)):
        raise UserError(
            f"--token_file: {path} does not hold one line of {_SHORTEST} to {_LONGEST} ASCII "
            f"characters without spaces; {_MAKE}"
        )
    return token


class Access:
    """The rules of one page.

    Without a token only those of the same computer reach it, by its loopback names. With one, each
    request needs it, so that the name does not matter: another name has another cookie.
    """

    def __init__(self, token: str | None, host: str, port: int) -> None:
        """host: as in the address that is served; port: its port."""
        self._token, self._host = token, host.lower()
        # Cookies do not tell ports apart.
        self._cookie = f"refinevad_{port}"

    @property
    def needs_token(self) -> bool:
        """Whether requests need a token."""
        return self._token is not None

    def knows_host(self, headers: Mapping[str, str]) -> bool:
        """Whether the Host is one by which this page is reached: against DNS rebinding.

        The port may differ, as it does through `ssh -L`.
        """
        try:
            parts = urllib.parse.urlsplit("//" + headers.get("host", ""))
            name, _ = parts.hostname, parts.port
        except ValueError:
            return False
        if not name or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
            return False
        return self.needs_token or name in ("localhost", self._host) or is_loopback(name)

    def is_foreign(self, method: str, path: str, headers: Mapping[str, str]) -> bool:
        """Whether another site makes the request.

        Following a link to the page is not foreign: who set the link cannot read the answer. Behind
        a proxy the Host may differ from the Origin, so the browser's own word on it counts first.
        """
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            mode = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
            link = method == "GET" and path in ("/", "/login") and mode == ("navigate", "document")
            return site not in ("same-origin", "none") and not link
        if origin is not None:
            return origin.lower().partition("://")[2] != headers.get("host", "").lower()
        return method != "GET"

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether the request has the token, or the cookie of someone who had it."""
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.is_token(given.strip())
        cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        return any(name == self._cookie and self._is_session(value) for name, _, value in cookies)

    def is_token(self, given: str) -> bool:
        """Whether it is the token, in a time that does not depend on where they differ."""
        return self._token is not None and _same(self._token, given)

    def cookie(self, *, secure: bool) -> str:
        """The value of Set-Cookie for who gave the token; secure: whether the page has HTTPS."""
        until = str(int(time.time()) + SESSION_SECONDS)
        value = f"{until}.{self._signed(until)}"
        return f"{self._cookie}={value}; Max-Age={SESSION_SECONDS}{self._rules(secure)}"

    def no_cookie(self, *, secure: bool) -> str:
        """The value of Set-Cookie that takes the cookie back."""
        return f"{self._cookie}=; Max-Age=0{self._rules(secure)}"

    def _rules(self, secure: bool) -> str:
        return "; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")

    def _is_session(self, value: str) -> bool:
        until, _, signature = value.partition(".")
        if not _same(self._signed(until), signature):
            return False
        return int(until) > time.time()  # ours, so a number

    def _signed(self, until: str) -> str:
        assert self._token is not None
        text = f"{self._cookie} until {until}"
        return hmac.new(self._token.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether a host, written as an IP address, is this computer itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogateescape"))
