"""The ladder as a table: mean and spread over seeds, differences, what does not help."""

import csv
import dataclasses
import datetime
import functools
import io
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refinevad_jax.files.staged import write_text
from refinevad_jax.metrics import bootstrap, names
from refinevad_jax.metrics.names import Metric
from refinevad_jax.report.page import write_html
from refinevad_jax.report.tables import (
    Block,
    commits,
    markdown_table,
    mean_and_deviation,
    measured_on,
    signed,
    spread,
)

NOTE = (
    "Mean ± standard deviation over the seeds. Differences are those of the means, with a 95 % "
    "interval over seeds and videos: the same 1,000 draws of videos for all rows, and Student's t "
    "with the pooled deviation of the seeds of both rows. With one seed per row the interval "
    "covers videos only. It is not corrected for the number of comparisons: about one in twenty "
    "without any effect seems to have one. mAP@IoU is that of proposals, mean over IoU 0.1 to 0.5 "
    "(or 0.3 to 0.5) and the anomaly categories. The paper's column is its own ablation on "
    "features that have not been published: only the order of rows can be compared."
)


# Title of each column, and what it says of a row.
Columns = dict[str, "Callable[[LadderRow], str]"]


@dataclasses.dataclass(frozen=True)
class LadderRow:
    """One row.

    Attributes:
        name: of the row.
        part: what full has and it lacks.
        paper_auc: the paper's figure.
        contents: metrics.json of each of S seeds.
        drawn: the metrics that draws of videos give, by key: [S, 1 + R] as of
            `bootstrap.on_draws`, the same draws in all rows.
    """

    name: str
    part: str
    paper_auc: float | None
    contents: Sequence[Mapping[str, Any]]
    drawn: Mapping[str, np.ndarray]

    def values(self, metric: Metric) -> list[float | None]:
        """A metric of every seed, None if it is not defined."""
        return [metric.of(content) for content in self.contents]


def write(
    folder: pathlib.Path,
    rows: Sequence[LadderRow],
    *,
    base: str,
    full: str,
    probes: Block | None = None,
    note: str = "",
) -> str:
    """Writes ladder.md, ladder.csv and ladder.html into a folder. Returns the Markdown.

    probes: of the full row; None for a network without CORE. note: which rows are not there, and
    why.
    """
    measures, differences = _measures(), _differences(rows, base=base, full=full)
    found, measured = verdicts(rows, full=full), " ".join(filter(None, [facts(rows), note]))
    lines = [*markdown_table(*_table(rows, measures | differences)), "", measured, NOTE, ""]
    text = "\n".join([*lines, *(f"- {verdict}" for verdict in found)]) + "\n"
    if probes:
        text += "\n" + probes.markdown()
    write_text(folder / "ladder.md", text)
    write_text(folder / "ladder.csv", csv_table(rows))
    write_html(
        folder / "ladder.html",
        "ladder",
        title="Ablation ladder",
        data={},
        plots=False,
        # Two tables, each as wide as a page.
        rows=_table(rows, measures),
        differences=_table(rows, differences),
        verdicts=found,
        facts=measured,
        note=NOTE,
        probes=probes,
    )
    return text


def difference(metric: Metric, one: LadderRow, other: LadderRow) -> tuple[str, str]:
    """One row minus another: the difference with its interval, and what it shows in a word.

    Both are empty if the metric is not defined in all seeds.
    """
    means = [mean_and_deviation(row.values(metric)) for row in (one, other)]
    if means[0] is None or means[1] is None:
        return "", ""
    value = signed(means[0][0] - means[1][0])
    if not (metric.key in one.drawn and metric.key in other.drawn):
        return value, "no interval"
    interval = bootstrap.difference(other.drawn[metric.key], one.drawn[metric.key]).difference
    if interval.low > 0:
        word = "helps"
    elif interval.high < 0:
        word = "hurts"
    else:
        word = "no effect shown"
    return f"{value} [{signed(interval.low)}, {signed(interval.high)}]", word


def verdicts(rows: Sequence[LadderRow], *, full: str) -> list[str]:
    """A sentence per part: whether full is better with it, by the differences."""
    whole = next(row for row in rows if row.name == full)
    found = []
    for row in rows:
        if row.part:
            words = [_verdict(whole, row, metric) for metric in names.shown_in(names.VERDICTS)]
            found.append(f"{row.part} (full minus {row.name}): {'; '.join(filter(None, words))}")
    return found


def _verdict(whole: LadderRow, row: LadderRow, metric: Metric) -> str:
    value, word = difference(metric, whole, row)
    return f"{metric.title} {value}, {word}" if value else ""


def facts(rows: Sequence[LadderRow]) -> str:
    """What was measured, in one sentence."""
    contents = rows[0].contents
    first = contents[0]
    every = [content for row in rows for content in row.contents]
    simulated = " (simulated data)" if first["simulated"] else ""
    return (
        f"{first['dataset']}{simulated}, split {first['split']}, features {first['encoder']}; "
        f"{measured_on(first)}; seeds {', '.join(str(content['seed']) for content in contents)}; "
        f"trained by commit {commits(every)}, table of "
        f"{datetime.date.today().isoformat()}."
    )


def csv_table(rows: Sequence[LadderRow]) -> str:
    """The numbers behind it as CSV, one line per row and seed."""
    metrics = names.shown_in(names.RESULTS)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "seed", *(metric.key for metric in metrics)])
    for row in rows:
        for content in row.contents:
            values = [metric.of(content) for metric in metrics]
            writer.writerow([row.name, content["seed"], *values])
    return text.getvalue()


def _table(rows: Sequence[LadderRow], columns: Columns) -> tuple[list[str], list[list[str]]]:
    """Header and cells, the name of the row first."""
    cells = [[row.name, *(cell(row) for cell in columns.values())] for row in rows]
    return ["row", *columns], cells


def _measures() -> Columns:
    """The metrics of a row."""
    return {
        metric.title: functools.partial(_spread, metric) for metric in names.shown_in(names.RESULTS)
    }


def _differences(rows: Sequence[LadderRow], *, base: str, full: str) -> Columns:
    """A row against base and full, and the paper's figure."""
    named = {row.name: row for row in rows}
    columns: Columns = {}
    compared = [(metric, full) for metric in names.shown_in(names.VERDICTS)]
    if base in named:
        compared.insert(0, (compared[0][0], base))
    for metric, other in compared:
        columns[f"{metric.title} minus {other}"] = functools.partial(_against, metric, named[other])
    return columns | {
        "paper, AUC": lambda row: "–" if row.paper_auc is None else f"{row.paper_auc:.2f} %"
    }


def _spread(metric: Metric, row: LadderRow) -> str:
    return spread(row.values(metric))


def _against(metric: Metric, other: LadderRow, row: LadderRow) -> str:
    return "–" if row is other else difference(metric, row, other)[0] or "–"
