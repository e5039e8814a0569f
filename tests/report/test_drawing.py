"""Figures in other processes: the same files, and errors reach the caller."""

import pathlib
import threading
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from refinevad_jax.errors import UserError
from refinevad_jax.report import drawing, figures

PANEL = figures.Panel("v", np.arange(5.0))


def test_other_processes_draw_the_same_figures(tmp_path: pathlib.Path) -> None:
    for name, apart in (("apart.png", True), ("here.png", False)):
        with drawing.started(apart=apart) as draw:
            with draw.finished():
                draw(figures.save_score_curve, tmp_path / name, PANEL)
            assert (tmp_path / name).stat().st_size
    assert (tmp_path / "apart.png").read_bytes() == (tmp_path / "here.png").read_bytes()


def test_an_error_of_drawing_is_raised_and_ends_the_rest(tmp_path: pathlib.Path) -> None:
    drawn: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        draw = drawing.Drawing(pool)
        with pytest.raises(FileNotFoundError), draw.finished():
            draw(figures.save_score_curve, tmp_path / "no folder" / "curve.png", PANEL)
        with pytest.raises(KeyError), draw.finished():
            free = threading.Event()
            draw(free.wait)
            draw(drawn.append, 1)
            threading.Timer(0.01, free.set).start()
            raise KeyError
    assert not drawn


class KilledPool(Executor):
    """Takes one job; its process is killed, and then it takes no more."""

    def __init__(self) -> None:
        self.killed = False

    def submit(self, *_: Any) -> Future[Any]:  # type: ignore[override]
        if self.killed:
            raise BrokenExecutor
        self.killed = True
        future: Future[Any] = Future()
        future.set_exception(BrokenExecutor())
        return future


def test_what_a_killed_process_had_to_draw_is_drawn_here() -> None:
    drawn: list[int] = []
    draw = drawing.Drawing(KilledPool())
    with draw.finished():
        draw(drawn.append, 1)
        draw(drawn.append, 2)
    assert sorted(drawn) == [1, 2]


def test_a_broken_matplotlib_is_one_line_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise AttributeError("_ARRAY_API not found")

    monkeypatch.setattr(figures, "prepare", broken)
    with ThreadPoolExecutor(1) as pool:
        for draw in (drawing.Drawing(pool), drawing.Drawing(None)):
            with pytest.raises(UserError, match=r"_ARRAY.*--force-reinstall"), draw.finished():
                draw(broken)
