"""The page in a real browser: it plays, seeks, follows, and names are only text."""

import copy
import dataclasses
import itertools
import pathlib

import pytest

from refinevad_jax.detection import outputs
from refinevad_jax.detection.detector import Detector
from refinevad_jax.detection.features import encode_video
from refinevad_jax.detection.index import Row, write_index
from refinevad_jax.detection.page import link, picture_of, write_page
from refinevad_jax.encoders.encoder import VisualEncoder
from tests.browser import Browser

EVIL = "<img src=x onerror=alert(1)>&amp; 50% #1"


@pytest.fixture
def page(
    detector: Detector, encoder: VisualEncoder, clip: pathlib.Path, tmp_path: pathlib.Path
) -> pathlib.Path:
    video = clip.rename(tmp_path / f"{EVIL}.mp4")
    found = encode_video(video, encoder, num_crops=1, batch_size=4)
    scores = detector.score(found.features)
    threshold = detector.threshold(float(sorted(scores.scores)[-3]), None)
    events = detector.events(scores, len(scores.scores), found.num_frames, threshold)
    assert events
    evil, info = copy.copy(detector), detector.run.info
    names = ("</script><b>A", *detector.categories[1:])
    taxonomy = dataclasses.replace(info.taxonomy, display_names=names)
    evil.run = dataclasses.replace(detector.run, info=dataclasses.replace(info, taxonomy=taxonomy))
    described = outputs.describe(evil, EVIL, found, scores, events)
    facts = outputs.run_facts(detector, threshold)
    path = tmp_path / "out" / f"{EVIL}.html"
    index = path.with_name("index.html")
    write_page(path, described, facts, found, scores, video, index)
    rows = [Row(described, picture_of(found, 2)), Row(described | {"events": []}, "")]
    write_index(index, facts, rows, [f"{EVIL}: is damaged"])
    return path


def test_page_in_a_browser(browser: Browser, page: pathlib.Path, tmp_path: pathlib.Path) -> None:
    browser.open(page, width=1000, height=900)
    browser.run(
        "const v = document.getElementById('video');"
        "if (v.readyState < 1) await new Promise(r => v.addEventListener('loadedmetadata', r));"
    )
    duration = browser.run("return video.duration")
    assert duration == pytest.approx(149 / 25, abs=0.1)
    assert browser.run("return document.querySelector('h1').textContent") == EVIL
    assert browser.run("return document.images.length") == browser.run(
        "return document.querySelectorAll('#events img').length"
    )
    box = browser.run(
        "const b = timeline.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]"
    )
    left, top, width, height = box
    where = {"x": left + width / 2, "y": top + height / 2, "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        browser._ask("Input.dispatchMouseEvent", type=kind, **where)
    assert browser.run("return video.currentTime") == pytest.approx(149 / 25 / 2, abs=0.1)

    assert (
        browser.run("return document.querySelectorAll('#events li:first-child meter').length") == 3
    )
    start = browser.run("return data.events[0].start_seconds")
    browser.run("buttons[0].click()")
    browser.run("if (video.seeking) await new Promise(r => video.addEventListener('seeked', r));")
    assert browser.run("return video.currentTime") == pytest.approx(start, abs=0.01)
    assert browser.run("return buttons[0].classList.contains('now')")

    browser.run("timeline.focus()")
    browser.press("End")
    # 149 frames: the last five fill no segment, and the axis goes on to their end.
    text = "5.96 of 5.96 s, no score, since the last frames fill no segment"
    assert browser.run("return reading.textContent") == text
    browser.press("ArrowLeft")
    assert "of 5.96 s, score 0." in browser.run("return reading.textContent")
    browser.screenshot(tmp_path / "page.png")
    assert browser.faults == []
    assert all(address.startswith(("file:", "data:")) for address in browser.requests)


@pytest.mark.parametrize("width", [1400, 1280, 390])
def test_axes_and_threshold(browser: Browser, page: pathlib.Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.run("return [...scores.children].map(e => e.textContent)") == ["0", "0.5", "1"]
    ticks = browser.run("return [...seconds.children].map(e => e.textContent)")
    assert ticks[0] == "0" and ticks[-2:] == ["5.96", "seconds"] and len(ticks) >= 5
    places = browser.run(
        "return [...seconds.children].slice(0, -1).map(e => { const b = e.getBoundingClientRect();"
        " return [b.left, b.right]; })"
    )
    assert all(right < left for (_, right), (left, _) in itertools.pairwise(places))
    assert places[-1][1] <= width
    line, label = browser.run(
        "const b = timeline.getBoundingClientRect();"
        "const t = document.querySelector('#timeline .threshold').getBoundingClientRect();"
        "const l = document.getElementById('threshold').getBoundingClientRect();"
        "return [t.top - b.top, [l.top - b.top, l.bottom - b.top]]"
    )
    assert min(abs(line - edge) for edge in label) < 4
    assert browser.run("return document.getElementById('threshold').textContent").endswith(
        ": given"
    )
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.faults == []


def test_saturated_scores_are_drawn_by_their_log_odds(browser: Browser, page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    start = text.index('"threshold":') + len('"threshold":')
    changed = text[:start] + "0.9999" + text[text.index(",", start) :]
    page.with_name("saturated.html").write_text(changed, encoding="utf-8")
    browser.open(page.with_name("saturated.html"), width=1000)
    ticks = browser.run("return [...scores.children].map(e => e.textContent)")
    assert ticks == ["0.001", "0.5", "0.999"]
    assert browser.run("return up(0.5)") == pytest.approx(50)
    assert browser.run("return up(0.999) - up(0.9999)") == pytest.approx(7.8, abs=0.2)
    assert browser.run("return document.getElementById('threshold').textContent").endswith(
        "(axis of log-odds)"
    )
    assert browser.faults == []


@pytest.mark.parametrize("width", [1400, 390])
def test_index_in_a_browser(browser: Browser, page: pathlib.Path, width: int) -> None:
    browser.open(page.with_name("index.html"), width=width)
    assert browser.run("return document.querySelector('h1').textContent") == (
        "1 of 2 inputs with events"
    )
    names = "return [...document.querySelectorAll('#inputs b')].map(e => e.textContent)"
    assert browser.run(names) == [EVIL, EVIL]
    assert browser.run("return document.images.length") == 1
    assert "is damaged" in browser.run("return failed.textContent")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return document.querySelector('#inputs a').href") == page.as_uri()
    assert browser.faults == []


def test_playing_moves_the_cursor(browser: Browser, page: pathlib.Path) -> None:
    browser.open(page)
    browser.run(
        "video.playbackRate = 4; await video.play(); await new Promise(r => setTimeout(r, 900))"
    )
    assert float(browser.run("return timeline.getAttribute('aria-valuenow')")) > 0.2


def test_a_missing_video_is_said(browser: Browser, page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    source = text.split('src="', 1)[1].split('"', 1)[0]
    page.write_text(text.replace(source, "gone.mp4"), encoding="utf-8")
    browser.open(page)
    browser.run(
        "if (!video.error) await new Promise(r => video.addEventListener('error', r));"
        "await new Promise(r => setTimeout(r, 50));"
    )
    assert "cannot be played from gone.mp4" in browser.run("return reading.textContent")


def test_names_are_escaped_without_a_browser(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text and "</script><b>" not in text
    assert text.count("<script") == 2
    assert "<img src=x" not in page.with_name("index.html").read_text(encoding="utf-8")


def test_links_are_relative_and_quoted(tmp_path: pathlib.Path) -> None:
    found = link(tmp_path / "out" / "sub" / "a.html", tmp_path / "v" / "a #1%.mp4")
    assert found == "../../v/a%20%231%25.mp4"
