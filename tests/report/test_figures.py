import pathlib
import struct
import subprocess
import sys
import xml.etree.ElementTree

import numpy as np
import pytest

from refinevad_jax.report import figures
from refinevad_jax.report.figures import Interval, Panel

SCORES = np.linspace(0, 1, 40)


def panel(**changes):
    fields = {
        "title": "Explosion004_x264",
        "scores": SCORES,
        "step": 16 / 30,
        "unit": "seconds",
        "truth": [Interval(4, 9, "Explosion"), Interval(8, 12, "Shooting")],
        "events": [Interval(5, 8, "Riot")],
        "shift_ratio": 1 - SCORES,
    }
    return Panel(**{**fields, **changes})


def svg_texts(path):
    root = xml.etree.ElementTree.parse(path).getroot()
    return [text for element in root.iter() for text in [element.text] if text and text.strip()]


def test_curve_names_units_categories_and_series(tmp_path):
    figures.save_score_curve(tmp_path / "curve.svg", panel())
    texts = svg_texts(tmp_path / "curve.svg")
    wanted = {
        "Explosion004_x264", "anomaly score", "time (s)", "Explosion", "Shooting", "Riot",
        "annotated", "detected", "shift ratio",
    }  # fmt: skip
    assert wanted <= set(texts)


def test_bare_panel_draws_the_scores_alone(tmp_path):
    bare = Panel(title="normal", scores=SCORES)
    figures.save_score_curve(tmp_path / "curve.svg", bare)
    texts = svg_texts(tmp_path / "curve.svg")
    assert {"normal", "anomaly score", "frame"} <= set(texts)
    assert not {"annotated", "detected", "shift ratio"} & set(texts)


@pytest.mark.parametrize(
    ("unit", "step", "label"),
    [("frames", 16, "frame"), ("seconds", 30, "time (min:s)")],
)
def test_time_axis_is_labelled_with_its_unit(tmp_path, unit, step, label):
    figures.save_score_curve(tmp_path / "curve.svg", panel(unit=unit, step=step))
    assert label in svg_texts(tmp_path / "curve.svg")


def test_png_is_complete_and_wide_enough(tmp_path):
    figures.save_score_curve(tmp_path / "curve.png", panel())
    data = (tmp_path / "curve.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", data[16:24])
    assert width >= 1400 and height >= 400


def test_same_panel_gives_the_same_bytes(tmp_path):
    for suffix in figures.SUFFIXES:
        for name in ("a", "b"):
            figures.save_score_curve(tmp_path / f"{name}{suffix}", panel())
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_nothing_but_the_figure_is_left(tmp_path):
    figures.save_score_curve(tmp_path / "curve.png", panel())
    figures.save_score_curve(tmp_path / "curve.png", panel())
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


@pytest.mark.parametrize("count", [1, 4, 12])
def test_grid_shows_every_panel(tmp_path, count):
    panels = [panel(title=f"video{i:02d}", step=0.5 + i) for i in range(count)]
    figures.save_score_grid(tmp_path / "grid.svg", panels)
    texts = svg_texts(tmp_path / "grid.svg")
    assert {f"video{i:02d}" for i in range(count)} <= set(texts)
    assert texts.count("Explosion, Shooting") == count


def test_scores_beyond_one_and_missing_scores_are_drawn(tmp_path):
    scores = np.array([np.nan, -2.0, 7.0, np.nan])
    figures.save_score_curve(tmp_path / "curve.png", Panel(title="logits", scores=scores))
    figures.save_score_curve(tmp_path / "none.png", Panel(title="none", scores=scores * np.nan))
    assert (tmp_path / "none.png").stat().st_size > 0


def test_long_titles_lose_their_middle(tmp_path):
    title = "Bad.Boys.II.2003__#00-06-42_00-10-00_label_B2-G-0" * 3
    figures.save_score_curve(tmp_path / "curve.svg", panel(title=title))
    shown = next(text for text in svg_texts(tmp_path / "curve.svg") if "…" in text)
    assert shown.startswith("Bad.Boys") and shown.endswith("B2-G-0") and len(shown) <= 90


def test_a_dollar_in_a_name_is_no_formula(tmp_path):
    figures.save_score_curve(tmp_path / "curve.svg", panel(title=r"pay $\frac now$"))
    assert r"pay $\frac now$" in svg_texts(tmp_path / "curve.svg")


CURVES = {
    "roc": {"x": [0, 0.5, 1], "y": [0, 0.9, 1]},
    "pr": {"x": [0, 1], "y": [1, 0.3]},
    "positive_share": 0.3,
}


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_figures_are_written_and_the_same_every_time(tmp_path: pathlib.Path, suffix: str) -> None:
    for number in range(2):
        figures.save_curves(tmp_path / f"curves{number}{suffix}", CURVES)
        series = {"one": [0.5, None], "two": [0.7, 0.9]}
        figures.save_class_bars(
            tmp_path / f"bars{number}{suffix}", ["Arson", "$x$ <b>"], series, label="AUC"
        )
    for name in ("curves", "bars"):
        first, second = (tmp_path / f"{name}{i}{suffix}" for i in range(2))
        assert first.read_bytes() == second.read_bytes()
        assert first.stat().st_size > 1000


def test_names_and_labels_stand_in_the_svg(tmp_path: pathlib.Path) -> None:
    figures.save_class_bars(
        tmp_path / "bars.svg", ["Arson", "$x$ <b>"], {"one": [1, 0]}, label="frame AUC"
    )
    text = (tmp_path / "bars.svg").read_text()
    assert "Arson" in text
    assert "$x$ &lt;b&gt;" in text
    assert "frame AUC" in text


def test_pyplot_is_not_imported(tmp_path):
    program = (
        "import pathlib, sys, numpy as np\n"
        "from refinevad_jax.report import figures\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"figures.save_score_curve(pathlib.Path({str(tmp_path / 'c.png')!r}),"
        " figures.Panel('v', np.arange(5.0)))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
