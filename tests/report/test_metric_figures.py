"""Figures for a paper: both formats, names as they are, gaps where a number is not defined."""

import pathlib

import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.report.metric_figures import save_class_bars, save_curves

CURVES = {
    "roc": {"x": [0, 0.5, 1], "y": [0, 0.9, 1]},
    "pr": {"x": [0, 1], "y": [1, 0.3]},
    "positive_share": 0.3,
}


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_figures_are_written_and_the_same_every_time(tmp_path: pathlib.Path, suffix: str) -> None:
    for number in range(2):
        save_curves(tmp_path / f"curves{number}{suffix}", CURVES)
        series = {"one": [0.5, None], "two": [0.7, 0.9]}
        save_class_bars(
            tmp_path / f"bars{number}{suffix}", ["Arson", "$x$ <b>"], series, label="AUC"
        )
    for name in ("curves", "bars"):
        first, second = (tmp_path / f"{name}{i}{suffix}" for i in range(2))
        assert first.read_bytes() == second.read_bytes()
        assert first.stat().st_size > 1000


def test_names_and_labels_stand_in_the_svg(tmp_path: pathlib.Path) -> None:
    save_class_bars(tmp_path / "bars.svg", ["Arson", "$x$ <b>"], {"one": [1, 0]}, label="frame AUC")
    text = (tmp_path / "bars.svg").read_text()
    assert "Arson" in text
    assert "$x$ &lt;b&gt;" in text
    assert "frame AUC" in text


def test_other_formats_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"\.png or \.svg"):
        save_curves(tmp_path / "curves.pdf", CURVES)
