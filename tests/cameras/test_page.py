"""The page of the cameras in a real browser."""

import contextlib
import pathlib
import time
from collections.abc import Iterator

import pytest

from refinevad_jax.cameras import server
from refinevad_jax.cameras.board import Board
from refinevad_jax.cameras.event import LiveEvent
from tests import browser as browsers
from tests.browser import Browser
from tests.cameras.board_driver import HOSTILE, jpeg

pytest.importorskip("starlette", reason="pip install starlette")
pytest.importorskip("uvicorn", reason="pip install uvicorn")

LONG = "a-long-name-without-a-space-" * 8
TOKEN = "a-token-of-the-tests"

browser = browsers.browser  # the fixture


@pytest.fixture
def board() -> Board:
    """One camera that is seen, one that was lost, one that is not there yet."""
    board, now = Board([HOSTILE, "gate", LONG], 0.5), time.time()
    for ago in range(500, 0, -10):
        board.score(HOSTILE, now - ago, 0.25)
        if ago > 200:
            board.score("gate", now - ago, 0.75)
    board.health(
        HOSTILE, state="live", frames_per_second=25, dropped=3, late_seconds=2.25, last_seen=now
    )
    board.health("gate", state="lost", frames_per_second=0, dropped=0, last_seen=now - 200)
    going = LiveEvent("1", HOSTILE, now - 20, None, f"<b>{HOSTILE}</b>", 0.9, jpeg(1))
    board.event(going)
    board.event(LiveEvent("2", "gate", now - 400, now - 200, "", 0.75, ended_by="lost"))
    return board


@pytest.fixture
def served(board: Board) -> Iterator[server.Served]:
    served = server.serve(board, "127.0.0.1:0", None)
    yield served
    served.close()


def until(browser: Browser, condition: str) -> None:
    browser.run(
        "const end = Date.now() + 20000;"
        f"while (!({condition})) {{ if (Date.now() > end) throw Error({condition!r});"
        " await new Promise(done => setTimeout(done, 20)); }"
    )


def text(browser: Browser, selector: str) -> list[str]:
    return browser.run(
        f"return [...document.querySelectorAll({selector!r})].map(e => e.textContent)"
    )


def test_the_page_shows_what_is_and_follows(
    browser: Browser, served: server.Served, board: Board
) -> None:
    browser.open(served.url, width=1400)
    until(browser, "document.querySelectorAll('.camera').length === 3")
    assert text(browser, ".camera .name") == [HOSTILE, "gate", LONG]
    assert text(browser, ".camera .state") == ["event now", "lost", "connecting"]
    health = text(browser, ".camera .health")
    assert "25.0 frames per second, 3 frames dropped, 2.3\u00a0s behind" in health[0]
    assert health[1].startswith("no picture, last seen ") and "3\u00a0min" in health[1]
    assert health[2] == "not seen yet, none dropped"
    assert text(browser, "#counts") == ["3: 1 connecting, 1 live, 1 lost; 1 event now"]
    assert text(browser, "#lost") == ["Lost: gate"]
    assert text(browser, "#events b") == ["anomaly", f"<b>{HOSTILE}</b>"]
    assert "ended because the camera was lost" in text(browser, "#events li")[0]
    until(
        browser, "[...document.images].length === 2 && [...document.images].every(i => i.complete)"
    )
    assert browser.run("return [...document.images].map(i => i.naturalWidth)") == [160, 160]
    # A line without a break, and the dashed one at the threshold.
    assert browser.run("return cameras[0].curve.getAttribute('d').match(/M/g).length") == 1
    assert browser.run("return up(threshold)") == 50

    version = board.version
    board.health("gate", state="live", frames_per_second=24, dropped=0, last_seen=time.time())
    board.set_threshold(0.75)
    board.score("gate", time.time(), 0.125)
    known = browser.run("return cameras[0].points.length")
    until(browser, "cameras[1].health.state === 'live' && threshold === 0.75")
    assert board.version > version and text(browser, "#lost") == ["Lost: "]
    assert browser.run("return byId('lost').hidden && cameras[1].points.at(-1)[1] === 0.125")
    assert browser.run("return cameras[1].curve.getAttribute('d').match(/M/g).length") == 2
    assert browser.run("return cameras[0].points.length") == known

    for width in (1400, 1280, 390):
        size = {"width": width, "height": 1600, "deviceScaleFactor": 1, "mobile": width < 600}
        browser._ask("Emulation.setDeviceMetricsOverride", **size)
        assert browser.run("return document.documentElement.scrollWidth") <= width
    browser.run("document.querySelector('.latest button').click()")
    assert text(browser, "#events b") == [f"<b>{HOSTILE}</b>"]
    assert browser.run("return document.querySelectorAll('#events li:target').length") == 1
    assert browser.faults == []
    place = served.url.rstrip("/")
    assert all(address.startswith(place) for address in browser.requests)


def test_the_page_says_that_nobody_answers_and_comes_back(
    browser: Browser, served: server.Served, board: Board
) -> None:
    browser.open(served.url)
    until(browser, "cameras.length === 3 && byId('offline').hidden")
    browser.run(
        "cameras = []; Object.defineProperty(document, 'hidden', {value: true, writable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert browser.run("return source") is None  # a page that nobody sees reads nothing
    browser.run("document.hidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    until(browser, "cameras.length === 3")
    served.close()
    until(browser, "!byId('offline').hidden")
    assert "No connection to refinevad watch since" in text(browser, "#offline")[0]
    other = Board(["new"], 0.25)
    other.event(LiveEvent("1", "new", 1.0, 2.0, "", 0.9))
    again = server.serve(other, served.url.split("/")[2], None)
    try:
        until(browser, "byId('offline').hidden && cameras.length === 1")
        assert text(browser, ".camera .name") == ["new"]
        assert text(browser, "#camera option") == ["all", "new"]
        # What this page would ask from now on would be faults of the next one.
        browser.run("document.hidden = true; document.dispatchEvent(new Event('visibilitychange'))")
    finally:
        again.close()


def arrived(browser: Browser) -> bool:
    """Whether the page of the cameras is there; a question during the way to it has no answer."""
    with contextlib.suppress(AssertionError):
        return browser.run("return typeof cameras === 'object' && cameras.length === 3")
    return False


def test_the_form_of_the_token(browser: Browser, board: Board, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    served = server.serve(board, "127.0.0.1:0", file)
    try:
        browser.open(served.url + "login", width=390)
        assert browser.run("return document.documentElement.scrollWidth") <= 390
        browser.run(f"byId('token').value = {TOKEN!r}; document.querySelector('form').submit()")
        limit = time.monotonic() + 60
        while not arrived(browser):
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert browser.run("return location.pathname") == "/"
        assert browser.run("return document.cookie") == ""  # HttpOnly
        assert browser.faults == []
    finally:
        served.close()
