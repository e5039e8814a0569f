"""ROC, precision-recall and per-class figures of an evaluation as PNG or SVG, for a paper."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from refinevad_jax.report.figures import EVENT_COLOR, SCORE_COLOR, TRUTH_COLOR, checked, save


def save_curves(path: str | os.PathLike[str], curves: Mapping[str, Any]) -> None:
    """Draws ROC and precision-recall side by side.

    curves: "roc" and "pr" with x and y, "positive_share", as `evaluation.page_content` makes them.
    Raises UserError for a suffix other than .png and .svg, or a folder that cannot be written to.
    """
    path = checked(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.8), layout="constrained")
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
    save(figure, path)


def save_class_bars(
    path: str | os.PathLike[str],
    categories: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    *,
    label: str,
) -> None:
    """Draws one group of bars a category: series by name, C values in [0, 1], None for no bar.

    Raises UserError as save_curves does.
    """
    path = checked(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(4.0, 0.62 * len(categories) + 1), 3.4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(series)
    colors = (SCORE_COLOR, TRUTH_COLOR, EVENT_COLOR)
    for number, (name, values) in enumerate(series.items()):
        places = [i + (number - (len(series) - 1) / 2) * width for i in range(len(categories))]
        heights = [value or 0.0 for value in values]
        axes.bar(places, heights, width, color=colors[number % len(colors)], label=name)
    axes.set_xticks(range(len(categories)), labels=categories, rotation=35, ha="right")
    axes.set(ylabel=label, ylim=(0, 1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.5", alpha=0.2)
    axes.set_axisbelow(True)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=8)
    save(figure, path)
