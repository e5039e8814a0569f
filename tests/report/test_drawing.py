"""Figures in other processes: the same files, and errors reach the caller."""

import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from refinevad_jax.report import drawing, figures

PANEL = figures.Panel("v", np.arange(5.0))


def test_other_processes_draw_the_same_figures(tmp_path: pathlib.Path) -> None:
    for name, apart in (("apart.png", True), ("here.png", False)):
        with drawing.started(apart=apart) as draw:
            draw(figures.save_score_curve, tmp_path / name, PANEL)
            draw.wait()
            assert (tmp_path / name).stat().st_size
    assert (tmp_path / "apart.png").read_bytes() == (tmp_path / "here.png").read_bytes()


def test_waiting_raises_what_drawing_raised(tmp_path: pathlib.Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        draw = drawing.Drawing(pool)
        draw(figures.save_score_curve, tmp_path / "no folder" / "curve.png", PANEL)
        with pytest.raises(FileNotFoundError):
            draw.wait()
