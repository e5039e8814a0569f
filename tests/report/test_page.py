"""report.html: one file, safe against names, and alive in a real browser."""

import dataclasses
import pathlib
import re

import numpy as np
import pytest

from refinevad_jax.data.bags import Bag, BagsInfo, Modality
from refinevad_jax.data.taxonomy import Taxonomy
from refinevad_jax.evaluation.numbers import measure
from refinevad_jax.evaluation.outcomes import outcomes
from refinevad_jax.evaluation.page_content import page_content
from refinevad_jax.evaluation.run import Settings, write_evaluation
from refinevad_jax.evaluation.scored_split import ScoredSplit
from refinevad_jax.evaluation.scoring import VideoScores
from refinevad_jax.metrics.names import CONVENTIONS, EVALUATION, RULES, shown_in
from refinevad_jax.report.page import script_json, write_page
from refinevad_jax.report.tables import number, percent, short_percent, threshold_text
from refinevad_jax.report.terms import TERMS
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


def without_truth(split: ScoredSplit, count: int = NUM_VIDEOS) -> ScoredSplit:
    """The same split; where something happens in the first videos is not known."""
    empty = np.zeros((0, 3), np.int32)
    bags = [
        dataclasses.replace(bag, has_truth=False, spans=empty) if index < count else bag
        for index, bag in enumerate(split.bags)
    ]
    return dataclasses.replace(split, bags=bags)


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


def test_every_metric_is_in_the_table(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    for metric in shown_in(EVALUATION):
        assert metric.title in text


def test_numbers_in_words() -> None:
    assert number(None) == percent(None) == short_percent(None) == threshold_text(None) == "–"
    assert (percent(0.12345), short_percent(0.12345)) == ("12.35", "12.3 %")
    assert [threshold_text(x) for x in (0.8465, 0.99995, 0.0002, 1.0, 0.0, -3.5)] == [
        "0.847", "0.99995", "0.0002", "1.000", "0.000", "-3.500",
    ]  # fmt: skip


def test_every_convention_has_an_explanation() -> None:
    assert {*CONVENTIONS, *RULES.values()} <= TERMS.keys()


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


def test_the_projection_shows_every_video(opened: Browser) -> None:
    count = "return document.getElementById('projection').data.map((trace) => trace.x.length);"
    assert sum(opened.run(count)) == NUM_VIDEOS + TAXONOMY.num_categories
    opened.run(
        "document.getElementById('projection').emit('plotly_click', {points: [{customdata: 7}]});"
    )
    assert opened.run("return texts('#video-name')[0];") == "video007 (<b>)"
    assert opened.faults == []


def test_three_numbers_come_first_and_details_are_folded(opened: Browser) -> None:
    titles = ["frame AUC", "anomalous frames found", "video AUC"]
    assert opened.run("return texts('.card h2').map((text) => text.trim());") == titles
    order = opened.run("return [...document.querySelectorAll('section')].map((node) => node.id);")
    assert order[:3] == ["headline", "curves", "videos"] and order[-1] == "details"
    hidden = "return [...document.querySelectorAll('details')].map((node) => node.open);"
    assert opened.run(hidden) == [False] * 4
    assert opened.run(
        "return document.querySelector('#protocol').textContent.includes('Truth hash');"
    )
    # Paper cannot be unfolded.
    opened.run("document.getElementById('theme').click(); dispatchEvent(new Event('beforeprint'));")
    assert opened.run(hidden) == [True] * 4
    assert not opened.run("return document.documentElement.classList.contains('dark');")
    assert opened.faults == []


def test_filters_that_no_video_passes_say_so(opened: Browser) -> None:
    opened.run("change('filter-name', 'nothing is called this', 'input');")
    shown = "return ['none', 'browser'].map((id) => !document.getElementById(id).hidden);"
    assert opened.run(shown) == [True, False]
    assert opened.run("return texts('#none')[0];").startswith("No video passes these filters.")
    assert opened.run("return texts('#count')[0];") == f"0 of {NUM_VIDEOS} videos"
    opened.run("document.getElementById('clear').click();")
    assert opened.run(shown) == [False, True]
    assert opened.run("return texts('#list b').length;") == NUM_VIDEOS
    assert opened.faults == []


def test_probabilities_are_drawn_from_0_to_1(opened: Browser) -> None:
    opened.run("change('filter-name', 'video000', 'input'); await frame();")
    ranges = opened.run(
        "return ['timeline', 'distribution', 'bars'].map((id) =>"
        " document.getElementById(id).layout.yaxis.range);"
    )
    assert ranges == [[0, 1.02], [0, 1], [0, 1]]
    opened.run("change('scale', 'odds', 'change'); await frame();")
    low, high = opened.run("return document.getElementById('timeline').layout.yaxis.range;")
    assert low == -high and high > np.log(1e6 - 1)
    scores = scored_split().results[0].scores.astype(float)
    drawn = opened.run("return [...document.getElementById('timeline').data[0].y];")
    np.testing.assert_allclose(drawn[:-1], np.log(scores / (1 - scores)), rtol=1e-5)
    assert opened.faults == []


def test_terms_are_explained_on_hover_and_focus(opened: Browser) -> None:
    tip = (
        "const tip = document.getElementById('tooltip'); return tip.hidden ? '' : tip.textContent;"
    )
    term = "[...document.querySelectorAll('.term')].find((node) => node.textContent === '{}')"
    opened.run(f"{term.format('operating point')}.focus();")
    assert opened.run(tip) == TERMS["operating point"]
    opened.press("Escape")
    assert opened.run(tip) == ""
    box = opened.run(
        f"const term = {term.format('video score')}; term.scrollIntoView(); await pause(100);"
        "const box = term.getBoundingClientRect(); return [box.left + 5, box.top + 5];"
    )
    opened.move_mouse(*box)
    opened.run("await pause(100);")
    assert opened.run(tip) == TERMS["video score"]
    # Whoever listens instead of looking gets the same text.
    unexplained = opened.run(
        "return [...document.querySelectorAll('.term')].filter((node) =>"
        " !document.getElementById(node.getAttribute('aria-describedby'))).length;"
    )
    assert unexplained == 0
    assert opened.faults == []


@pytest.fixture(scope="module")
def unannotated(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The page of a split without frame truth, of scores that name the category of each segment."""
    split = without_truth(scored_split())
    results = []
    for result in split.results:
        probs = np.stack([1 - result.scores, result.scores, result.scores / 2], axis=1)
        results.append(dataclasses.replace(result, category_map=probs))
    folder = tmp_path_factory.mktemp("page") / "results"
    split = dataclasses.replace(split, results=results, prototypes=None)
    write_evaluation(split, PROTOCOL, folder, Settings(num_curves=0))
    return folder / "report.html"


def test_without_frame_truth_the_page_is_of_videos(
    unannotated: pathlib.Path, browser: Browser
) -> None:
    browser.open(unannotated)
    browser.run(HELPERS)
    assert browser.run("return texts('.card h2').map((text) => text.trim())[0];") == "video AUC"
    assert "--annotations=FILE" in browser.run("return texts('#missing-truth')[0];")
    titles = browser.run("return texts('#roc .gtitle, #pr .gtitle');")
    assert [title.split(",")[0] for title in titles] == [
        "ROC over videos",
        "Precision and recall over videos",
    ]
    facts = dict(
        browser.run(
            "return [...document.querySelectorAll('#protocol tr')].map((row) =>"
            " [...row.children].map((cell) => cell.textContent));"
        )
    )
    assert facts["Frames"] == facts["Truth hash"] == "none: no video has frame truth"
    assert "–" not in browser.run("return texts('#numbers tbody td:nth-child(2)');")
    assert "frame AUC" in browser.run("return texts('#numbers .note')[0];")
    assert browser.faults == []


POINTS = [
    {
        "target_false_alarm_rate": rate,
        "threshold": threshold,
        "false_alarm_rate": rate,
        "detection_rate": None,
        "anomalous_videos_found": found,
    }
    for rate, threshold, found in ((0.001, 0.9, 0.25), (0.01, 0.8, 0.5), (0.05, 0.7, 0.75))
]
RELIABILITY = [{"num_videos": n, "mean_score": 0.1, "anomalous_share": 0.2} for n in (4, 0)]


def test_operating_points_and_calibration_are_shown(
    tmp_path: pathlib.Path, browser: Browser
) -> None:
    split = without_truth(scored_split())
    metrics = measure(split) | PROTOCOL
    metrics["operating_points"] = POINTS
    metrics["alarm_threshold"] = {"threshold": 0.8, "source": "1 % false alarms on val"}
    metrics["calibration"] = {
        "note": "",
        "before": {"brier": 0.3, "reliability": RELIABILITY},
        "after": {"brier": 0.2, "reliability": RELIABILITY},
    }
    content = page_content(split, outcomes(split, 0.8), metrics, {})
    write_page(tmp_path / "report.html", content)
    browser.open(tmp_path / "report.html")
    browser.run(HELPERS)
    assert browser.run("return texts('#curves tbody tr').length;") == 3
    chosen = "return texts('#curves .chosen td');"
    assert browser.run(chosen) == ["1 % false alarms", "0.800", "1.0 %", "–", "50.0 %"]
    values = browser.run("return texts('.card .value');")
    assert values == [number(metrics["video_auc"]), "50.0 %", number(metrics["video_ap"])]
    notes = " ".join(browser.run("return texts('#curves p');")).split("\n")
    assert "(1 % false alarms on val)" in " ".join(notes)
    assert "0.2000 with calibration" in " ".join(notes)
    assert "(1 % false alarms on val)" in browser.run("return texts('#verdict')[0];")
    count = "return document.getElementById('reliability').data.map((trace) => trace.x.length);"
    assert browser.run(count) == [1, 1, 2]  # a bin without videos has no point
    assert browser.faults == []


def test_categories_of_segments_are_drawn(unannotated: pathlib.Path, browser: Browser) -> None:
    browser.open(unannotated)
    browser.run(HELPERS + "change('filter-name', 'video003', 'input'); await frame();")
    drawn = browser.run(
        "const { data } = document.getElementById('timeline');"
        "const map = data.find((trace) => trace.type === 'heatmap');"
        "return {z: map.z.map((row) => [...row]), range: [map.zmin, map.zmax]};"
    )
    scores = scored_split().results[3].scores
    np.testing.assert_allclose(drawn["z"], [scores, scores / 2], atol=1 / 255)
    assert drawn["range"] == [0, 1]
    assert browser.faults == []


def test_a_split_of_normal_videos_says_what_is_missing(
    tmp_path: pathlib.Path, browser: Browser
) -> None:
    split = without_truth(scored_split())
    kept = [index for index, bag in enumerate(split.bags) if not bag.anomalous]
    split = dataclasses.replace(
        split,
        bags=[split.bags[index] for index in kept],
        results=[split.results[index] for index in kept],
    )
    write_evaluation(split, PROTOCOL, tmp_path / "results", Settings(num_curves=0))
    browser.open(tmp_path / "results" / "report.html")
    browser.run(HELPERS)
    assert browser.run("return texts('.card').length;") == 0
    assert browser.run("return texts('#headline .warning')[0];").startswith("No number is defined")
    assert browser.run("return texts('#curves .note')[0];").startswith("No curves")
    assert not browser.run("return document.getElementById('no-measure').hidden;")
    assert "mix the categories alike" in browser.run("return texts('#embeddings .note')[0];")
    assert browser.run("return texts('#list b').length;") == len(kept)
    assert browser.faults == []


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
    # What is wider scrolls by itself; its shadow is drawn on what does not move.
    assert browser.run("const node = document.querySelector('#curves .scroll');"
        "return node.scrollWidth > node.clientWidth;")  # fmt: skip


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_at_its_top(page: pathlib.Path, browser: Browser, width: int) -> None:
    browser.open(page, width=width, height=700)
    browser.run(HELPERS + "await pause(300);")
    assert browser.run("return window.scrollY;") == 0
    # The list moves to what the keys choose, the page does not.
    browser.run("document.getElementById('list').focus({preventScroll: true});")
    browser.press("End")
    browser.run("await pause(100);")
    assert browser.run("return window.scrollY;") == 0
    inside = (
        "const list = document.getElementById('list').getBoundingClientRect();"
        "const box = document.querySelector('#list [aria-selected=true]').getBoundingClientRect();"
        "return box.top >= list.top - 1 && box.bottom <= list.bottom + 1;"
    )
    assert browser.run(inside)
