"""report.html: one file, safe against names, and alive in a real browser."""

import pathlib
import re

import numpy as np
import pytest

from refinevad_jax.data.bags import Bag, BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.evaluation.run import Settings, write_evaluation
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.metrics.names import EVALUATION, shown_in
from refinevad_jax.report.page import script_json
from refinevad_jax.report.tables import number, percent
from tests.browser import Browser

EVIL = "</script><script>faults.push('name ran')</script><img src=x onerror=faults.push(1)>&amp;é"
TAXONOMY = Taxonomy("own", ("a", "<b>"), ("Arson", "<b>Fire & smoke</b>"), separator="+")
NUM_VIDEOS = 40


def scored_split() -> ScoredSplit:
    rng = np.random.default_rng(0)
    bags, results = [], []
    for i in range(NUM_VIDEOS):
        length = 30 + i
        labels = np.array([i % 4 == 1, i % 4 in (1, 3)])
        spans = [[16 * 5, 16 * 12, c] for c in np.flatnonzero(labels)]
        scores = rng.uniform(0, 0.4, length).astype(np.float32)
        scores[5:12] += 0.5 * labels.any()
        name = EVIL if i == 1 else f"video{i:03d}"
        label = "+".join(np.array(TAXONOMY.categories)[labels]) or "Normal"
        features = np.zeros((1, length, 4), np.float16)
        spans = np.array(spans, np.int32).reshape(-1, 3)
        bags.append(Bag(name, label, labels, features, 16 * length, 25.0, spans, True))
        probs = (0.1 + 0.8 * labels).astype(np.float32)
        shift = rng.random(length).astype(np.float32)
        results.append(VideoScores(scores, float(scores.max()), probs, probs, shift))
    info = BagsInfo("own <data>", TAXONOMY, (Modality("visual", 4),), simulated=True)
    prototypes = rng.normal(size=(2, 8))
    return ScoredSplit(info, bags, results, False, prototypes)


PROTOCOL = {
    "dataset": "own <data>",
    "split": "test",
    "step": 7,
    "step_chosen_as": "best",
    "selection": "video_auc on 'val'",
    "scored_by": "step 7",
    "seed": 0,
    "num_segments": 0,
    "config": {"note": "</script>"},
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("page") / "results"
    write_evaluation(scored_split(), PROTOCOL, folder, Settings(num_curves=0))
    return folder / "report.html"


def test_the_page_is_one_file_that_asks_for_nothing(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"<(link|img|iframe|script)[^>]*(src|href)=", own)
    assert "default-src 'none'" in own
    assert "Simulated data" in own
    assert "<data>" not in own
    assert "own &lt;data&gt;" in own


def test_names_cannot_leave_the_data(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert EVIL not in text
    assert "<script>faults" not in text
    assert script_json({"x": "</script>&\u2028"}) == '{"x":"\\u003c/script\\u003e\\u0026\\u2028"}'


def test_headline_rows_have_intervals_where_there_are_any(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    for metric in shown_in(EVALUATION):
        assert metric.title in text
    assert number(None) == "–"
    assert percent(0.12345) == "12.35"


HELPERS = """
window.texts = (query) => [...document.querySelectorAll(query)].map((node) => node.textContent);
window.change = (id, value, kind) => {
  const node = document.getElementById(id);
  node.value = value;
  node.dispatchEvent(new Event(kind));
};
window.chosen = () => texts("#list [aria-selected=true] b")[0];
window.frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
window.pause = (time) => new Promise((done) => setTimeout(done, time));
"""


@pytest.fixture
def opened(page: pathlib.Path, browser: Browser) -> Browser:
    browser.open(page)
    browser.run(HELPERS)
    return browser


def test_the_page_opens_without_faults_or_requests(opened: Browser) -> None:
    assert opened.run("return texts('#list b').length;") == NUM_VIDEOS
    assert opened.run("return document.querySelectorAll('.plot .main-svg').length;") >= 5
    assert opened.run("return document.title;") == "own <data>, test"
    buttons = opened.run(
        "return [...document.querySelectorAll('.modebar-btn')].map((node) => node.dataset.title);"
    )
    assert "Download plot" in buttons
    assert "Share chart..." not in buttons  # it would send the data away
    assert opened.faults == []
    assert opened.requests == []


def test_filters_and_order(opened: Browser) -> None:
    errors = opened.run("return texts('#list small span:nth-child(3)');")
    values = [float(text.split()[1]) for text in errors]
    assert values == sorted(values, reverse=True)
    opened.run("change('filter-class', '0', 'change');")
    assert opened.run("return texts('#list b').length;") == NUM_VIDEOS // 4
    assert opened.run("return texts('#count')[0];") == f"{NUM_VIDEOS // 4} of {NUM_VIDEOS} videos"
    opened.run("change('filter-class', 'normal', 'change');")
    assert opened.run("return texts('#list small span:nth-child(1)');") == ["Normal"] * 20
    opened.run("change('filter-class', '', 'change');")
    opened.run("change('filter-outcome', 'detected', 'change');")
    assert set(opened.run("return texts('#list small span:nth-child(2)');")) == {"detected"}
    opened.run("change('sort', 'id', 'change');")
    names = opened.run("return texts('#list b');")
    assert names == sorted(names)
    assert opened.faults == []


def test_names_are_shown_as_they_are(opened: Browser) -> None:
    opened.run("change('filter-name', 'ONERROR', 'input');")
    assert opened.run("return texts('#video-name')[0];").startswith(EVIL)
    assert opened.run("return document.querySelectorAll('img').length;") == 0
    opened.run("await frame();")
    assert "<b>Fire & smoke</b>" in opened.run("return texts('#timeline text');")
    assert opened.faults == []


def test_keys_step_through_the_list(opened: Browser) -> None:
    order = opened.run("return texts('#list b');")
    opened.press("j")
    opened.press("j")
    assert opened.run("return chosen();") == order[2]
    opened.press("k")
    assert opened.run("return chosen();") == order[1]
    opened.run("document.getElementById('list').focus();")
    opened.press("End")
    assert opened.run("return chosen();") == order[-1]
    opened.press("ArrowUp")
    assert opened.run("return chosen();") == order[-2]
    opened.press("/")
    assert opened.run("return document.activeElement.id;") == "filter-name"
    assert opened.faults == []


def test_the_mouse_reads_values_off_the_timeline(opened: Browser) -> None:
    opened.run("change('filter-name', 'video003', 'input'); await frame();")
    assert opened.run(
        "return document.getElementById('timeline').data.map((trace) => trace.name);"
    ) == ["score", "annotated", "detected", "shift ratio"]
    box = opened.run(
        "document.getElementById('timeline').scrollIntoView(); await pause(200);"
        "const box = document.querySelector('#timeline .nsewdrag').getBoundingClientRect();"
        "return [box.left, box.top, box.width, box.height];"
    )
    left, top, width, height = box
    # Scores are drawn from the left of their segment: aim at the start of the third.
    opened.move_mouse(left + width * 2 / 33, top + 0.8 * height)
    opened.run("await pause(300);")
    scores = scored_split().results[3].scores
    hovered = " ".join(opened.run("return texts('#timeline .hoverlayer text');"))
    assert re.search(r"score 0\.\d{4}", hovered)
    value = float(re.search(r"score (0\.\d{4})", hovered)[1])
    assert np.abs(scores - value).min() < 1e-4
    assert opened.faults == []


def test_the_projection_shows_every_video_or_says_why_not(opened: Browser) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    count = "return document.getElementById('projection').data.map((trace) => trace.x.length);"
    assert sum(opened.run(count)) == NUM_VIDEOS + TAXONOMY.num_categories
    opened.run(
        "document.getElementById('projection').emit('plotly_click', {points: [{customdata: 7}]});"
    )
    assert opened.run("return texts('#video-name')[0];") == "video007 (<b>)"
    assert opened.faults == []


def test_light_and_dark(opened: Browser) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor;"
    assert opened.run(ground) == "rgb(255, 255, 255)"
    opened.run("document.getElementById('theme').click();")
    assert opened.run(ground) == "rgb(20, 24, 28)"
    assert opened.faults == []


def test_a_phone_shows_it_without_scrolling_sideways(page: pathlib.Path, browser: Browser) -> None:
    browser.open(page, width=390, height=844)
    wide = "return [document.documentElement.scrollWidth, window.innerWidth];"
    assert browser.run(wide) == [390, 390]
