"""The ladder as a table: mean and spread over seeds, paired differences, what does not help."""

import csv
import dataclasses
import datetime
import functools
import io
import math
import pathlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refinevad_jax.files.staged import write_text
from refinevad_jax.metrics import names
from refinevad_jax.metrics.names import Metric
from refinevad_jax.report.page import write_html
from refinevad_jax.report.tables import commits, markdown_table, measured_on, spread

LEVEL = 0.95
NOTE = (
    "Mean ± standard deviation over the seeds; differences are paired by seed, with the 95 % t "
    "interval of their mean, not corrected for the number of comparisons: about one in twenty "
    "without any effect seems to have one. mAP@IoU is that of proposals, mean over IoU 0.1 to 0.5 "
    "and the anomaly categories. The paper's column is its own ablation on features that have not "
    "been published: only the order of rows can be compared."
)


@dataclasses.dataclass(frozen=True)
class Difference:
    """Mean over seeds of one row minus another, and its interval; ends are None with one seed."""

    mean: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:+.3f}"
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclasses.dataclass(frozen=True)
class LadderRow:
    """One row: its name, the part it lacks, the paper's figure, and metrics.json of every seed."""

    name: str
    part: str
    paper_auc: float | None
    contents: Sequence[Mapping[str, Any]]

    def values(self, metric: Metric) -> list[float | None]:
        """A metric of every seed, None if it is not defined."""
        return [metric.of(content) for content in self.contents]


def write(folder: pathlib.Path, rows: Sequence[LadderRow], *, base: str, full: str) -> str:
    """Writes ladder.md, ladder.csv and ladder.html into a folder. Returns the Markdown."""
    columns = _columns(rows, base=base, full=full)
    cells = [[cell(row) for cell in columns.values()] for row in rows]
    found, measured = verdicts(rows, full=full), facts(rows)
    lines = [*markdown_table(list(columns), cells), "", measured, NOTE, ""]
    text = "\n".join([*lines, *(f"- {verdict}" for verdict in found)]) + "\n"
    write_text(folder / "ladder.md", text)
    write_text(folder / "ladder.csv", csv_table(rows))
    write_html(
        folder / "ladder.html",
        "ladder",
        title="Ablation ladder",
        data={},
        plots=False,
        header=list(columns),
        rows=cells,
        verdicts=found,
        facts=measured,
        note=NOTE,
    )
    return text


def paired_by_seed(one: Sequence[float | None], other: Sequence[float | None]) -> Difference | None:
    """One minus the other over the same seeds, with the 95 % t interval of the mean.

    None if a value is not defined.
    """
    pairs = zip(one, other, strict=True)
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    if len(differences) < len(one):
        return None
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return Difference(mean, None, None)
    from scipy.special import stdtrit  # jax itself depends on SciPy

    error = statistics.stdev(differences) / math.sqrt(len(differences))
    half = error * float(stdtrit(len(differences) - 1, (1 + LEVEL) / 2))
    return Difference(mean, mean - half, mean + half)


def verdicts(rows: Sequence[LadderRow], *, full: str) -> list[str]:
    """A sentence per part: whether full is better with it, by the paired differences."""
    whole = next(row for row in rows if row.name == full)
    found = []
    for row in rows:
        if row.part:
            words = [_verdict(whole, row, metric) for metric in names.shown_in(names.VERDICTS)]
            found.append(f"{row.part} (full minus {row.name}): {'; '.join(filter(None, words))}")
    return found


def _verdict(whole: LadderRow, row: LadderRow, metric: Metric) -> str:
    difference = paired_by_seed(whole.values(metric), row.values(metric))
    if difference is None:
        return ""
    if difference.low is None or difference.high is None:
        word = "one seed, no interval"
    elif difference.low > 0:
        word = "helps"
    elif difference.high < 0:
        word = "hurts"
    else:
        word = "no effect shown"
    return f"{metric.title} {difference}, {word}"


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


def _columns(
    rows: Sequence[LadderRow], *, base: str, full: str
) -> dict[str, Callable[[LadderRow], str]]:
    """Title of each column, and what it says of a row."""
    named = {row.name: row for row in rows}
    columns: dict[str, Callable[[LadderRow], str]] = {"row": lambda row: row.name}
    for metric in names.shown_in(names.RESULTS):
        columns[metric.title] = functools.partial(_spread, metric)
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
    if row is other:
        return "–"
    difference = paired_by_seed(row.values(metric), other.values(metric))
    return "–" if difference is None else str(difference)
