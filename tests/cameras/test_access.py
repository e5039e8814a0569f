"""The token's file, and which requests get in."""

import os
import pathlib
import time

import pytest

from refinevad_jax.cameras import access as access_file
from refinevad_jax.cameras.access import Access, is_loopback, read_token
from refinevad_jax.errors import UserError

TOKEN = "0123456789abcdef"


def written(path: pathlib.Path, content: bytes, mode: int = 0o600) -> pathlib.Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_token_is_one_line(tmp_path: pathlib.Path, end: str) -> None:
    assert read_token(written(tmp_path / "token", (TOKEN + end).encode())) == TOKEN


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"short", b"two words of a token", f"{TOKEN}\n{TOKEN}".encode(), b"\xff" * 20,
     b"a" * 1025, b"a" * 100_000],
)  # fmt: skip
def test_other_contents_are_refused(tmp_path: pathlib.Path, content: bytes) -> None:
    with pytest.raises(UserError, match="does not hold one line of 16 to 1024 ASCII"):
        read_token(written(tmp_path / "token", content))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601, 0o622])
def test_a_file_that_others_reach_is_refused(tmp_path: pathlib.Path, mode: int) -> None:
    path = written(tmp_path / "token", TOKEN.encode(), mode)
    with pytest.raises(UserError, match=f"mode {mode:03o}.*chmod 600"):
        read_token(path)


def test_what_is_not_a_file_is_refused(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(UserError, match="is not a file"):
            read_token(path)
    with pytest.raises(UserError, match=r"No such file.*umask 077; openssl rand"):
        read_token(tmp_path / "missing")


def test_a_file_of_another_user_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "token", TOKEN.encode())
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(UserError, match="belongs to another user"):
        read_token(path)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1:8080", True), ("localhost:9000", True), ("LocalHost", True), ("[::1]:8080", True),
     ("127.9.9.9", True), ("mine", True), ("[::ffff:127.0.0.1]", True),
     ("evil.example:8080", False), ("localhost.evil.example", False),
     ("127.0.0.1.evil.example", False),
     ("127.0.0.1@evil.example", False), ("evil.example@127.0.0.1", False), ("", False),
     ("192.168.0.7", False), ("0.0.0.0:8080", False), ("[::1", False), ("127.0.0.1:port", False),
     ("127.0.0.1/x", False), ("2130706433", False), ("evil.example#localhost", False)],
)  # fmt: skip
def test_names_of_this_computer(host: str, expected: bool) -> None:
    assert Access(None, "mine", 8080).knows_host({"host": host}) is expected


def test_with_a_token_any_name_is_good_because_each_has_its_own_cookie() -> None:
    guarded = Access(TOKEN, "127.0.0.1", 8080)
    assert guarded.knows_host({"host": "cameras.example"})
    assert not guarded.knows_host({})
    assert not guarded.admits({"host": "cameras.example"})


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/state", {}, False),
        ("POST", "/login", {}, True),
        ("GET", "/state", {"sec-fetch-site": "same-origin"}, False),
        ("GET", "/", {"sec-fetch-site": "none"}, False),
        ("GET", "/state", {"sec-fetch-site": "cross-site"}, True),
        ("GET", "/stream", {"sec-fetch-site": "same-site"}, True),  # another port of this computer
        ("GET", "/stream", {"sec-fetch-site": ""}, True),
        ("POST", "/login", {"sec-fetch-site": "cross-site", "origin": "http://h:1"}, True),
        ("POST", "/login", {"sec-fetch-site": "same-origin", "origin": "https://proxy"}, False),
        ("POST", "/login", {"origin": "http://h:1"}, False),
        ("POST", "/login", {"origin": "https://H:1"}, False),
        ("POST", "/login", {"origin": "http://evil"}, True),
        ("POST", "/login", {"origin": "http://h:2"}, True),
        ("GET", "/state", {"origin": "null"}, True),
    ],
)
def test_foreign_requests(method: str, path: str, headers: dict, expected: bool) -> None:
    assert Access(None, "h", 1).is_foreign(method, path, headers | {"host": "h:1"}) is expected


def test_a_link_may_lead_to_the_page_but_not_further() -> None:
    rules = Access(None, "h", 1)
    link = {"host": "h:1", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert not rules.is_foreign("GET", "/", link | {"sec-fetch-dest": "document"})
    assert rules.is_foreign("GET", "/state", link | {"sec-fetch-dest": "document"})
    assert rules.is_foreign("GET", "/", link | {"sec-fetch-dest": "iframe"})
    assert rules.is_foreign("POST", "/login", link | {"sec-fetch-dest": "document"})


def test_bearers_and_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = Access(TOKEN, "h", 8080)
    assert rules.admits({"authorization": f"Bearer {TOKEN}"})
    assert rules.admits({"authorization": f"bearer  {TOKEN} "})
    for wrong in ("Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Bearer {TOKEN}é"):
        assert not rules.admits({"authorization": wrong}), wrong

    given = rules.cookie(secure=False)
    assert given.endswith("; Path=/; HttpOnly; SameSite=Strict") and TOKEN not in given
    assert rules.cookie(secure=True).endswith("; Secure")
    cookie = given.split(";")[0]
    assert rules.admits({"cookie": f"other=1; {cookie}"})
    name, value = cookie.split("=")
    until, signature = value.split(".")
    later = f"{int(until) + 1}.{signature}"
    for wrong in ("", "=", name, f"{name}=", f"{name}={later}", f"{name}=.", f"x{cookie}",
                  f"{name}={TOKEN}", f"{name}=é.é", rules.no_cookie(secure=False)):  # fmt: skip
        assert not rules.admits({"cookie": wrong}), wrong
    assert not Access(TOKEN + "x", "h", 8080).admits({"cookie": cookie})
    assert not Access(TOKEN, "h", 8081).admits({"cookie": cookie.replace("8080", "8081")})
    moment = time.time() + access_file.SESSION_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: moment)
    assert not rules.admits({"cookie": cookie})


def test_loopback_addresses() -> None:
    assert is_loopback("127.0.0.1") and is_loopback("::1") and is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("0.0.0.0") and not is_loopback("::") and not is_loopback("10.0.0.1")
    assert not is_loopback("localhost")  # a name, which may mean anything
