"""The page over a real socket: what gets in, what does not, and readers that do not read."""

import contextlib
import http.client
import json
import pathlib
import socket
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from refinevad_jax.cameras import server, site
from refinevad_jax.cameras.board import Board
from refinevad_jax.cameras.event import LiveEvent
from refinevad_jax.errors import UserError

pytest.importorskip("starlette", reason="pip install starlette")
pytest.importorskip("uvicorn", reason="pip install uvicorn")
pytest.importorskip("jinja2", reason="pip install jinja2")

TOKEN = "a-token-of-the-tests"
HOSTILE = "</script><img src=x onerror=alert(1)>"
JPEG = b"\xff\xd8 a picture"


@pytest.fixture(scope="module")
def board() -> Board:
    made = Board(["gate", HOSTILE], 0.5)
    made.event(LiveEvent("1", HOSTILE, 1.0, None, HOSTILE, 0.8, JPEG))
    return made


@pytest.fixture(scope="module")
def open_page(board: Board) -> Iterator[server.Served]:
    served = server.serve(board, "127.0.0.1:0", None)
    yield served
    served.close()


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def guarded_page(board: Board, token_file: pathlib.Path) -> Iterator[server.Served]:
    served = server.serve(board, "127.0.0.1:0", token_file)
    yield served
    served.close()


class Answer:
    """Status, headers and body of one request."""

    def __init__(
        self,
        page: server.Served,
        path: str,
        *,
        method: str = "GET",
        body: str | None = None,
        **headers: str,
    ) -> None:
        place = urllib.parse.urlsplit(page.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(connection):
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            self.status, self.headers = answer.status, answer.headers
            self.body = answer.read()


def connected(page: server.Served) -> socket.socket:
    place = urllib.parse.urlsplit(page.url)
    return socket.create_connection((place.hostname, place.port), timeout=20)


class Reader:
    """A reader of /stream, from which the messages come in order. Attributes: socket."""

    def __init__(self, page: server.Served, **headers: str) -> None:
        self.socket = connected(page)
        self._file = self.socket.makefile("rb")
        host = urllib.parse.urlsplit(page.url).netloc
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        request = ["GET /stream HTTP/1.1", f"Host: {host}", *lines, "", ""]
        self.socket.sendall("\r\n".join(request).encode())

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def __next__(self) -> dict:
        for line in self._file:
            if line.startswith(b"data: "):
                return json.loads(line[6:])
        raise ConnectionError("the stream has ended")


def ended(opened: socket.socket) -> bool:
    """Whether the other side ends a connection without a word."""
    try:
        return opened.recv(1) == b""
    except ConnectionResetError:
        return True


def eventually(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_every_answer_has_the_headers(open_page: server.Served) -> None:
    for path in ("/", "/state", "/style.css", "/board.js", "/missing", "/pictures/1/9"):
        found = Answer(open_page, path)
        assert site.HEADERS.items() <= dict(found.headers).items(), path
        assert "server" not in found.headers
    policy = site.HEADERS["content-security-policy"]
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
    bad = Answer(open_page, "/", Host="evil.example")
    assert bad.status == 421 and bad.headers["x-content-type-options"] == "nosniff"


def test_pages_name_no_place_and_no_camera(open_page: server.Served) -> None:
    root = str(pathlib.Path(server.__file__).parents[2])
    for path in ("/", "/login", "/board.js", "/missing", "/pictures/99/1", "/pictures/x/1"):
        text = Answer(open_page, path).body.decode()
        assert root not in text and "Traceback" not in text and HOSTILE not in text
    assert "<script>" not in Answer(open_page, "/").body.decode()  # none inline
    state = Answer(open_page, "/state")
    assert json.loads(state.body)["names"] == ["gate", HOSTILE]
    assert state.headers["content-type"] == "application/json"


def test_pictures_are_pictures(open_page: server.Served) -> None:
    (event,) = json.loads(Answer(open_page, "/state").body)["events"]
    key, version = event["picture"]
    found = Answer(open_page, f"/pictures/{key}/{version}")
    assert found.body == JPEG and found.headers["content-type"] == "image/jpeg"
    huge = f"/pictures/{'9' * 5000}/1"
    for path in ("/pictures/99/1", "/pictures/-1/1", "/pictures/../state", "/pictures/1", huge):
        assert Answer(open_page, path).status == 404


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/state", {"Host": "evil.example"}, 421),
        ("GET", "/state", {"Sec_Fetch_Site": "cross-site"}, 403),
        ("GET", "/stream", {"Sec_Fetch_Site": "same-site"}, 403),
        ("GET", "/", {"Origin": "http://evil.example"}, 403),
        ("POST", "/login", {}, 403),
        ("POST", "/state", {"Sec_Fetch_Site": "same-origin"}, 405),
        ("OPTIONS", "/state", {}, 405),
        ("PUT", "/login", {}, 405),
        ("HEAD", "/stream", {}, 405),
        ("GET", "//evil.example/", {}, 404),
        ("GET", "/board.html", {}, 404),
        ("GET", "/../../etc/passwd", {}, 404),
        ("GET", "/%2e%2e/server.py", {}, 404),
    ],
)
def test_requests_that_do_not_get_in(
    open_page: server.Served, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    found = Answer(open_page, path, method=method, **headers)
    assert found.status == status and "access-control-allow-origin" not in found.headers
    assert b"gate" not in found.body


def test_without_the_token_there_is_only_the_form(guarded_page: server.Served) -> None:
    found = Answer(guarded_page, "/")
    assert (found.status, found.headers["location"]) == (303, "login")
    for path in ("/state", "/stream", "/pictures/1/2", "/missing"):
        found = Answer(guarded_page, path)
        assert found.status == 401 and b"gate" not in found.body
        assert Answer(guarded_page, path, Authorization="Bearer wrong").status == 401
        assert Answer(guarded_page, path, Cookie=f"refinevad_1={TOKEN}").status == 401
    assert Answer(guarded_page, f"/state?token={TOKEN}").status == 401  # addresses are logged
    assert Answer(guarded_page, "/login").status == 200
    found = Answer(guarded_page, "/state", Authorization=f"Bearer {TOKEN}")
    assert json.loads(found.body)["names"] == ["gate", HOSTILE]


def log_in(page: server.Served, token: str, **headers: str) -> Answer:
    body = urllib.parse.urlencode({"token": token})
    return Answer(page, "/login", method="POST", body=body, Sec_Fetch_Site="same-origin", **headers)


def test_the_form_gives_a_cookie(
    guarded_page: server.Served, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = log_in(guarded_page, TOKEN + "x")
    assert wrong.status == 401 and b"not the token" in wrong.body
    assert "set-cookie" not in wrong.headers
    assert log_in(guarded_page, "x" * 5000).status == 401
    for body in ("&a=1" * 100, "\xff", "token", ""):
        found = Answer(
            guarded_page, "/login", method="POST", body=body, Sec_Fetch_Site="same-origin"
        )
        assert found.status == 401
    right = log_in(guarded_page, f" {TOKEN} ")
    assert (right.status, right.headers["location"]) == (303, "./")
    given = right.headers["set-cookie"]
    assert "HttpOnly" in given and "SameSite=Strict" in given and "Secure" not in given
    cookie = given.split(";")[0]
    assert Answer(guarded_page, "/", Cookie=cookie).status == 200
    assert Answer(guarded_page, "/state", Cookie=cookie, Sec_Fetch_Site="cross-site").status == 403
    behind_https = log_in(guarded_page, TOKEN, X_Forwarded_Proto="https")
    assert behind_https.headers["set-cookie"].endswith("; Secure")
    out = Answer(
        guarded_page, "/logout", method="POST", Cookie=cookie, Sec_Fetch_Site="same-origin"
    )
    assert out.status == 303 and "Max-Age=0" in out.headers["set-cookie"]
    with connected(guarded_page) as broken:  # in the middle of the form
        broken.sendall(
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
            b"Content-Length: 50\r\n\r\ntoken="
        )
    assert log_in(guarded_page, TOKEN).status == 303
    assert capsys.readouterr().err == ""  # a stranger fills no log


def test_a_stream_tells_all_and_then_what_changes(
    guarded_page: server.Served, board: Board
) -> None:
    with Reader(guarded_page, Authorization=f"Bearer {TOKEN}") as reader:
        assert next(reader)["names"] == ["gate", HOSTILE]
        board.score("gate", 5.0, 0.75)
        found = next(reader)
        assert found["cameras"] == [{"number": 0, "points": [[5, 0.75]]}] and "names" not in found


def test_a_reader_that_does_not_read_holds_nobody_up(
    open_page: server.Served, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "_EVERY_S", 0.001)
    with Reader(open_page) as asleep, Reader(open_page) as awake:
        next(awake)
        for step in range(200):
            board.score("gate", 10.0 + step, 0.25)
            if step % 50 == 0:
                next(awake)
        name = asleep.socket.getsockname()
        (connection,) = [
            each.transport
            for each in open_page._server.server_state.connections
            if each.transport.get_extra_info("peername") == name
        ]
        assert connection.get_write_buffer_size() < 1 << 20
        # The kernel ends it: see server.UNREAD_S.
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            inherited = connection.get_extra_info("socket")
            found = inherited.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert found == server.UNREAD_S * 1000


def test_many_readers_and_connections_are_refused(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "MAX_STREAMS", 1)
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(server, "SILENT_S", 0.3)
    served = server.serve(board, "127.0.0.1:0", None)
    connections = served._server.server_state.connections
    try:
        with Reader(served) as reader:
            next(reader)
            assert Answer(served, "/stream").status == 503
            eventually(lambda: len(connections) == 1)
            with connected(served) as silent:
                silent.sendall(b"GET / HTTP/1.1\r\n")
                with connected(served) as third:
                    assert ended(third)
                assert ended(silent)  # its request did not come
            board.score("gate", 500.0, 0.25)
            next(reader)  # is still served
    finally:
        served.close()


def test_close_ends_readers_and_frees_the_port(board: Board) -> None:
    served = server.serve(board, "127.0.0.1:0", None)
    with Reader(served) as reader:
        next(reader)
        served.close()
        with pytest.raises(ConnectionError):
            while True:
                next(reader)
    server.serve(board, urllib.parse.urlsplit(served.url).netloc, None).close()


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers mean themselves, names nothing; tests may not ask a name server."""

    def getaddrinfo(host: str, port: int, **_: object) -> list:
        try:
            socket.inet_aton(host)
        except OSError:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "is not an address; give HOST:PORT"),
        ("8080", "is not an address"),
        (":8080", "is not an address"),
        ("127.0.0.1", "is not an address"),
        ("127.0.0.1:", "is not an address"),
        ("127.0.0.1:x", "is not an address"),
        ("127.0.0.1:65536", "is not an address"),
        ("127.0.0.1:" + "9" * 5000, "is not an address"),
        ("127.0.0.1:-1", "is not an address"),
        ("http://127.0.0.1:80", "write IPv6 in brackets|is not an address"),
        ("::1:8080", "write IPv6 in brackets"),
        ("no.such.host.invalid:8080", "is not known"),
        ("0.0.0.0:0", "can be reached from other computers: give a --token_file"),
        ("192.0.2.1:8080", "can be reached from other computers"),
    ],
)
def test_addresses_that_are_not_served(resolve: None, address: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        server.serve(Board(["a"], 0.5), address, None)


def test_ports_that_cannot_be_had(resolve: None, token_file: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port} is in use"):
            server.serve(Board(["a"], 0.5), f"127.0.0.1:{port}", None)
    with pytest.raises(UserError, match="is not an address of this computer"):
        server.serve(Board(["a"], 0.5), "192.0.2.1:0", token_file)


def test_other_computers_get_a_warning(
    resolve: None, token_file: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = server.serve(Board(["a"], 0.5), "0.0.0.0:0", token_file)
    port = urllib.parse.urlsplit(served.url).port
    assert served.url == f"http://{socket.gethostname()}:{port}/"
    served.close()
    assert "is not encrypted" in capsys.readouterr().err


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match=r'pip install "refinevad_jax\[serve\]"'):
        server.serve(Board(["a"], 0.5), "127.0.0.1:0", None)


def test_a_fault_of_ours_is_one_line(
    board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(since: int = 0) -> dict:
        raise RuntimeError("in /some/place")

    served = server.serve(board, "127.0.0.1:0", None)
    monkeypatch.setattr(board, "changes", fails)
    found = Answer(served, "/state")
    served.close()
    assert found.status == 500 and b"/some/place" not in found.body
    assert capsys.readouterr().err == "warning: --serve: RuntimeError: in /some/place\n"
