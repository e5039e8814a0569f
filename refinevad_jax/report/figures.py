"""Figures as PNG or SVG files: score curves, ROC, precision-recall, bars per class.

matplotlib is used without pyplot, so that no display and no global state is involved, and is
imported only when a figure is drawn.
"""

import dataclasses
import functools
import pathlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

MAX_GRID_PANELS = 12
SUFFIXES = (".png", ".svg")

# Blue and orange stay apart for every kind of colour vision, and in print.
SCORE_COLOR = "#1f5a96"
TRUTH_COLOR = "#e08214"
TRUTH_SHADE = "#fbe3c6"
EVENT_COLOR = "#1f5a96"
SHIFT_COLOR = "#4d4d4d"
DPI = 150
# No random ids: the same figure gives the same bytes. Text stays text in SVG, so that it can be
# searched and read aloud, and a $ in a video's name is not a formula.
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "refinevad_jax",
    "svg.fonttype": "none",
    "text.parse_math": False,
}


def prepare() -> None:
    """Imports what draws, so that the first figure does not wait for it."""
    _figure(1, 1)


def _in_style(draw: Callable[..., None]) -> Callable[..., None]:
    """Texts take their style when they are made, ticks while they are drawn."""

    @functools.wraps(draw)
    def drawn(*arguments: Any, **options: Any) -> None:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            draw(*arguments, **options)

    return drawn


@dataclasses.dataclass(frozen=True)
class Interval:
    """A stretch of a video: start and end in the unit of its panel, and what happens there."""

    start: float
    end: float
    category: str = "anomaly"


@dataclasses.dataclass(frozen=True)
class Panel:
    """What is drawn of one video.

    Attributes:
        title: usually the video's name.
        scores: [T] anomaly scores, one per segment or frame.
        step: how long one score lasts, in `unit`: 16 (frames), 16 / fps (seconds).
        unit: "seconds" or "frames".
        truth: annotated stretches.
        events: detected stretches.
        shift_ratio: [T], drawn below the scores; None draws none.
    """

    title: str
    scores: np.ndarray
    step: float = 1.0
    unit: str = "frames"
    truth: Sequence[Interval] = ()
    events: Sequence[Interval] = ()
    shift_ratio: np.ndarray | None = None

    @property
    def duration(self) -> float:
        """Length of the video in `unit`."""
        return len(self.scores) * self.step


@_in_style
def save_score_curve(path: pathlib.Path, panel: Panel) -> None:
    """Draws one video: scores over the shaded truth, the stretches by category, the shift ratio."""
    categories = list(dict.fromkeys(i.category for i in (*panel.truth, *panel.events)))
    heights = [2.4]
    if categories:
        heights.append(0.1 + 0.28 * len(categories))
    if panel.shift_ratio is not None:
        heights.append(1.1)
    figure = _figure(10, sum(heights) + 0.9)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    _draw_scores(axes[0], panel)
    axes[0].set_title(_shortened(panel.title, 90), loc="left", fontsize=11)
    if categories:
        _draw_stretches(axes[1], panel, categories)
    if panel.shift_ratio is not None:
        values, edges = _steps(panel.shift_ratio, panel.step)
        axes[-1].stairs(values, edges, baseline=None, color=SHIFT_COLOR, linewidth=1.1)
        axes[-1].set_ylim(-0.03, 1.03)
        axes[-1].set_ylabel("shift ratio", fontsize=9)
        _strip(axes[-1])
    for upper in axes[:-1]:
        upper.tick_params(axis="x", length=0)
    _label_time(axes[-1], panel)
    figure.align_ylabels(axes)
    _add_legend(figure, axes[:2])
    _save(figure, path)


@_in_style
def save_score_grid(path: pathlib.Path, panels: Sequence[Panel]) -> None:
    """Draws a contact sheet of 1 to 12 videos, three per row; shift ratios are left out."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = _figure(4.4 * columns, 1.95 * rows + 0.7)
    cells = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(cells.flat, panels, strict=False):
        _draw_scores(axes, panel, small=True)
        categories = ", ".join(dict.fromkeys(i.category for i in panel.truth))
        named = len(categories) + 2 if categories else 0
        axes.set_title(_shortened(panel.title, 58 - named), loc="left", fontsize=8)
        axes.set_title(categories, loc="right", fontsize=8, color=TRUTH_COLOR, weight="bold")
        _label_time(axes, panel, small=True)
    for axes in cells.flat[len(panels) :]:
        axes.set_axis_off()
    for axes in cells[:, 1:].flat:
        axes.set_ylabel("")
    _add_legend(figure, cells.flat[: len(panels)])
    _save(figure, path)


@_in_style
def save_curves(path: pathlib.Path, curves: Mapping[str, Any]) -> None:
    """Draws ROC and precision-recall side by side.

    curves: "roc" and "pr" with x and y, "positive_share"; of `evaluation.page_content.curves`.
    """
    figure = _figure(8, 3.8)
    share = curves["positive_share"]
    labels = {
        "roc": ("false positive rate", "true positive rate", [0, 1]),
        "pr": ("recall", "precision", [share, share]),
    }
    for axes, (key, (x, y, chance)) in zip(figure.subplots(1, 2), labels.items(), strict=True):
        axes.plot(curves[key]["x"], curves[key]["y"], color=SCORE_COLOR, linewidth=1.6)
        axes.plot([0, 1], chance, color="0.5", linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.01))
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


@_in_style
def save_class_bars(
    path: pathlib.Path,
    categories: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    *,
    label: str,
) -> None:
    """Draws one group of bars per category: C values in [0, 1], None for no bar.

    series: one or two of these, by name.
    """
    figure = _figure(max(4.0, 0.62 * len(categories) + 1), 3.4)
    axes = figure.subplots()
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        places = np.arange(len(categories)) + (number - (len(series) - 1) / 2) * width
        heights = [value or 0.0 for value in values]
        axes.bar(places, heights, width, color=(SCORE_COLOR, TRUTH_COLOR)[number], label=name)
    axes.set_xticks(range(len(categories)), labels=categories, rotation=35, ha="right")
    axes.set(ylabel=label, ylim=(0, 1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.5", alpha=0.2)
    axes.set_axisbelow(True)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def _draw_scores(axes: Any, panel: Panel, *, small: bool = False) -> None:
    values, edges = _steps(panel.scores, panel.step)
    axes.stairs(values, edges, fill=True, color=SCORE_COLOR, alpha=0.12, linewidth=0)
    width = 1.0 if small else 1.3
    axes.stairs(values, edges, baseline=None, color=SCORE_COLOR, linewidth=width, label="score")
    for start, end in _union(panel.truth):
        # Below the curve, which keeps its colour.
        axes.axvspan(start, end, facecolor=TRUTH_SHADE, linewidth=0, zorder=0.5, label="annotated")
    if small:  # the single figure shows events by category, in their own rows
        for start, end in _union(panel.events):
            axes.axvspan(start, end, 0, 0.04, facecolor=EVENT_COLOR, linewidth=0, label="detected")
    finite = values[np.isfinite(values)]
    if not finite.size or (finite.min() >= 0 and finite.max() <= 1):
        axes.set_ylim(0, 1.02)
        axes.set_yticks([0, 0.5, 1] if small else [0, 0.25, 0.5, 0.75, 1])
    axes.set_ylabel("score" if small else "anomaly score", fontsize=8 if small else 9)
    _strip(axes, small=small)


def _draw_stretches(axes: Any, panel: Panel, categories: Sequence[str]) -> None:
    """One row per category: annotated stretches above, detected ones below the row's middle."""
    kinds = (
        (panel.truth, 0.04, TRUTH_COLOR, "annotated"),
        (panel.events, -0.36, EVENT_COLOR, "detected"),
    )
    for stretches, offset, color, label in kinds:
        for stretch in stretches:
            bar = [(stretch.start, stretch.end - stretch.start)]
            row = -categories.index(stretch.category)
            axes.broken_barh(bar, (row + offset, 0.32), facecolor=color, label=label)
    axes.set_yticks([-row for row in range(len(categories))], labels=categories)
    axes.set_ylim(-len(categories) + 0.5, 0.5)
    _strip(axes)
    axes.tick_params(axis="y", length=0)


def _union(stretches: Sequence[Interval]) -> list[tuple[float, float]]:
    """Joins stretches that overlap, whatever their category."""
    joined: list[tuple[float, float]] = []
    for stretch in sorted(stretches, key=lambda s: s.start):
        if joined and stretch.start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stretch.end))
        else:
            joined.append((stretch.start, stretch.end))
    return joined


def _steps(values: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Joins neighbours of equal value, so that frame scores draw as fast as segment scores.

    Returns [M] values and the [M + 1] edges between them.
    """
    values = np.asarray(values, np.float64)
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return values[starts], np.append(starts, len(values)) * step


def _label_time(axes: Any, panel: Panel, *, small: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

    axes.set_xlim(0, panel.duration)
    label = {"seconds": "time (s)", "frames": "frame"}[panel.unit]
    most = 5 if small else 10
    if panel.unit == "seconds" and panel.duration > 120:
        label = "time (min:s)"
        spacings = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
        fitting = [s for s in spacings if panel.duration / s <= most] or [spacings[-1]]
        axes.xaxis.set_major_locator(MultipleLocator(fitting[0]))
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda x, _: f"{int(x) // 60}:{int(x) % 60:02d}")
        )
    else:
        axes.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
        if panel.duration >= 1e4:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_xlabel(label, fontsize=8 if small else 9, labelpad=1 if small else 4)


def _strip(axes: Any, *, small: bool = False) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7 if small else 8)
    axes.grid(axis="y" if small else "both", color="0.5", alpha=0.2, linewidth=0.6)
    axes.set_axisbelow(True)


def _add_legend(figure: Any, all_axes: Any) -> None:
    """One legend for all axes, above them; none if there is only the score."""
    entries: dict[str, Any] = {}
    for axes in all_axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    shown = ("score", "annotated", "detected")
    labels = [label for label in shown if label in entries]
    if len(labels) > 1:
        place = {"loc": "outside upper right", "ncols": len(labels)}
        handles = [entries[label] for label in labels]
        figure.legend(handles, labels, fontsize=8, frameon=False, **place)


def _shortened(title: str, limit: int) -> str:
    """Cuts the middle out of a long title: both ends of a video's name tell videos apart."""
    if len(title) <= limit:
        return title
    kept = max(limit - 1, 2)
    return f"{title[: kept - kept // 2]}…{title[-(kept // 2) :]}"


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _save(figure: Any, path: pathlib.Path) -> None:
    """Writes the figure in place: path is in a folder that appears whole."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with warnings.catch_warnings():
        # Signs that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="(?s)Glyph .* missing", category=UserWarning)
        if path.suffix == ".png":
            # Without the second drawing, for the layout alone, of `savefig`.
            FigureCanvasAgg(figure).print_png(path)
        else:
            figure.savefig(path, metadata={"Date": None})
