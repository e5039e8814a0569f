"""compare.html in a browser, and the command that makes it."""

import pathlib
import subprocess

import pytest

from refinevad_jax.evaluation.comparison import comparison, read_compared
from refinevad_jax.evaluation.run import Settings, write_evaluation
from refinevad_jax.metrics import names
from refinevad_jax.report import compare_page
from tests.browser import Browser
from tests.conftest import call
from tests.report.test_page import PROTOCOL, scored_split

ROOT = pathlib.Path(__file__).parents[2]
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("compared") / "results"
    write_evaluation(scored_split(), PROTOCOL, folder, Settings(num_curves=0, report=False))
    return folder


@pytest.fixture(scope="module")
def content(run: pathlib.Path) -> dict:
    return comparison([read_compared(name, [run]) for name in ("first", EVIL)])


def test_runs_stand_side_by_side(content: dict, tmp_path: pathlib.Path, browser: Browser) -> None:
    compare_page.write_page(tmp_path / "compare.html", content)
    browser.open(tmp_path / "compare.html")
    columns = browser.run("return [...document.querySelectorAll('th')].map((n) => n.textContent);")
    assert columns[:3] == ["metric", "first", EVIL]
    legend = "return [...document.querySelectorAll('#roc .legendtext')].map((n) => n.textContent);"
    assert browser.run(legend) == ["first", EVIL]
    assert browser.run("return document.querySelectorAll('#bars .bars .point').length;") == 4
    assert browser.run("return document.querySelectorAll('img').length;") == 0
    assert browser.faults == []
    assert browser.requests == []


def test_a_group_of_seeds_is_one_column_of_means(
    run: pathlib.Path, tmp_path: pathlib.Path, browser: Browser
) -> None:
    runs = [read_compared("group", [run, run]), read_compared("alone", [run])]
    content = comparison(runs)
    value = content["runs"][0]["metrics"][0]["frame_ap"]
    compare_page.write_page(tmp_path / "compare.html", content)
    browser.open(tmp_path / "compare.html", width=390)
    text = browser.run("return document.body.textContent;")
    assert f"{value:.4f} ± 0.0000" in text and "One line per seed." in text
    assert "Intervals and p cover videos and seeds (1 against 2)." in text
    for note in names.CONVENTIONS.values():
        assert note in text
    assert browser.run("return document.querySelectorAll('#roc .legendtext').length;") == 2
    assert browser.run("return document.querySelectorAll('#roc .scatterlayer .trace').length;") == 3
    assert browser.run("return document.documentElement.scrollWidth;") <= 390
    assert browser.faults == []
    lines = compare_page.table(content).splitlines()
    assert lines[0] == "alone minus group: intervals and p cover videos and seeds (1 against 2)"
    assert lines[1].split()[:7] == ["video", "AUC", "1.0000", "-", "1.0000", "±", "0.0000"]


def test_a_run_without_core_beside_one_with_it(content: dict, tmp_path: pathlib.Path) -> None:
    one, other = content["runs"]
    metrics = [seed | {"mixture_target": {"single_video_auc": 0.8125}} for seed in one["metrics"]]
    runs = [other, one | {"metrics": metrics}]
    compare_page.write_page(tmp_path / "compare.html", content | {"runs": runs})
    text = (tmp_path / "compare.html").read_text()
    row = text.partition("target of L_GMM")[2].partition("</tr>")[0]
    assert "–" in row and "0.8125" in row


def test_the_printed_table_names_both_runs(content: dict) -> None:
    lines = compare_page.table(content).splitlines()
    assert lines[0].startswith(f"{EVIL} minus first: intervals and p cover videos only, not seeds")
    assert any("= 0.0000 [0.0000, 0.0000] p = 1.000" in " ".join(line.split()) for line in lines)


def test_the_command_takes_runs_without_a_flag(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def compare(*arguments: str) -> subprocess.CompletedProcess[str]:
        return call("refinevad_jax.compare", *arguments)

    page = tmp_path / "compare.html"
    done = compare(f"a={run}", str(run), "--output", str(page))
    assert done.returncode == 0, done.stderr
    assert f"{run} minus a" in done.stdout
    assert page.stat().st_size > 1_000_000
    before = page.read_bytes()
    (tmp_path / "file").write_text("")
    for arguments, message in (
        ([str(run)], "two runs or more"),
        ([str(run), str(run)], "names two runs; give names as NAME=FOLDER"),
        ([str(run), str(tmp_path)], "no metrics.json"),
        ([str(run), f"a={run}", f"--output={tmp_path}/file/page.html"], "file: File exists"),
    ):
        done = compare(f"--output={page}", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert page.read_bytes() == before
